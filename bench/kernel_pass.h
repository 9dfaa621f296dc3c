// SPDX-License-Identifier: Apache-2.0
// One pass of one convolution: its tensors, the kernels and oneDNN's alternatives that compute it,
// their samples, and a spot check of their results.
#ifndef AB_KERNEL_PASS_H
#define AB_KERNEL_PASS_H

#include "agree/agree.h"
#include "kernel_peer.h"
#include "slices.h"
#include "stats.h"
#include "verify/shape.h"

enum { AB_KERNEL_RUNNERS = 40, AB_KERNEL_ROUNDS = 1000 };

/* A kernel or an alternative of oneDNN. Samples of one round stand at one index. */
struct ab_kernel_runner {
    const struct ab_kernel *kernel; /* NULL: oneDNN's */
    struct ab_peer *peer;
    void *pack, *scratch;
    double *ns;
    bool *disturbed;
    int count;
    double fastest, whole; /* as least_ns, whole_ns of struct ab_local */
    bool left;             /* out of the race: a slow alternative of oneDNN */
    struct ab_agreement agreement;
};

struct ab_kernel_pass {
    const struct ab_shape *shape;
    enum ab_isa isa;
    struct ab_conv2d_args args;
    float *src, *dst, *wei, *image; /* image: src as [n][c][h][w] */
    struct ab_kernel_runner runners[AB_KERNEL_RUNNERS];
    int n_runners;
    bool cold;                             /* caches are evicted before each sample */
    long l3;                               /* bytes of the last level of cache, 0: unknown */
    int calls;                             /* of each sample */
    double core_ghz, core_ghz_after;       /* before the rounds and after */
    int best, best_direct;                 /* of oneDNN's; -1: none */
    const struct ab_kernel *picked;        /* ab_pick's choice, timed or not */
    const struct ab_kernel *picked_direct; /* its choice with direct_only */
};

/* Whether a kernel takes part: its ISA is `isa` and `glob` matches; baselines only if `glob` or
 * `isa` asks for them by name. */
bool ab_kernel_pass_wants(const struct ab_kernel *k, const char *glob, enum ab_isa isa);

enum ab_status ab_kernel_pass_open(struct ab_kernel_pass *p, const struct ab_shape *shape,
                                   enum ab_pass pass, const char *glob, enum ab_isa isa,
                                   bool onednn, struct ab_error *err);
void ab_kernel_pass_close(struct ab_kernel_pass *p);
/* All runners by turns until `seconds` are over; then oneDNN's best are known. `cold` and `l3` are
 * set before. */
void ab_kernel_pass_time(struct ab_kernel_pass *p, double seconds);
/* Fills in each runner's agreement: from some rows against the reference kernel, or as not judged.
 */
void ab_kernel_pass_check(struct ab_kernel_pass *p, bool judge);

double ab_kernel_pass_flops(const struct ab_kernel_pass *p);
double ab_kernel_pass_bytes(const struct ab_kernel_pass *p);

#endif
