// SPDX-License-Identifier: Apache-2.0
// Shapes of maps ("n2c20h7w9"), of pointwise and select.
#ifndef AB_VERIFY_MAP_H
#define AB_VERIFY_MAP_H

#include "verify/verify.h"

bool ab_map_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err);
void ab_map_shape_print(const struct ab_trial *trial, char *text, size_t size);
void ab_map_shape_draw(struct ab_rng *rng, struct ab_map_shape *s);
bool ab_map_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller);
/* One, lanes +-1, odd rows, a vector of features. */
const struct ab_map_shape *ab_map_shapes(int *count);

#endif
