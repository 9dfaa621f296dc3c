// SPDX-License-Identifier: Apache-2.0
// Fully connected layers, AVX-512.
#include "vec_avx512.h"
#include "dense_tpl.h"

void ab_dense_avx512(const void *args);
void ab_dense_avx512(const void *args)
{
    dense_run(args);
}
