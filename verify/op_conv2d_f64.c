// SPDX-License-Identifier: Apache-2.0
// Convolutions in double precision, which the reference backend is made of: trials and truth of
// conv2d, the operands with digits that floats lack.
#include "simd/conv2d_geom.h"
#include "verify/conv2d.h"

#include <stdlib.h>
#include <string.h>

/* Concurrent calls have a panel of their own. */
enum { CALLS = 8 };

/* A map in blocks of doubles: `data` in a buffer of `count`, in front of the first pixel the halo.
 */
struct map {
    struct ab_view_f64 view;
    struct ab_halo halo;
    ptrdiff_t count;
    int n, c, h, w;
};

static struct map map_of(const int d[4], int image, struct ab_halo halo)
{
    struct map m = {.halo = halo, .n = image < 0 ? d[0] : 1, .c = d[1], .h = d[2], .w = d[3]};
    m.view.row = (ptrdiff_t)(m.w + halo.left + halo.right) * AB_LANES;
    m.view.block = m.view.row * (m.h + halo.top + halo.bottom);
    m.view.image = m.view.block * ab_blocks(m.c);
    m.count = m.view.image * m.n;
    return m;
}

static ptrdiff_t first_of(const struct map *m)
{
    return m->halo.top * m->view.row + (ptrdiff_t)m->halo.left * AB_LANES;
}

static ptrdiff_t at(const struct map *m, int n, int c, int y, int x)
{
    return first_of(m) + n * m->view.image + c / AB_LANES * m->view.block + y * m->view.row +
           (ptrdiff_t)x * AB_LANES + c % AB_LANES;
}

/* Places a map that holds nchw, halo and padding lanes +0; or, without nchw, sentinels. */
static struct ab_view_f64 place_map(struct ab_place *place, const char *name, struct map *m,
                                    const double *nchw, bool input)
{
    double *values = nchw ? calloc((size_t)m->count + 1, sizeof *values) : NULL;
    if (nchw && !values) place->failed = true;
    for (int n = 0; values && n < m->n; n++)
        for (int c = 0; c < m->c; c++)
            for (int y = 0; y < m->h; y++)
                for (int x = 0; x < m->w; x++) values[at(m, n, c, y, x)] = *nchw++;
    m->view.data =
        ab_place_bytes(place, name, values, (size_t)m->count * sizeof *values, 64, input);
    if (m->view.data) m->view.data += first_of(m);
    free(values);
    return m->view;
}

/* dst has no halo: at the left guard page with a column and a row between, else tight. */
static struct ab_halo dst_halo(const struct ab_setup *s)
{
    const int gap = s->place.side == AB_SIDE_LEFT;
    return (struct ab_halo){0, 0, gap, gap};
}

static size_t panel_bytes(const struct ab_conv2d_f64_args *a)
{
    const size_t inputs = (size_t)ab_conv2d_inputs_max(&a->shape, a->pass);
    return inputs * (size_t)a->shape.kh * (size_t)a->shape.kw * AB_LANES * sizeof(double);
}

static const double *bias_of(const struct ab_conv_problem *p, struct ab_place *place)
{
    const size_t size = (size_t)ab_blocks(p->dst_dims[1]) * AB_LANES;
    double *padded = calloc(size, sizeof *padded);
    const double *placed = NULL;
    if (padded) {
        memcpy(padded, p->bias_f64, (size_t)p->dst_dims[1] * sizeof *padded);
        placed = ab_place_bytes(place, "bias", padded, size * sizeof *padded, 64, true);
    } else {
        place->failed = true;
    }
    free(padded);
    return placed;
}

static void place(const void *problem, struct ab_setup *s)
{
    const struct ab_conv_problem *p = problem;
    const struct ab_trial *t = &p->trial;
    struct ab_conv2d_f64_args *a = &s->args.conv2d_f64;
    const size_t image = s->image < 0 ? 0 : (size_t)s->image, images = (size_t)p->src_dims[0];
    const double *src = p->src_f64 + ab_conv_src_count(p) / images * image;
    *a = (struct ab_conv2d_f64_args){
        .shape = t->shape.conv, .pass = t->pass, .wmod = t->wmod, .gain = p->gain};
    struct map x = map_of(p->src_dims, s->image, ab_conv2d_halo(&a->shape, t->pass));
    struct map y = map_of(p->dst_dims, s->image, dst_halo(s)), add = y;
    a->shape.n = x.n;
    a->src = place_map(&s->place, "src", &x, src, true);
    a->dst = place_map(&s->place, "dst", &y, NULL, false);
    a->range = (struct ab_range){0, y.n, 0, ab_blocks(y.c), 0, y.h};
    a->wei = ab_place_bytes(&s->place, "weights", p->wei,
                            ab_conv_weights(&a->shape) * sizeof(float), sizeof(float), true);
    if (p->bias_f64) a->bias = bias_of(p, &s->place);
    if (p->add_f64)
        a->add = place_map(&s->place, "add", &add,
                           p->add_f64 + ab_conv_dst_count(p) / images * image, true);
    const size_t bytes = panel_bytes(a);
    unsigned char *panels = ab_place_bytes(&s->place, "panel", NULL, CALLS * bytes, 64, false);
    if (panels)
        a->panel = (void *)(s->place.side == AB_SIDE_LEFT ? panels : panels + (CALLS - 1) * bytes);
    s->out = a->dst.data;
}

static void own(const struct ab_setup *s, int call, union ab_call_args *args)
{
    const ptrdiff_t size = (ptrdiff_t)(panel_bytes(&s->args.conv2d_f64) / sizeof(double));
    args->conv2d_f64.panel += s->place.side == AB_SIDE_LEFT ? call * size : -call * size;
}

static void part(const struct ab_range *r, union ab_call_args *args)
{
    args->conv2d_f64.range = *r;
}

static void result(const void *problem, const struct ab_setup *s, struct ab_result *r)
{
    const struct ab_conv_problem *p = problem;
    const struct map m = map_of(p->dst_dims, s->image, dst_halo(s));
    const double *from = s->out;
    double *to = r->values;
    for (int n = 0; n < m.n; n++)
        for (int c = 0; c < m.c; c++)
            for (int y = 0; y < m.h; y++)
                for (int x = 0; x < m.w; x++) *to++ = from[at(&m, n, c, y, x)];
}

static bool is_untouched(const double *v)
{
    float halves[2];
    memcpy(halves, v, sizeof halves);
    return ab_is_sentinel(halves[0]) && ab_is_sentinel(halves[1]);
}

static void frame(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o)
{
    const struct ab_conv_problem *p = problem;
    const struct map m = map_of(p->dst_dims, s->image, dst_halo(s));
    const struct ab_view_f64 *v = &m.view;
    const double *dst = s->out, zero = 0.0;
    for (ptrdiff_t i = 0; i < m.count; i++) {
        const ptrdiff_t n = i / v->image, b = i % v->image / v->block, y = i % v->block / v->row;
        const ptrdiff_t x = i % v->row / AB_LANES, c = b * AB_LANES + i % AB_LANES;
        const bool inside = n >= r->n0 && n < r->n1 && b >= r->b0 && b < r->b1 && y >= r->y0 &&
                            y < r->y1 && x < m.w;
        if (inside ? c < m.c || memcmp(&dst[i], &zero, sizeof zero) == 0 : is_untouched(&dst[i]))
            continue;
        ab_outcome_fail(o, AB_CHECK_frame, "%s: %.17g at n %td c %td y %td x %td",
                        inside ? "padding lane is not +0" : "written outside the range", dst[i], n,
                        c, y, x);
        return;
    }
}

static const struct ab_subject subject = {.place = place,
                                          .part = part,
                                          .own = own,
                                          .result = result,
                                          .frame = frame,
                                          .judge = ab_conv_judge,
                                          .where = ab_conv_where,
                                          .dump = ab_conv_dump};

static void run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump)
{
    const struct ab_conv_problem *p = ab_conv_problem_of(trial, outcome);
    if (!p) return;
    const struct ab_extent extent = ab_conv_extent(p);
    ab_subject_run(&subject, p, &extent, candidate, trial, outcome, dump);
}

static bool set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome)
{
    if (!candidate->kernel) {
        outcome->kind = AB_OUTCOME_UNSUPPORTED;
        return false;
    }
    const struct ab_conv_problem *p = ab_conv_operands_of(trial, outcome);
    return p && ab_setup_of_trial(&subject, p, setup, candidate, trial, outcome);
}

static bool fixed(int i, struct ab_trial *trial)
{
    return ab_conv_fixed(i, AB_KERNEL_conv2d_f64, trial);
}

static void draw(struct ab_rng *rng, struct ab_trial *trial)
{
    ab_conv_draw(rng, AB_KERNEL_conv2d_f64, trial);
}

const struct ab_verify_op ab_verify_op_conv2d_f64 = {.name = "conv2d_f64",
                                                     .op = AB_KERNEL_conv2d_f64,
                                                     .fixed = fixed,
                                                     .draw = draw,
                                                     .shrink = ab_conv_shrink,
                                                     .shape_parse = ab_conv_shape_parse,
                                                     .shape_print = ab_conv_shape_print,
                                                     .run = run,
                                                     .set_up = set_up};
