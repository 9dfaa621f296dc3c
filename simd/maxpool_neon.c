// SPDX-License-Identifier: Apache-2.0
// Max pooling, NEON.
#include "vec_neon.h"
#include "maxpool_tpl.h"

void ab_maxpool_neon(const void *args);
void ab_maxpool_neon(const void *args)
{
    maxpool_run(args);
}
