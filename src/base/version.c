// SPDX-License-Identifier: Apache-2.0
// The version, which the build knows.
#include "attrbench/attrbench.h"

#include "ab_version.h"

const char *ab_version(void)
{
    return AB_VERSION;
}
