// SPDX-License-Identifier: Apache-2.0
// Pointwise rules, AVX2 with FMA: the loop over rows around pointwise_tpl.h.
#include "vec_avx2.h"
#include "pointwise_tpl.h"
#include "pointwise_rows.h"

void ab_pointwise_avx2(const void *args);
void ab_pointwise_avx2(const void *args)
{
    pw_rows(args);
}
