// SPDX-License-Identifier: Apache-2.0
// Pointwise rules in plain C: the speed baseline, compiled at several instruction sets.
#include "pointwise_scalar.h"
#include "pointwise_rows.h"

#ifndef AB_SYMBOL
#define AB_SYMBOL ab_pointwise_plain
#endif

void AB_SYMBOL(const void *args);
void AB_SYMBOL(const void *args)
{
    pw_rows(args);
}
