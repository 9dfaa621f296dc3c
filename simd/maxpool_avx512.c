// SPDX-License-Identifier: Apache-2.0
// Max pooling, AVX-512.
#include "vec_avx512.h"
#include "maxpool_tpl.h"

void ab_maxpool_avx512(const void *args);
void ab_maxpool_avx512(const void *args)
{
    maxpool_run(args);
}
