// SPDX-License-Identifier: Apache-2.0
// The kernel validator: trials (what is computed), candidates (by whom), outcomes (how it went).
//
// An operation (struct ab_verify_op, listed in ops.def) draws the operands of a trial, knows the
// true result in double precision and how far single precision may be from it, calls the candidate
// between guard pages, and fills in an outcome. It neither prints nor exits, and relies on nobody
// to survive a crash: isolate.h runs trials in processes that may die.
//
// A trial is a line of text that parses and prints back:
//
//     conv2d n1c64h56w56o64k3s1p1 bwd wmod=pos f=muldiv fill=cancel exp=-20 seed=5 side=left
//            offset=4 with=bias,add
#ifndef AB_VERIFY_VERIFY_H
#define AB_VERIFY_VERIFY_H

#include "attrbench/verify.h"
#include "base/base.h"
#include "simd/kernels.h"
#include "verify/memory.h"

/* ---- trials ---- */

/* Weight and signal; n, in, out. */
struct ab_dense_shape {
    int n, in, out;
};

/* A map of pointwise and select. */
struct ab_map_shape {
    int n, c, h, w;
};

enum {
    AB_WITH_BIAS = 1,
    AB_WITH_ADD = 2,
    AB_WITH_CHAIN = 4,  /* calls that share their sums */
    AB_WITH_PANEL = 8,  /* weights packed panel by panel */
    AB_WITH_ALIAS = 16, /* dst over an operand that permits it */
    AB_WITH_SPLIT = 32  /* parts and concurrent parts, batch positions: the determinism checks */
};

/* All that decides the operands of a call. Fields that an operation has no use for are 0. */
struct ab_trial {
    enum ab_kernel_op op;
    union {
        struct ab_conv2d_shape conv; /* conv2d, conv2d_f64 */
        struct ab_dense_shape dense; /* dense, dense_f64 */
        struct ab_pool_shape pool;
        struct ab_map_shape map; /* pointwise, select */
    } shape;
    enum ab_pass pass;
    enum ab_wmod wmod;
    enum ab_pointwise_kind f; /* the kind, or the epilogue */
    enum ab_fill fill;
    int exponent; /* -20..20: the signal is scaled by 2^exponent */
    uint64_t seed;
    enum ab_guard_side side; /* at which guard page buffers lie */
    int offset;     /* 0..60, multiples of 4: bytes off the alignment that operands need not have */
    unsigned with;  /* AB_WITH_* */
    char file[128]; /* AB_FILL_FILE: an .npy of float32, whose values are taken round and round */
};

/* ---- candidates ---- */

/* An implementation of one operation: one of simd/kernels.def (or a seeded bug in the place of
 * one), or a foreign kernel on NCHW arrays. */
struct ab_candidate {
    char name[96]; /* "conv2d_avx2_winograd"; foreign: "onednn:conv2d" */
    char isa[16];  /* for tables: "avx2", "onednn", "plugin" */
    enum ab_kernel_op op;
    const struct ab_kernel *kernel;         /* NULL: foreign */
    const struct ab_verify_kernel *foreign; /* NULL: one of ours */
    /* For tests of whoever reads outcomes: results are larger by this share when they are judged,
     * and what is counted is one more. 0: they are what they are. */
    double wrong;
};

/* ---- outcomes ---- */

enum ab_check {
#define AB_CHECK(name, meaning) AB_CHECK_##name,
#include "verify/checks.def"
#undef AB_CHECK
    AB_CHECKS
};
const char *ab_check_name(enum ab_check check);
const char *ab_check_meaning(enum ab_check check);

/* MISTRUSTED: the reference's output is constant, mostly zero, or smaller than the bound: the trial
 * says nothing. UNSUPPORTED: the candidate does not do such a trial. SKIPPED: not run; `why` says
 * why. */
enum ab_outcome_kind {
    AB_OUTCOME_PASS,
    AB_OUTCOME_FAIL,
    AB_OUTCOME_MISTRUSTED,
    AB_OUTCOME_UNSUPPORTED,
    AB_OUTCOME_SKIPPED,
    AB_OUTCOME_KINDS
};
const char *ab_outcome_name(enum ab_outcome_kind kind);

struct ab_outcome {
    enum ab_outcome_kind kind;
    enum ab_check check; /* of a failure: the first that failed */
    double ratio;        /* worst error over the hard bound; 0 where bits are compared and equal */
    double sharp;        /* worst error over the sharp bound; above 1 is worth a look, no failure */
    double rel_l2;       /* of all elements with a sum together: |got - want|_2 / |want|_2 */
    long elements, undetermined; /* judged; excluded because single precision cannot decide them */
    /* Of foreign kernels, of which equal bits are not demanded: 1u << AB_CHECK_repeat, _alignment
     * or _batch where other bits came out. */
    unsigned varies;
    char why[256]; /* failed, mistrusted, skipped: one line, with the element and the values */
};

/* Records the first failure; later ones are ignored. */
void ab_outcome_fail(struct ab_outcome *o, enum ab_check check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline bool ab_outcome_failed(const struct ab_outcome *o)
{
    return o->kind == AB_OUTCOME_FAIL;
}

/* ---- operations ---- */

/* conv2d_f64 and dense_f64 are trials of conv2d and dense judged with u = 2^-53. */
struct ab_setup;
struct ab_verify_op {
    const char *name;
    enum ab_kernel_op op;
    /* The fixed set: trial number i, or false past the last. Shapes to break kernels: vector and
     * block boundaries +-1, strides, dilations, groups, asymmetric padding, 1x1, kernels larger
     * than the image, tails, batches; every fill, pass, weight transform, epilogue and `with`
     * occurs. */
    bool (*fixed)(int i, struct ab_trial *trial);
    /* A random trial. `level` 0..99 varies how large it is; every level is valid. */
    void (*draw)(struct ab_rng *rng, struct ab_trial *trial);
    /* The k-th smaller or simpler neighbour, or false past the last. */
    bool (*shrink)(const struct ab_trial *trial, int k, struct ab_trial *smaller);
    /* The shape's text. */
    bool (*shape_parse)(const char *text, struct ab_trial *trial, struct ab_error *err);
    void (*shape_print)(const struct ab_trial *trial, char *text, size_t size);
    /* Everything: operands, truth, guarded calls, judgement. *outcome is zeroed (PASS) on entry.
     * With `dump` (a folder), operands, result and reference are written there as .npy. */
    void (*run)(const struct ab_candidate *candidate, const struct ab_trial *trial,
                struct ab_outcome *outcome, const char *dump);
    /* The trial's operands for a kernel of ours, set up once for many calls of kernel->run on
     * setup->args (subject.h), the epilogue included: no truth is made and nothing is checked.
     * False: *outcome (zeroed on entry) says why. Release with ab_place_end. */
    bool (*set_up)(const struct ab_candidate *candidate, const struct ab_trial *trial,
                   struct ab_setup *setup, struct ab_outcome *outcome);
};

#define AB_VERIFY_OP(name) extern const struct ab_verify_op ab_verify_op_##name;
#include "verify/ops.def"
#undef AB_VERIFY_OP

const struct ab_verify_op *ab_verify_op_of(enum ab_kernel_op op);

/* text.c: the line of a trial, without a line break. Parsing refuses what the operation cannot
 * have; err names the part. What is left out is 0 (f=copy, wmod=all, fill=int, seed=0, side=left,
 * fwd). `file=` comes last and takes the rest of the line. */
enum { AB_TRIAL_TEXT = 512 }; /* a buffer that every trial's line fits in */
enum ab_status ab_trial_parse(const char *text, struct ab_trial *trial, struct ab_error *err);
void ab_trial_print(const struct ab_trial *trial, char *text, size_t size);

#endif
