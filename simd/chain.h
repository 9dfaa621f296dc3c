// SPDX-License-Identifier: Apache-2.0
// How kernels add up: what bounds on their rounding errors need to know.
#ifndef AB_SIMD_CHAIN_H
#define AB_SIMD_CHAIN_H

#include "kernels.h"

/* The roundings that one term of a sum of `terms` (products, bias and add) may pass through at most
 * in a kernel of conv2d or dense (their f64 too), in whatever order the terms come. Kernels with
 * ab_kernel_amplification are bounded by that instead. */
long ab_kernel_chain(const struct ab_kernel *k, long terms);

#endif
