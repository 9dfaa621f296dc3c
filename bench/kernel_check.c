// SPDX-License-Identifier: Apache-2.0
// The spot check: two rows in the middle of the first and of the last channel block of the first
// image, of every kernel and of oneDNN's best, against the reference kernel. The tests compare
// everything; this catches a build or a machine on which they were not run.
#include "kernel_pass.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Single precision sums of up to 1e5 products, Winograd's among them, stay well below. */
static const double SPOT_LIMIT = 1e-5;

enum { SIDES = 2, ROWS = 2 };

struct spots {
    struct ab_range range[SIDES];
    size_t floats; /* of one side: rows of one block */
    float *want, *got;
    int channels, height, width;
};

static void look(const struct ab_kernel_pass *p, const struct spots *s, float *to)
{
    const struct ab_view v = p->args.dst;
    for (int i = 0; i < SIDES; i++)
        memcpy(to + (size_t)i * s->floats,
               v.data + s->range[i].b0 * v.block + s->range[i].y0 * v.row, s->floats * sizeof *to);
}

/* The same elements of [n][c][h][w]. */
static void look_plain(const struct spots *s, const double *from, float *to)
{
    for (int i = 0; i < SIDES; i++)
        for (int y = s->range[i].y0; y < s->range[i].y1; y++)
            for (int x = 0; x < s->width; x++)
                for (int lane = 0; lane < AB_LANES; lane++) {
                    int c = s->range[i].b0 * AB_LANES + lane;
                    size_t at = ((size_t)c * (size_t)s->height + (size_t)y) * (size_t)s->width;
                    *to++ = c < s->channels ? (float)from[at + (size_t)x] : 0;
                }
}

static void compare(const struct spots *s, struct ab_agreement *a)
{
    double diff = 0, norm = 0, most = 0, largest = 0, dot = 0, own = 0;
    for (size_t k = 0; k < SIDES * s->floats; k++) {
        double r = (double)s->want[k], g = (double)s->got[k];
        diff += (g - r) * (g - r), norm += r * r, own += g * g, dot += r * g;
        most = fmax(most, fabs(g - r)), largest = fmax(largest, fabs(r));
    }
    if (norm <= 0) {
        a->verdict = AB_MISTRUSTED;
        snprintf(a->why, sizeof a->why, "the rows checked are zero");
        return;
    }
    a->rel_l2 = sqrt(diff / norm);
    a->max_err = most / largest;
    a->cosine = dot / sqrt(norm * own);
    a->err_over_bound = a->rel_l2 / SPOT_LIMIT;
    a->pearson = a->spearman = a->ssim = a->iou1 = a->iou5 = (double)NAN;
    a->verdict = a->rel_l2 <= SPOT_LIMIT ? AB_AGREE : AB_DISAGREE;
    a->why[0] = '\0';
    if (a->verdict != AB_AGREE)
        snprintf(a->why, sizeof a->why, "rel_l2 %.2e above %.0e on the rows checked", a->rel_l2,
                 SPOT_LIMIT);
}

static const struct ab_kernel *reference(void)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count), *ref = NULL;
    for (int k = 0; k < count; k++)
        if (kernels[k].op == AB_KERNEL_conv2d && kernels[k].isa == AB_ISA_ref) ref = &kernels[k];
    return ref;
}

static bool prepare(struct ab_kernel_pass *p, struct spots *s)
{
    const struct ab_range whole = p->args.range;
    const struct ab_conv2d_shape *c = &p->shape->conv;
    bool fwd = p->args.pass == AB_FWD;
    int middle = (whole.y1 - 1) / 2, end = middle + ROWS < whole.y1 ? middle + ROWS : whole.y1;
    *s = (struct spots){.floats = (size_t)(end - middle) * (size_t)p->args.dst.row,
                        .channels = fwd ? c->oc : c->ic,
                        .height = whole.y1,
                        .width = fwd ? c->ow : c->iw};
    s->want = calloc(SIDES * s->floats, sizeof *s->want);
    s->got = calloc(SIDES * s->floats, sizeof *s->got);
    const struct ab_kernel *ref = reference();
    if (!s->want || !s->got || !ref) return false;
    for (int i = 0; i < SIDES; i++) {
        int block = i ? whole.b1 - 1 : 0;
        s->range[i] = (struct ab_range){0, 1, block, block + 1, middle, end};
        p->args.range = s->range[i];
        ref->run(&p->args);
    }
    p->args.range = whole;
    look(p, s, s->want);
    return true;
}

static void check_peer(struct ab_kernel_pass *p, const struct spots *s, int i)
{
    const struct ab_conv2d_shape *c = &p->shape->conv;
    struct ab_kernel_runner *r = &p->runners[i];
    double *all = malloc((size_t)c->n * (size_t)s->channels * (size_t)s->height * (size_t)s->width *
                         sizeof *all);
    if (!all) return;
    ab_peer_peek(r->peer, all);
    look_plain(s, all, s->got);
    compare(s, &r->agreement);
    free(all);
}

void ab_kernel_pass_check(struct ab_kernel_pass *p, bool judge)
{
    struct spots s = {0};
    bool ready = judge && prepare(p, &s);
    for (int i = 0; i < p->n_runners; i++) {
        struct ab_kernel_runner *r = &p->runners[i];
        r->agreement.verdict = AB_SKIPPED;
        snprintf(r->agreement.why, sizeof r->agreement.why, "not judged");
        if (!ready) continue;
        if (r->kernel) {
            p->args.pack = r->pack;
            p->args.scratch = r->scratch;
            r->kernel->run(&p->args);
            look(p, &s, s.got);
            compare(&s, &r->agreement);
        } else if (i == p->best || i == p->best_direct) {
            check_peer(p, &s, i);
        }
    }
    free(s.want);
    free(s.got);
}
