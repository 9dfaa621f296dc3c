// SPDX-License-Identifier: Apache-2.0
// Fully connected layers, NEON.
#include "vec_neon.h"
#include "dense_tpl.h"

void ab_dense_neon(const void *args);
void ab_dense_neon(const void *args)
{
    dense_run(args);
}
