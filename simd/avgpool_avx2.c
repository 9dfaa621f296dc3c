// SPDX-License-Identifier: Apache-2.0
// Average pooling, AVX2 with FMA.
#include "vec_avx2.h"
#include "avgpool_tpl.h"

void ab_avgpool_avx2(const void *args);
void ab_avgpool_avx2(const void *args)
{
    avgpool_run(args);
}
