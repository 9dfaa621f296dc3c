// SPDX-License-Identifier: Apache-2.0
// Seeded bugs of select, over a naive text of its own.
#include <string.h>

#include "verify/bugs.h"

typedef struct ab_select_args args_of;

/* Where the text is wrong. */
struct wrong {
    bool negative_zero, column, product, unmasked, prefix_kept;
    int bin;
};

static float *at(const struct ab_view *v, int n, int b, int y, int e)
{
    return v->data + n * v->image + b * v->block + y * v->row + e;
}

static void count(const args_of *p, const struct wrong *wrong, float v)
{
    const uint32_t key = ab_float_key(wrong->negative_zero ? v : v + 0.0f);
    if (!wrong->unmasked && ((key ^ p->prefix) & p->mask) != 0) return;
    const uint32_t digit = (wrong->prefix_kept ? key : key & ~p->mask) >> p->shift;
    p->hist[(digit + (uint32_t)wrong->bin) & 2047]++;
}

static void text(const void *args, const struct wrong *wrong)
{
    const args_of *p = args;
    const int n = p->range.n0, width = p->w - wrong->column;
    for (int b = p->range.b0; b < p->range.b1; b++)
        for (int y = p->range.y0; y < p->range.y1; y++)
            for (int e = 0; e < width * AB_LANES; e++) {
                const float x = *at(&p->x, n, b, y, e);
                const bool multiplies = p->a.data && !wrong->product;
                count(p, wrong, multiplies ? x * *at(&p->a, n, b, y, e) : x);
            }
}

void ab_bug_sound_select(const void *p)
{
    text(p, &(struct wrong){0});
}

void ab_bug_select_negative_zero(const void *p)
{
    text(p, &(struct wrong){.negative_zero = true});
}

void ab_bug_select_column_dropped(const void *p)
{
    text(p, &(struct wrong){.column = true});
}

void ab_bug_select_factor_ignored(const void *p)
{
    text(p, &(struct wrong){.product = true});
}

void ab_bug_select_prefix_ignored(const void *p)
{
    text(p, &(struct wrong){.unmasked = true});
}

void ab_bug_select_prefix_in_index(const void *p)
{
    text(p, &(struct wrong){.prefix_kept = true});
}

/* Every rank then falls into the next bin. */
void ab_bug_select_rank_off_by_one(const void *p)
{
    text(p, &(struct wrong){.bin = 1});
}

void ab_bug_select_overwrites(const void *args)
{
    const args_of *p = args;
    memset(p->hist, 0, 2048 * sizeof *p->hist);
    text(p, &(struct wrong){0});
}

void ab_bug_select_image_0(const void *args)
{
    args_of p = *(const args_of *)args;
    p.range.n0 = 0;
    text(&p, &(struct wrong){0});
}
