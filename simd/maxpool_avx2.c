// SPDX-License-Identifier: Apache-2.0
// Max pooling, AVX2 with FMA.
#include "vec_avx2.h"
#include "maxpool_tpl.h"

void ab_maxpool_avx2(const void *args);
void ab_maxpool_avx2(const void *args)
{
    maxpool_run(args);
}
