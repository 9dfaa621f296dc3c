// SPDX-License-Identifier: Apache-2.0
// Numbers of documents: JSON has none that are not finite.
#ifndef AB_JSON_NUMBER_H
#define AB_JSON_NUMBER_H

#include <math.h>

#include <jansson.h>

/* null for what is not finite. */
static inline json_t *ab_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

#endif
