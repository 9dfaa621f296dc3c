// SPDX-License-Identifier: Apache-2.0
// The oneDNN backend's bookkeeping. Opening turns each step into a list of actions: primitives with
// their arguments bound to slots, and attrbench's own kernels for what oneDNN does not offer.
// Running a step runs its actions; everything was created before.
#ifndef AB_ONEDNN_H
#define AB_ONEDNN_H

#include "backend/backend.h"
#include "backend/onednn_compat.h"

/* A oneDNN memory and where its data lies: in a value of the program, in exec->weights, in the
 * scratch space, or in memory of others (the model's weights, the caller's maps). */
enum ab_onednn_base { AB_IN_VALUE, AB_IN_WEIGHTS, AB_IN_SCRATCH, AB_IN_FOREIGN };

struct ab_onednn_slot {
    ab_md *md;
    dnnl_memory_t mem;
    enum ab_onednn_base base;
    int value;
    size_t offset;               /* from the base */
    void *data;                  /* known after pack */
    struct ab_onednn_slot *next; /* of all, for binding and freeing */
    struct ab_onednn_slot *copy; /* the same value in another format */
};

/* One argument of a primitive. */
struct ab_onednn_arg {
    int id; /* DNNL_ARG_* */
    struct ab_onednn_slot *slot;
};

/* A primitive, or own code over slots (unused ones NULL). */
struct ab_onednn_action {
    struct ab_onednn_action *next;
    dnnl_primitive_t prim;
    dnnl_exec_arg_t *args;
    int n_args;
    dnnl_status_t (*own)(const struct ab_exec *exec, const struct ab_onednn_action *action);
    int step;
    struct ab_onednn_slot *x, *a, *z, *tau, *dst;
    enum ab_pointwise_kind kind;
    float eps, scale;
    const struct ab_kernel *kernel;
};

struct ab_onednn_step {
    struct ab_onednn_action *first, **last;
    char kernel[128];
};

/* What is computed from a layer's parameters when the plan is made. FLIPPED: rotated by 180 degrees
 * with input and output channels exchanged. SWAPPED: channels exchanged alone. BIAS: by ab_bias.
 * SCALE, SHIFT: of a batch normalisation. */
enum ab_onednn_form {
    AB_FORM_PLAIN,
    AB_FORM_FLIPPED,
    AB_FORM_SWAPPED,
    AB_FORM_BIAS,
    AB_FORM_SCALE,
    AB_FORM_SHIFT
};

struct ab_onednn_param {
    int node, variant; /* variant: ab_wmod of weights, ab_bias of biases */
    float gain;        /* of AB_W_GAMMA and AB_B_GAMMA */
    enum ab_onednn_form form;
    struct ab_onednn_slot *slot;
    struct ab_onednn_param *next;
};

struct ab_onednn {
    struct ab_exec *exec;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attr; /* the user provides scratch space */
    struct ab_onednn_slot *slots;
    struct ab_onednn_slot **values; /* by value id: as its producer writes it */
    dnnl_primitive_desc_t *pools;   /* by value id: the pooling that made these switches */
    struct ab_onednn_step *steps;
    struct ab_onednn_param *params;
    /* While opening: the first failure stops everything. */
    enum ab_status status;
    struct ab_error *err;
    int step;
    struct ab_onednn_spare *spare; /* onednn_time.c: memory of candidates timed before */
};

static inline struct ab_onednn *ab_onednn_of(const struct ab_exec *exec)
{
    return exec->state;
}

static inline size_t ab_onednn_round(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* ---- onednn_core.c: slots, actions. After a failure these return NULL or do nothing. ---- */

/* Records a failure of the step being opened; true if there is none. */
bool ab_onednn_ok(struct ab_onednn *o, dnnl_status_t status, const char *what);
bool ab_onednn_memory_ok(struct ab_onednn *o, const void *p);

/* Logical dimensions of a value for the whole batch: {n, c} or {n, c, h, w}; returns their count.
 */
int ab_onednn_dims(const struct ab_onednn *o, int id, dnnl_dims_t dims);
/* A value's descriptor in a plain or given format; format_tag_any too. The caller frees it. */
ab_md *ab_onednn_md(struct ab_onednn *o, int id, dnnl_format_tag_t tag);
ab_md *ab_onednn_plain_md(struct ab_onednn *o, int id);
/* The descriptor of value `id` in the format kind that value `like` has, else plain. */
ab_md *ab_onednn_md_like(struct ab_onednn *o, int id, int like);

/* New memory; the descriptor is copied. VALUE: behind what value `id` has. FOREIGN: data is set by
 * the caller. */
struct ab_onednn_slot *ab_onednn_slot(struct ab_onednn *o, const ab_md *md,
                                      enum ab_onednn_base base, int id);
/* Another descriptor of the same data. */
struct ab_onednn_slot *ab_onednn_alias(struct ab_onednn *o, const struct ab_onednn_slot *of,
                                       const ab_md *md);
/* The memory that the step being opened writes value `id` to. */
struct ab_onednn_slot *ab_onednn_define(struct ab_onednn *o, int id, const ab_md *md);
/* Value `id` in the format md; where it differs from the value's own, a reorder is appended to the
 * step that makes the value, once per format. */
struct ab_onednn_slot *ab_onednn_want(struct ab_onednn *o, int id, const ab_md *md);
/* Whether that would cost a reorder. */
bool ab_onednn_has(const struct ab_onednn *o, int id, const ab_md *md);
struct ab_onednn_slot *ab_onednn_param(struct ab_onednn *o, int node, enum ab_onednn_form form,
                                       int variant, float gain, const ab_md *md);

struct ab_onednn_action *ab_onednn_action(struct ab_onednn *o, int step);
/* Appends the primitive of pd, which is destroyed; scratch space is added to the arguments. */
void ab_onednn_prim(struct ab_onednn *o, int step, dnnl_primitive_desc_t pd,
                    const struct ab_onednn_arg *args, int n_args);
void ab_onednn_reorder(struct ab_onednn *o, int step, struct ab_onednn_slot *from,
                       struct ab_onednn_slot *to);
/* Adds to the name of the step's kernel: "conv", "conv+relu". */
void ab_onednn_name(struct ab_onednn *o, const char *prefix, const char *name);
const char *ab_onednn_impl(const_dnnl_primitive_desc_t pd);

/* ---- onednn_params.c: weights with their transform, into exec->weights ---- */
enum ab_status ab_onednn_pack(struct ab_exec *exec, struct ab_error *err);
/* Descriptor of a layer's weights as the model holds them, seen in `form`. */
ab_md *ab_onednn_weights_md(const struct ab_graph *graph, int node, enum ab_onednn_form form,
                            bool any);

/* ---- onednn_linear.c: CONV and DENSE ---- */
bool ab_onednn_insist(enum ab_pass pass, int k); /* see ab_backend.insist */
void ab_onednn_linear(struct ab_onednn *o, const struct ab_step *s);

/* ---- onednn_pool.c ---- */
void ab_onednn_maxpool(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_winners(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_avgpool(struct ab_onednn *o, const struct ab_step *s);

/* ---- onednn_pointwise.c: what oneDNN cannot fuse, and thresholds ---- */
void ab_onednn_pointwise(struct ab_onednn *o, const struct ab_step *s);
bool ab_onednn_uses_z(enum ab_pointwise_kind kind);
/* Appends dst = kind(x; a, z, tau) with the step's operands, dst being x in place. */
void ab_onednn_epilogue(struct ab_onednn *o, const struct ab_step *s, enum ab_pointwise_kind kind,
                        int a, struct ab_onednn_slot *x);
/* The action itself, over the flat memory of slots in one format whose padding holds zeros, which
 * every kind of step maps to zeros. */
dnnl_status_t ab_onednn_flat(const struct ab_exec *exec, const struct ab_onednn_action *action);
const struct ab_kernel *ab_onednn_flat_kernel(const struct ab_exec *exec,
                                              enum ab_pointwise_kind kind);
void ab_onednn_tau(struct ab_onednn *o, const struct ab_step *s);

/* ---- onednn_move.c: everything that only moves data ---- */
void ab_onednn_input(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_output(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_fill(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_flatten(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_concat(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_slice(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_pad(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_signal(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_host(struct ab_onednn *o, const struct ab_step *s);
void ab_onednn_seed(struct ab_onednn *o, const struct ab_step *s);

/* ---- onednn_peek.c: ab_backend.peek. Plain values, logits among them, allocate nothing. ---- */
void ab_onednn_peek(const struct ab_exec *exec, int id, double *out);

#endif
