// SPDX-License-Identifier: Apache-2.0
// Pointwise rules, AVX-512: the loop over rows around pointwise_tpl.h.
#include "vec_avx512.h"
#include "pointwise_tpl.h"
#include "pointwise_rows.h"

void ab_pointwise_avx512(const void *args);
void ab_pointwise_avx512(const void *args)
{
    pw_rows(args);
}
