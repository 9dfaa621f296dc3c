// SPDX-License-Identifier: Apache-2.0
// A sampled method without the network: which inputs it makes of an image, and what becomes of the
// maps that its base method gives for them. The sampler and the referee (src/agree) both go by it,
// so that they explain the same inputs, bit for bit.
//
// Sample k of an image depends on the image, the method and k alone. Maps are taken in the order of
// k, one at a time, into two sums per element of the map, however many samples there are.
#ifndef AB_DRAW_H
#define AB_DRAW_H

#include "method/method.h"
#include "model/graph.h"

struct ab_draw {
    struct ab_sampling how;
    struct ab_dims dims;
    size_t count;    /* elements of one image */
    int n;           /* samples of an image */
    double *point;   /* PATH: [n] in [0, 1] */
    double *weight;  /* PATH: [n], their sum is 1 */
    float *baseline; /* SHAP: [n_baselines][c][h][w], NULL: random ones */
    int n_baselines;
    int window_h, window_w, stride_h, stride_w, columns; /* OCCLUSION: windows by rows */
};

/* Reads the file of baselines if there is one; checks that the method fits the network's input. */
enum ab_status ab_draw_open(const struct ab_method *method, const struct ab_graph *graph,
                            struct ab_draw *draw, struct ab_error *err);
void ab_draw_close(struct ab_draw *draw);

/* Nodes and weights of a rule with n points on [0, 1]; the weights' sum is 1 to the last bit or
 * two. n >= 2 for the trapezoid rule. */
void ab_path_points(enum ab_path_rule rule, int n, double *point, double *weight);

/* Whether each sample comes with a second array of the image's size (the way from a
 * baseline, or for DEEPLIFT_SHAP the baseline itself). */
bool ab_draw_has_way(const struct ab_draw *draw);
/* Whether maps of the base method are needed; else its logits. */
bool ab_draw_has_maps(const struct ab_draw *draw);

/* Sample k of `image` into input[count], and its way into way[count]. */
void ab_draw_input(const struct ab_draw *draw, const float *image, int k, float *input, float *way,
                   int threads);

/* Sums of one image: 2 * count doubles. Begin; add the samples 0, 1, ... n - 1 in turn; end. */
void ab_draw_begin(const struct ab_draw *draw, double *sums);
/* map: [count] of sample k, or NULL; logit: the target's. */
void ab_draw_add(const struct ab_draw *draw, int k, const double *map, const float *way,
                 double logit, double *sums, int threads);
/* Leaves the method's map in sums[0..count). */
void ab_draw_end(const struct ab_draw *draw, const float *image, double *sums);

#endif
