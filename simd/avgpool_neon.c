// SPDX-License-Identifier: Apache-2.0
// Average pooling, NEON.
#include "vec_neon.h"
#include "avgpool_tpl.h"

void ab_avgpool_neon(const void *args);
void ab_avgpool_neon(const void *args)
{
    avgpool_run(args);
}
