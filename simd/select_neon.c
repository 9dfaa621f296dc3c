// SPDX-License-Identifier: Apache-2.0
// Radix histograms, NEON.
#include "vec_neon.h"
#include "select_tpl.h"

void ab_select_neon(const void *args);
void ab_select_neon(const void *args)
{
    select_run(args);
}
