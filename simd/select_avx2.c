// SPDX-License-Identifier: Apache-2.0
// Radix histograms, AVX2 with FMA.
#include "vec_avx2.h"
#include "select_tpl.h"

void ab_select_avx2(const void *args);
void ab_select_avx2(const void *args)
{
    select_run(args);
}
