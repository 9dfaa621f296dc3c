// SPDX-License-Identifier: Apache-2.0
// What operations have in common: buffers placed between guard pages, one call and all checks of
// it, and the calls that must give the same bits.
#ifndef AB_VERIFY_SUBJECT_H
#define AB_VERIFY_SUBJECT_H

#include "verify/verify.h"

/* ---- placed buffers ---- */

enum { AB_PLACED = 24 };

/* The buffers of one call. After `failed` (out of memory) pointers are NULL: do not call. */
struct ab_place {
    enum ab_guard_side side;
    int offset;        /* of buffers whose alignment permits it */
    struct ab_rng rng; /* of strides and halos */
    struct ab_placed {
        struct ab_blocked map; /* flat buffers: mem alone */
        const char *name;
        bool is_map, input, given; /* given: had contents from the start */
    } item[AB_PLACED];
    int count;
    bool failed;
};

void ab_place_begin(struct ab_place *p, enum ab_guard_side side, int offset, uint64_t salt);
void ab_place_end(struct ab_place *p);
/* A flat buffer holding `contents` (NULL: sentinels), at offset where align (a power of two) is
 * less than 64. Inputs may not change. */
void *ab_place_bytes(struct ab_place *p, const char *name, const void *contents, size_t bytes,
                     size_t align, bool input);
/* The buffer placed last was filled afterwards: what it holds now are its contents. */
void ab_place_keep(struct ab_place *p);
/* A tensor with a halo of 0 to 2 pixels a side that holds nchw (NULL: sentinels). */
struct ab_blocked *ab_place_map(struct ab_place *p, const char *name, const float *nchw,
                                const int nchw_dims[4], bool input);
/* The same with a halo that is given. */
struct ab_blocked *ab_place_map_halo(struct ab_place *p, const char *name, const float *nchw,
                                     const int nchw_dims[4], struct ab_halo halo, bool input);
/* The same with the strides of another. */
struct ab_blocked *ab_place_like(struct ab_place *p, const char *name, const float *nchw,
                                 const struct ab_blocked *like, bool input);
/* `count` vectors of `features` floats, *stride floats apart; between them sentinels. With *stride
 * 0 draws one. The last ends with its last feature. */
float *ab_place_vectors(struct ab_place *p, const char *name, const float *vectors, int count,
                        int features, ptrdiff_t *stride, bool input);
/* Outputs hold what they held at first again, or 1 in all places that a call may write. */
void ab_place_reset(struct ab_place *p);
void ab_place_overwrite(struct ab_place *p);
/* Fails `outcome` if memory beside a buffer (slack) or an input (constant) was written. */
void ab_place_check(const struct ab_place *p, struct ab_outcome *outcome);

/* ---- one subject, judged ---- */

union ab_call_args {
    struct ab_conv2d_args conv2d;
    struct ab_conv2d_f64_args conv2d_f64;
    struct ab_verify_conv2d foreign_conv2d;
    struct ab_dense_args dense;
    struct ab_dense_f64_args dense_f64;
    struct ab_pool_args pool;
    struct ab_pointwise_args pointwise;
    struct ab_select_args select;
    struct ab_verify_dense foreign_dense;
    struct ab_verify_pool foreign_pool;
    struct ab_verify_pointwise foreign_pointwise;
};

/* One call with its buffers. `place` of the subject fills in args, dst and marks. */
struct ab_setup {
    struct ab_place place;
    union ab_call_args args;
    const struct ab_candidate *candidate;
    int image;              /* that image alone; -1: all */
    bool bare;              /* without the epilogue */
    struct ab_blocked *dst; /* of maps */
    void *out;              /* of vectors and foreign kernels */
    ptrdiff_t stride;       /* from vector to vector in `out` */
    uint16_t *marks;        /* switches or words of bits */
};

/* The result in canonical order, image after image: `size` is 4 (float) or 8 (double). */
struct ab_result {
    void *values;
    uint16_t *marks;
};

/* What is being computed. */
struct ab_extent {
    int images;
    size_t values, size, marks; /* in all images */
    struct ab_range all;        /* dense: the features as rows of one image */
    int grain;                  /* rows are cut at multiples of it; 0: not at all */
    bool epilogue;              /* trial.f is one */
    bool once;                  /* no second calls: they would take too long */
};

struct ab_subject {
    void (*place)(const void *problem, struct ab_setup *s);
    void (*part)(const struct ab_range *r, union ab_call_args *args);
    /* Gives concurrent call number i, 0..7, of the setup what it may not share; NULL: nothing. */
    void (*own)(const struct ab_setup *s, int i, union ab_call_args *args);
    void (*result)(const void *problem, const struct ab_setup *s, struct ab_result *r);
    /* Everything outside of `r` is as it was, padding is +0. Native kernels alone. */
    void (*frame)(const void *problem, const struct ab_setup *s, const struct ab_range *r,
                  struct ab_outcome *o);
    /* Of the bare call. */
    void (*judge)(const void *problem, const struct ab_candidate *c, const struct ab_result *r,
                  struct ab_outcome *o);
    /* `fused` against the epilogue's rule applied to `bare`; NULL: there are no epilogues. */
    void (*epilogue)(const void *problem, const struct ab_result *bare,
                     const struct ab_result *fused, struct ab_outcome *o);
    /* More calls that must give result `r`; NULL: none. */
    void (*more)(const void *problem, const struct ab_setup *s, const struct ab_result *r,
                 struct ab_outcome *o);
    /* Value i's place, for messages. */
    void (*where)(const void *problem, size_t i, char *text, size_t size);
    void (*dump)(const void *problem, const struct ab_result *r, const char *folder);
};

/* The call, its checks, and the determinism checks that trial->with asks for. */
void ab_subject_run(const struct ab_subject *subject, const void *problem,
                    const struct ab_extent *extent, const struct ab_candidate *candidate,
                    const struct ab_trial *trial, struct ab_outcome *outcome, const char *dump);

/* A setup of the subject at some side and offset; false, *outcome SKIPPED: out of memory. Release
 * with ab_place_end. */
bool ab_setup_new(const struct ab_subject *subject, const void *problem, struct ab_setup *s,
                  const struct ab_candidate *candidate, enum ab_guard_side side, int offset,
                  struct ab_outcome *outcome);
/* The same where the trial says. */
bool ab_setup_of_trial(const struct ab_subject *subject, const void *problem, struct ab_setup *s,
                       const struct ab_candidate *candidate, const struct ab_trial *trial,
                       struct ab_outcome *outcome);
/* Calls the candidate once, on reset outputs. */
void ab_setup_call(struct ab_setup *s, struct ab_outcome *outcome);

/* Fails `check` with `what` unless results are equal bit for bit (all NaN are). */
struct ab_same {
    const struct ab_subject *subject;
    const void *problem;
    const struct ab_extent *extent;
};
void ab_results_same(const struct ab_same *same, const struct ab_result *got,
                     const struct ab_result *want, enum ab_check check, const char *what,
                     struct ab_outcome *outcome);
bool ab_results_new(struct ab_result *r, const struct ab_extent *extent);
void ab_results_free(struct ab_result *r);

void ab_outcome_no_memory(struct ab_outcome *o);
/* folder/name.npy, as floats. */
void ab_dump(const char *folder, const char *name, const float *data, const int nchw_dims[4]);
void ab_dump_doubles(const char *folder, const char *name, const double *data,
                     const int nchw_dims[4]);

#endif
