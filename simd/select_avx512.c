// SPDX-License-Identifier: Apache-2.0
// Radix histograms, AVX-512.
#include "vec_avx512.h"
#include "select_tpl.h"

void ab_select_avx512(const void *args);
void ab_select_avx512(const void *args)
{
    select_run(args);
}
