// SPDX-License-Identifier: Apache-2.0
// oneDNN's alternatives as opponents of single kernels: each computes the convolution it is timed
// on, and leaves the backend's own choice alone.
#include "../bench/kernel_pass.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct ab_kernel *reference(void)
{
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    while (k->op != AB_KERNEL_conv2d || k->isa != AB_ISA_ref) k++;
    return k;
}

/* |got - want| / |want| over the whole result, got as [n][c][h][w]. */
static double error_of(const struct ab_kernel_pass *p, const double *got, int channels, int h,
                       int w)
{
    const struct ab_view v = p->args.dst;
    double diff = 0, norm = 0;
    for (int n = 0; n < p->shape->conv.n; n++)
        for (int c = 0; c < channels; c++)
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++) {
                    double want = (double)v.data[n * v.image + c / AB_LANES * v.block + y * v.row +
                                                 x * AB_LANES + c % AB_LANES];
                    double d = *got++ - want;
                    diff += d * d, norm += want * want;
                }
    return sqrt(diff / norm);
}

static void check_alternatives(const char *text, enum ab_pass pass, int least)
{
    struct ab_shape shape;
    struct ab_error err;
    struct ab_kernel_pass p;
    CHECK(ab_shape_parse(text, &shape, &err) == AB_OK, "%s", err.text);
    CHECK(ab_kernel_pass_open(&p, &shape, pass, "conv2d_ref", AB_ISA_ref, false, &err) == AB_OK,
          "%s", err.text);
    reference()->run(&p.args);
    const struct ab_conv2d_shape *c = &shape.conv;
    int channels = pass == AB_FWD ? c->oc : c->ic, h = pass == AB_FWD ? c->oh : c->ih,
        w = pass == AB_FWD ? c->ow : c->iw, found = 0;
    double *got = malloc((size_t)(c->n * channels * h * w) * sizeof *got);
    bool more = true;
    for (int k = 0; more; k++) {
        struct ab_peer *peer = ab_peer_open(&p.args, p.image, k, &more);
        if (!peer) continue;
        context("%s, %s, alternative %d: %s", text, pass == AB_FWD ? "fwd" : "bwd", k,
                ab_peer_name(peer));
        CHECK(ab_peer_run(peer), "does not run");
        ab_peer_peek(peer, got);
        double error = error_of(&p, got, channels, h, w);
        CHECK(error < 1e-5, "relative error %.2e", error);
        ab_peer_close(&peer);
        found++;
    }
    context("%s", text);
    CHECK(found >= least, "%d alternatives", found);
    free(got);
    ab_kernel_pass_close(&p);
}

TEST(alternatives_compute_the_convolution)
{
    if (!ab_peer_backend()) return;
    for (int pass = AB_FWD; pass <= AB_BWD; pass++) {
        check_alternatives("n2c32h12w11o48k3s1p1", (enum ab_pass)pass, 2);
        check_alternatives("n1c32h13w12o16k3s2p1", (enum ab_pass)pass, 1);
        check_alternatives("n1c3h17w18o16k5s2p2", (enum ab_pass)pass, 1);
        check_alternatives("n1c64h9w9o32k1s1p0", (enum ab_pass)pass, 2);
    }
}

/* The race ends with a winner that was timed as often as the kernel. */
TEST(race_has_a_winner)
{
    struct ab_shape shape;
    struct ab_error err;
    struct ab_kernel_pass p;
    CHECK(ab_shape_parse("n1c32h12w12o32k3s1p1", &shape, &err) == AB_OK, "%s", err.text);
    CHECK(ab_kernel_pass_open(&p, &shape, AB_FWD, "conv2d_plain", AB_ISA_plain,
                              ab_peer_backend() != NULL, &err) == AB_OK,
          "%s", err.text);
    ab_kernel_pass_time(&p, 0.001);
    ab_kernel_pass_check(&p, true);
    CHECK(p.runners[0].kernel == p.picked && p.runners[0].count > 0, "the kernel");
    CHECK(p.runners[0].agreement.verdict == AB_AGREE, "%s", p.runners[0].agreement.why);
    if (ab_peer_backend()) {
        CHECK(p.best >= 0 && p.best_direct >= 0, "no winner");
        CHECK(p.runners[p.best].count >= 5, "%d samples", p.runners[p.best].count);
        CHECK(p.runners[p.best].agreement.verdict == AB_AGREE, "%s",
              p.runners[p.best].agreement.why);
    }
    ab_kernel_pass_close(&p);
}

static const struct test_case cases[] = {CASE(alternatives_compute_the_convolution),
                                         CASE(race_has_a_winner)};
TEST_MAIN("kernel_peer", cases)
