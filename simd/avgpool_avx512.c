// SPDX-License-Identifier: Apache-2.0
// Average pooling, AVX-512.
#include "vec_avx512.h"
#include "avgpool_tpl.h"

void ab_avgpool_avx512(const void *args);
void ab_avgpool_avx512(const void *args)
{
    avgpool_run(args);
}
