// SPDX-License-Identifier: Apache-2.0
// Dense layers, block after block: one walk over W for several samples and calls, each of which may
// want another part of the weights. A part of dense_tpl.h, which includes it.
#ifndef AB_SIMD_DENSE_TEAM_TPL_H
#define AB_SIMD_DENSE_TEAM_TPL_H

/* A group of rows in columns [i0, i1), for one part of a team; `sum`: of FWD. */
struct dense_job {
    const struct dense_part *part;
    const int *index;
    const float *const *row, *const *next;
    vec *sum;
    int rows, i0, i1;
};

AB_INLINE void job_rows(struct dense_mod wmod, int rows, const struct dense_job *j)
{
    if (j->part->args->pass == AB_FWD)
        fwd_group(wmod, BLOCKS, rows, j->part, j->row, j->next, j->i0, j->i1, j->sum);
    else
        chunk_group(wmod, rows, j->part, j->index, j->row, j->next, j->i0, j->i1);
}

AB_INLINE void job_run(int kind, const struct dense_job *j)
{
    const struct dense_mod wmod = {kind, v_set1(j->part->args->gain)};
    if (j->rows == GROUP)
        job_rows(wmod, GROUP, j);
    else
        job_rows(wmod, 1, j);
}

static void job_dispatch(const struct dense_job *j)
{
    switch (j->part->args->wmod) {
    case AB_W_ALL: job_run(AB_W_ALL, j); break;
    case AB_W_POS: job_run(AB_W_POS, j); break;
    case AB_W_NEG: job_run(AB_W_NEG, j); break;
    case AB_W_ABS: job_run(AB_W_ABS, j); break;
    case AB_W_SQUARE: job_run(AB_W_SQUARE, j); break;
    case AB_W_ONE: job_run(AB_W_ONE, j); break;
    case AB_W_GAMMA: job_run(AB_W_GAMMA, j); break;
    case AB_W_COUNT: break;
    }
}

static void block_store(const struct dense_team *t, const struct dense_block *b, const vec *sum)
{
    for (const struct dense_part *p = t->part; p < t->part + t->parts; p++)
        for (int s = 0; s < p->samples; s++, sum += BLOCK)
            for (int r = 0; r < b->rows; r += GROUP) {
                const int rows = b->rows - r < GROUP ? b->rows - r : GROUP;
                fwd_store(p->args, p->n + s, b->index[r], rows, sum + r);
            }
}

static bool part_uses(const struct dense_part *p, int o)
{
    for (int n = p->n; n < p->n + p->samples; n++)
        if (p->args->src[n * p->args->src_stride + o] != 0.0f) return true;
    return false;
}

static bool team_uses(const struct dense_team *t, int o)
{
    for (int k = 0; k < t->parts; k++)
        if (part_uses(&t->part[k], o)) return true;
    return false;
}

/* The next rows of W from *o on that take part: in BWD those whose coefficients are not all 0. */
static void next_block(const struct dense_team *t, int *o, struct dense_block *b)
{
    const struct ab_dense_args *p = t->part[0].args;
    const bool fwd = p->pass == AB_FWD;
    const int end = fwd ? p->r1 : p->out;
    for (b->rows = 0; *o < end && b->rows < BLOCK; ++*o) {
        if (!fwd && !team_uses(t, *o)) continue;
        b->index[b->rows] = *o;
        b->row[b->rows++] = p->wei + (ptrdiff_t)*o * p->in;
    }
}

/* Where the walk goes from the rows of a block from r on, columns [i0, i1): to the next rows, else
 * to the next chunk, else to the next block. */
static void rows_after(const struct dense_team *t, const struct dense_block *b,
                       const struct dense_block *after, int r, int i0, int i1, const float **next)
{
    for (int k = 0; k < GROUP; k++) {
        const int q = r + GROUP + k;
        if (q < b->rows)
            next[k] = b->row[q] + i0;
        else if (i1 < t->i1 && k < b->rows)
            next[k] = b->row[k] + i1;
        else
            next[k] = k < after->rows ? after->row[k] + t->i0 : b->row[0];
    }
}

/* All parts of a team, in the columns and rows of a job. */
static void team_run(const struct dense_team *t, struct dense_job *j)
{
    for (int k = 0; k < t->parts; k++) {
        j->part = &t->part[k];
        job_dispatch(j);
        j->sum += j->part->samples * BLOCK;
    }
}

static void block_run(const struct dense_team *t, const struct dense_block *b,
                      const struct dense_block *after)
{
    const bool fwd = t->part[0].args->pass == AB_FWD;
    vec sum[AB_DENSE_CHAIN * BLOCK];
    for (int i = 0; fwd && i < t->samples * BLOCK; i++) sum[i] = v_zero();
    for (int i0 = t->i0, i1; i0 < t->i1; i0 = i1) {
        i1 = t->i1 - i0 < CHUNK ? t->i1 : i0 + CHUNK;
        for (int r = 0, rows; r < b->rows; r += rows) {
            const float *next[GROUP];
            rows = r + GROUP <= b->rows ? GROUP : 1;
            rows_after(t, b, after, r, i0, i1, next);
            struct dense_job j = {.index = b->index + r,
                                  .row = b->row + r,
                                  .next = next,
                                  .sum = sum + r,
                                  .rows = rows,
                                  .i0 = i0,
                                  .i1 = i1};
            team_run(t, &j);
        }
    }
    if (fwd) block_store(t, b, sum);
}

static void team_walk(const struct dense_team *t)
{
    const struct ab_dense_args *p = t->part[0].args;
    struct dense_block blocks[2];
    int o = p->pass == AB_FWD ? p->r0 : 0, now = 0;
    for (next_block(t, &o, &blocks[0]); blocks[now].rows; now ^= 1) {
        next_block(t, &o, &blocks[now ^ 1]);
        block_run(t, &blocks[now], &blocks[now ^ 1]);
    }
}

static void by_blocks(const struct ab_dense_args *p)
{
    struct dense_team t = {.i0 = p->pass == AB_FWD ? 0 : p->r0,
                           .i1 = p->pass == AB_FWD ? p->in : p->r1};
    for (; p; p = p->next)
        for (int n = 0, samples; n < p->n; n += samples) {
            const int room = AB_DENSE_CHAIN - t.samples;
            samples = p->n - n < SAMPLES ? p->n - n : SAMPLES;
            if (samples > room) samples = room;
            t.part[t.parts++] = (struct dense_part){p, n, samples};
            t.samples += samples;
            const bool last = !p->next && n + samples == p->n;
            if (!last && t.samples < AB_DENSE_CHAIN) continue;
            team_walk(&t);
            t.parts = t.samples = 0;
        }
}

#endif
