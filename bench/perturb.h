// SPDX-License-Identifier: Apache-2.0
// Images with parts replaced, the orders in which that is done, and control maps.
#ifndef AB_BENCH_PERTURB_H
#define AB_BENCH_PERTURB_H

#include "base/base.h"

/* Maps that know nothing of the network: |x|, uniform noise, the size of the Sobel gradient of the
 * mean over channels. */
enum ab_control { AB_CONTROL_INPUT, AB_CONTROL_RANDOM, AB_CONTROL_EDGES, AB_CONTROLS };
extern const char *const ab_control_names[AB_CONTROLS];
/* x, map: [c][h][w] */
void ab_control_map(enum ab_control control, const float *x, struct ab_dims dims, uint64_t seed,
                    float *map);

/* What stands in for pixels of an image: the mean of each channel, the image blurred (a Gaussian of
 * 1/16 of the longer side), uniform noise between the least and the largest value of each channel.
 */
enum ab_stand_in { AB_STAND_IN_MEAN, AB_STAND_IN_BLUR, AB_STAND_IN_NOISE, AB_STAND_INS };
extern const char *const ab_stand_in_names[AB_STAND_INS];
/* False when out of memory. */
bool ab_stand_in_image(enum ab_stand_in kind, const float *x, struct ab_dims dims, uint64_t seed,
                       float *out);

/* The places of scores from the highest to the lowest, equal ones by place. */
void ab_descending(const double *scores, int count, int *order);

/* A grid of square patches of `side` pixels; those at the right and lower ends may be smaller. */
struct ab_grid {
    int side, rows, columns, count;
};
struct ab_grid ab_grid_of(struct ab_dims dims, int side);
/* Sum of pixel scores [h][w] in each patch. */
void ab_grid_sums(struct ab_grid grid, struct ab_dims dims, const double *pixels, double *sums);
/* Copies patch number `patch` of all channels. */
void ab_grid_copy(struct ab_grid grid, struct ab_dims dims, int patch, const float *from,
                  float *to);

/* Area under points (x ascending) by trapezoids, over the range of x. */
double ab_area_under(const double *x, const double *y, int count);

#endif
