// SPDX-License-Identifier: Apache-2.0
// Two-dimensional spectra of small maps, in bands of radial frequency.
#ifndef AB_BENCH_SPECTRUM_H
#define AB_BENCH_SPECTRUM_H

#include "base/base.h"

/* Bands by f = hypot of cycles per pixel along both axes: up to 1/16, 1/8, 1/4, and all above.
 * Frequency 0, the mean, is in none of them. */
enum { AB_BANDS = 4 };
extern const char *const ab_band_names[AB_BANDS];

/* The discrete Fourier transform of a real [h][w], unscaled: out [h][w] of (re, im). Any sizes;
 * fast where they have small factors. work: 10 * (h > w ? h : w) doubles. */
void ab_transform(const float *map, int h, int w, double *out, double *work);

/* Energy of maps a and b in each band, and what they have in common, their inner product over it,
 * summed over channels. Scaled so that energies over all frequencies, the mean too, add up to the
 * sum of squares (Parseval). */
struct ab_bands {
    double a[AB_BANDS], b[AB_BANDS], common[AB_BANDS], mean_a, mean_b;
};
/* False when out of memory. */
bool ab_bands_of(const float *a, const float *b, struct ab_dims dims, struct ab_bands *bands);

/* The share of a's energy in a band that b reproduces, scaled as suits the band best: the square of
 * the cosine there. NaN where one of them has none. */
double ab_band_retained(const struct ab_bands *bands, int band);

#endif
