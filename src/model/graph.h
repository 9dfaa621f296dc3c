// SPDX-License-Identifier: Apache-2.0
// The network as the planner sees it: nodes in topological order, shapes inferred, weights owned.
// Immutable once finished.
#ifndef AB_GRAPH_H
#define AB_GRAPH_H

#include "base/base.h"
#include "simd/kernels.h"

/* The layer kinds; readers, builders and rules speak of these alone. */
#define AB_NODE_KINDS(X)                                                                           \
    X(INPUT)                                                                                       \
    X(CONV) X(DENSE) X(RELU) X(MAXPOOL) X(AVGPOOL) X(BATCHNORM) X(ADD) X(CONCAT) X(FLATTEN) X(PAD)

enum ab_node_kind {
#define X(kind) AB_NODE_##kind,
    AB_NODE_KINDS(X)
#undef X
        AB_NODE_KIND_COUNT
};

/* One layer. `in` are indices of earlier nodes. For one sample: shapes carry n = 1. ADD has two
 * inputs of equal dims, CONCAT one or more of equal h and w (vectors too), INPUT none and is node
 * 0, all others one. An input may occur twice. RELU, BATCHNORM, ADD and CONCAT take vectors and
 * images; CONV, the pools and PAD images; DENSE vectors; FLATTEN images. */
struct ab_node {
    enum ab_node_kind kind;
    char *name;
    int *in, n_in;
    struct ab_dims dims; /* of the output; for vectors c = features, h = w = 1 */
    bool vector;         /* output is a flat vector (FLATTEN, DENSE and what follows) */
    bool nonneg; /* output is >= 0 whatever the image (after ReLU and what keeps the sign) */
    struct ab_conv2d_shape conv; /* CONV */
    struct ab_pool_shape pool;   /* MAXPOOL, AVGPOOL (global: window = image; every window holds at
                                    least one tap inside the image) */
    int pad[4];                  /* PAD, zeros: top, left, bottom, right */
    float cap;                   /* RELU: the upper bound of its output (ReLU6: 6); 0: none */
    /* CONV [oc][ic/g][kh][kw]; DENSE [out][in]. BATCHNORM: wei = scale, bias = shift, [c] (y =
     * scale*x + shift). bias, [dims.c], may be NULL but in BATCHNORM. From ab_buffer_alloc, finite.
     */
    float *wei, *bias;
    size_t wei_count;
};

struct ab_graph {
    char *name;
    struct ab_node *nodes;
    int n_nodes, capacity;
    int output;        /* the node of the logits: a vector */
    char *notes;       /* lines, each ended by '\n' but the last; NULL if none */
    size_t parameters; /* trainable ones as its framework counts them: before batch-norms fold */
};

/* ---- building: add nodes, then finish. The graph owns what it is given on success and on failure
 * alike ---- */

enum ab_status ab_graph_create(const char *name, struct ab_graph **graph, struct ab_error *err);

/* Appends a node of `kind` with inputs `in` and returns it zeroed but for these, or NULL when out
 * of memory. The index is graph->n_nodes - 1. The pointer lives until the next call. */
struct ab_node *ab_graph_add(struct ab_graph *graph, enum ab_node_kind kind, const char *name,
                             const int *in, int n_in);

/* Infers and checks all shapes, checks weights for NaN and Inf and counts them, folds each
 * batch-norm that directly and solely follows a CONV or DENSE into it, drops nodes that the output
 * does not need (their indices change, names do not), sets nonneg. Errors name the node. What a
 * node needs beforehand (the rest is filled in): INPUT    dims CONV     conv.g, oc, kh, kw, sh, sw,
 * dh, dw, pt, pl, pb, pr; weights pools    pool.kh .. pr as conv (kh = 0: the whole image, other
 * attributes ignored), include_pad, oh = ow = -1 for ceil mode, 0 for floor DENSE    dims.c =
 * outputs; weights PAD      pad RELU     cap, if it has one */
enum ab_status ab_graph_finish(struct ab_graph *graph, int output, struct ab_error *err);

/* Appends one line to graph->notes. */
enum ab_status ab_graph_note(struct ab_graph *graph, struct ab_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The layer of this name; none is an AB_ERR_ARG that names the nearest. */
enum ab_status ab_graph_find(const struct ab_graph *graph, const char *name, int *node,
                             struct ab_error *err);

/* The network after `node` as a graph of its own, with copied weights and names, whose input is
 * that node's output. The node must be a cut: every way from the input to the logits leads through
 * it (not so: AB_ERR_UNSUPPORTED, naming a layer that bypasses it), and something must follow it.
 * Where that output is >= 0 (nonneg), so must be what the tail is given: methods rely on it. */
enum ab_status ab_graph_tail(const struct ab_graph *graph, int node, struct ab_graph **tail,
                             struct ab_error *err);

/* Content hash of structure and weights. */
uint64_t ab_graph_hash(const struct ab_graph *graph);

const char *ab_node_kind_name(enum ab_node_kind kind);

/* Sides of the image that a built-in network may be asked for, "resnet50@448", "resnet50@320x256";
 * without asking 224 x 224. */
enum { AB_SIDE_USUAL = 224, AB_SIDE_LEAST = 32, AB_SIDE_MOST = 2048 };

/* ---- built-in networks: src/model/models.def lists them, src/model/net_<name>.c builds them ----
 */

/* Conveniences for builders (src/model/build.c); each appends one layer and returns its index, or
 * -1 after the first failure, so that a builder is a straight list of calls checked once at the
 * end. Weights are He-initialised from the graph's seed and the layer's name, biases 0 unless
 * `bias`, in which case small normal values (std 0.01). */
struct ab_builder {
    struct ab_graph *graph;
    uint64_t seed;
    int h, w; /* the image that the network is built for */
    enum ab_status status;
    struct ab_error *err;
};
int ab_build_input(struct ab_builder *b, int c, int h, int w);
/* The input of a network that pools its features to `to` x `to` whatever the image: 3 x b->h x
 * b->w. `features`: the rows (columns) of features that so many rows (columns) of the image give.
 * Sizes whose pooling windows would not be equal are an AB_ERR_ARG that says which would. */
int ab_build_image(struct ab_builder *b, int (*features)(int side), int to);
/* square kernel k, stride s, padding p, groups g, dilation 1 */
int ab_build_conv(struct ab_builder *b, const char *name, int in, int oc, int k, int s, int p,
                  int g, bool bias);
int ab_build_dense(struct ab_builder *b, const char *name, int in, int out, bool bias);
int ab_build_relu(struct ab_builder *b, const char *name, int in);
int ab_build_capped_relu(struct ab_builder *b, const char *name, int in, float cap);
int ab_build_maxpool(struct ab_builder *b, const char *name, int in, int k, int s, int p,
                     bool ceil_mode);
int ab_build_avgpool(struct ab_builder *b, const char *name, int in, int k, int s, int p);
int ab_build_global_avgpool(struct ab_builder *b, const char *name, int in);
/* Averages to `to` x `to`, by windows that are equal and do not overlap: the size of `in` is a
 * multiple. Where it is `to` already nothing is added: the index of `in`. */
int ab_build_avgpool_to(struct ab_builder *b, const char *name, int in, int to);
int ab_build_batchnorm(struct ab_builder *b, const char *name, int in);
/* `gain`: the mean of its scales; below 1 in front of a residual addition, so that sums stay
 * bounded */
int ab_build_batchnorm_gain(struct ab_builder *b, const char *name, int in, double gain);
int ab_build_add(struct ab_builder *b, const char *name, int u, int v);
int ab_build_concat(struct ab_builder *b, const char *name, const int *in, int n_in);
int ab_build_flatten(struct ab_builder *b, const char *name, int in);

#endif
