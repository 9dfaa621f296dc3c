// SPDX-License-Identifier: Apache-2.0
// Fully connected layers, AVX2 with FMA.
#include "vec_avx2.h"
#include "dense_tpl.h"

void ab_dense_avx2(const void *args);
void ab_dense_avx2(const void *args)
{
    dense_run(args);
}
