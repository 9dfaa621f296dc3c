// SPDX-License-Identifier: Apache-2.0
// The program: what a plan computes, as steps over values in single-assignment form.
//
// lower.c writes it from a graph and methods, one forward pass and then each method's walk back.
// Equal steps are written once, so methods share activations, denominators and whole backward
// chains without knowing of each other. fuse.c then folds pointwise steps into the convolution or
// dense step that feeds them. Value ids are the same before and after fusing and for every backend:
// two plans of the same graph and methods can be compared value by value.
#ifndef AB_PROGRAM_H
#define AB_PROGRAM_H

#include "method/method.h"
#include "model/graph.h"

/* What a step does. x, a, z, add, tau, switches, bits are its operands (value ids, -1: none); node
 * gives weights and geometry. FWD maps from the layer's input to its output, BWD is the exact
 * adjoint of the (transformed, bias-free) linear map. */
#define AB_OPS(X)                                                                                  \
    X(INPUT)    /* dst = the images */                                                             \
    X(BASELINE) /* dst = the caller's reference inputs */                                          \
    X(FILL)     /* dst = per-channel constants fill[] (n_fill = 1: all channels) inside the map */ \
    X(CONV)     /* dst = f(W x + bias + add) or f(W^T x + add); f, a, z, tau: the epilogue */      \
    X(DENSE)    /* the same for vectors */                                                         \
    X(POINTWISE) /* dst = f(x; a, z, tau) */                                                       \
    X(MAXPOOL)   /* FWD: dst, and dst2 = switches unless -1. BWD: f(unpool x by switches) */       \
    X(WINNERS)   /* dst = switches list[0] where x >= a, list[1] elsewhere */                      \
    X(AVGPOOL)                                                                                     \
    X(FLATTEN) /* FWD: map to vector in c,h,w order. BWD: vector to map */                         \
    X(CONCAT)  /* FWD: dst = list[0..n_list) along channels */                                     \
    X(SLICE)   /* dst = channels [channel, channel + dst.c) of x */                                \
    X(PAD)     /* FWD: zero rows and columns around x (node->pad). BWD: crop */                    \
    X(TAU)     /* dst[n] = max(floor, q-th percentile of x*a in image n) */                        \
    X(SEED)    /* dst = the seed of target number `target`; x = logits */                          \
    X(SIGNAL)  /* dst = signal number `channel` of the caller's, see struct ab_walk */             \
    X(HOST)    /* dst = host(x, a): see enum ab_host */                                            \
    X(OUTPUT)  /* map number `map` = x, to the caller in NCHW */

/* Small work of few methods, done by one function for all backends (src/backend/host.h). From CAM
 * to RANDOM it looks at whole images, after that at each channel by itself. */
enum ab_host {
    AB_HOST_NONE,
    AB_HOST_CAM,           /* one channel of signal x and activation a: sum mean(x) a */
    AB_HOST_CAM_PLUS_PLUS, /* Grad-CAM++'s weights instead of means */
    AB_HOST_LAYER_CAM,     /* sum x+ a */
    AB_HOST_NEAREST,       /* one channel resized to dst, the same in each of its channels */
    AB_HOST_BILINEAR,
    AB_HOST_RANDOM,  /* normal numbers drawn from `number` and the content of image x */
    AB_HOST_EDGES,   /* Sobel's magnitude */
    AB_HOST_FRAME,   /* x, 0 in the outermost rows and columns */
    AB_HOST_SIGMOID, /* x / (1 + exp(-scale a)) */
};

enum ab_op {
#define X(name) AB_OP_##name,
    AB_OPS(X)
#undef X
        AB_OP_COUNT
};

/* Which part of the layer's bias is added: none, b, max(b,0), min(b,0), |b|, b^2, max(b, gain*b).
 */
enum ab_bias { AB_B_NONE, AB_B_ALL, AB_B_POS, AB_B_NEG, AB_B_ABS, AB_B_SQUARE, AB_B_GAMMA };

static inline float ab_bias_part(enum ab_bias part, float gain, float b)
{
    switch (part) {
    case AB_B_NONE: return 0;
    case AB_B_ALL: return b;
    case AB_B_POS: return b > 0 ? b : 0;
    case AB_B_NEG: return b < 0 ? b : 0;
    case AB_B_ABS: return b < 0 ? -b : b;
    case AB_B_SQUARE: return b * b;
    case AB_B_GAMMA: return b > 0 ? gain * b : b;
    }
    return b;
}

struct ab_step {
    enum ab_op op;
    enum ab_pass pass;
    int node; /* index in the graph, -1: none */
    int dst, dst2;
    int x, a, z, add, tau, switches, bits;
    int *list, n_list;
    enum ab_wmod wmod;
    enum ab_bias bias;
    enum ab_pointwise_kind
        kind; /* POINTWISE, or the epilogue of CONV, DENSE and backward pools (AB_PW_COPY: none) */
    float eps, scale;
    float gain; /* of AB_W_GAMMA and AB_B_GAMMA; 0 without them, so that equal steps are equal */
    enum ab_seed seed;
    enum ab_host host;
    uint64_t number;
    int target, rival; /* SEED: 0..targets - 1; as in struct ab_composite */
    double q;
    float tau_floor;
    float fill[AB_MAX_CHANNEL_BOUNDS];
    int n_fill, channel, map;
    /* CONV beside a quotient, where rounding must not spread over a Winograd tile. `direct`: never
     * Winograd. `guard` (-1: none): only where the values found at run time allow it. FWD: dst will
     * divide relevance that is a product with value `guard`. BWD: x is a quotient by value `guard`.
     */
    bool direct;
    int guard;
    /* FWD beside a guard that is the ReLU's output, -1: none. Where that is positive, dst and value
     * `rest`, the sums of either sign with their biases, add up to it. */
    int rest;
    bool constant; /* depends on weights alone: run once, when the plan is made */
    int gang; /* adjacent steps of the same number are one unit of work: see ab_gangs. 0: none */
};

enum ab_dtype {
    AB_F32,    /* data */
    AB_SWITCH, /* uint16 switches of a pooled map */
    AB_BITS,   /* one bit an element */
    AB_TAU     /* one float per image */
};

/* Discrete decisions, which rounding can flip: kept units of a forward ReLU, of one with a cap, of
 * RectGrad, and max-pool winners. */
enum ab_decision {
    AB_DECIDE_NOTHING,
    AB_DECIDE_RELU,
    AB_DECIDE_CAP,
    AB_DECIDE_RECT,
    AB_DECIDE_SWITCH
};

/* What is decided of a unit; AT_CAP by CAP alone. */
enum ab_unit_state { AB_UNIT_DROPPED, AB_UNIT_KEPT, AB_UNIT_AT_CAP };

struct ab_value {
    struct ab_dims dims;
    bool vector, nonneg, constant;
    enum ab_dtype dtype;
    enum ab_decision decision;
    int node;            /* the graph node whose forward value this is, or -1 */
    int def, last_use;   /* step indices; def -1: fused away. Maintained by ab_program_liveness */
    struct ab_halo halo; /* zero border that readers need: see ab_program_halos */
    /* Set by the backend's `open` (bytes for the whole batch) and the planner (offset in the
     * arena). */
    size_t bytes, offset;
};

struct ab_program {
    struct ab_step *steps;
    int n_steps, step_capacity;
    struct ab_value *values;
    int n_values, value_capacity;
    int logits;   /* value id; of a walk from inside, the output of its layer */
    int targets;  /* maps of each method: targets, or signals of a walk from inside */
    int *outputs; /* [method][target]: value id of the map, before export */
    int n_outputs;
    /* Of a walk with `keep`, else NULL: value ids of the forward value of each node, [n_nodes], and
     * of the signal at its output in the walk of each map, [n_outputs][n_nodes]; -1: none. */
    int *activations, *signals, n_nodes;
};

/* How methods are lowered, each walk back becoming a map. `signals` > 0: from the output of node
 * `from` with signals that the caller gives, map number m * signals + k being that of method m and
 * signal k. Otherwise from the logits with the method's seed for each of `targets` targets (0: 1).
 * `keep`: every forward value and every signal at a node's output stays readable after an
 * execution. */
struct ab_walk {
    int from, signals, targets;
    int at; /* the node whose output's signal becomes the map; 0: the image */
    bool keep;
};

/* Writes the program of `methods` on `graph`; walk NULL: one walk from the logits. What lies above
 * a walk's beginning is in the program neither backward nor forward. Errors name the method and the
 * layer. */
enum ab_status ab_lower(const struct ab_graph *graph, const struct ab_method *const *methods,
                        int n_methods, const struct ab_walk *walk, struct ab_program *program,
                        struct ab_error *err);
/* The three passes below return false where memory is lacking; the program is of no use then. */

/* Whether the backend would compute this CONV step by an algorithm that spreads rounding errors
 * over a tile, as Winograd's does. */
typedef bool ab_spreads(const void *user, const struct ab_step *step);
/* Replaces activations by their signs, one bit an element, in the steps that need no more of them,
 * and gives guarded sums the bits of their guard where that decides anything, or with `spreads`
 * NULL makes them direct: for backends with kernels for it. The new values have ids after all
 * others. */
bool ab_bits(struct ab_program *program, ab_spreads *spreads, const void *user);
/* Folds pointwise steps into the CONV and DENSE steps, and with `pools` the backward pools, that
 * feed them, where nothing else reads the value between. */
bool ab_fuse(struct ab_program *program, bool pools);
/* Reorders the steps so that those of different methods and targets that use the same weights of a
 * dense layer, or share the sums of a convolution, are adjacent, and gives these the same `gang`.
 * Every step still follows those whose values it reads; of a gang of DENSE steps one may add what
 * an earlier one makes. A backend computes a gang as one unit: no value that one of its steps reads
 * or writes may share memory with another's. */
bool ab_gangs(struct ab_program *program);
/* How many steps the gang has that begins at step `first` (1: none does), and the first step of the
 * gang of `step` (itself: none). */
int ab_gang_size(const struct ab_program *program, int first);
int ab_gang_first(const struct ab_program *program, int step);
/* Whether two steps of one op use the same layer, direction and part of the weights. */
bool ab_same_weights(const struct ab_step *s, const struct ab_step *t);
/* Recomputes def and last_use. */
void ab_program_liveness(struct ab_program *program);
/* Sets each map's halo to what the CONV steps that read it as x need (for backends that keep
 * halos). */
void ab_program_halos(struct ab_program *program, const struct ab_graph *graph);
void ab_program_free(struct ab_program *program);

const char *ab_op_name(enum ab_op op);

#endif
