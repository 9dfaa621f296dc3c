// SPDX-License-Identifier: Apache-2.0
// The pointwise rules one element at a time, from the contract of simd/kernels.h alone.
#ifndef AB_VERIFY_RULE_H
#define AB_VERIFY_RULE_H

#include "simd/kernels.h"

/* One element's operands; the kind says which are read. */
struct ab_rule {
    enum ab_pointwise_kind kind;
    float eps, scale, x, a, z, tau, mul, add;
    bool has_add, bit;
};

/* What may come out. Sums of products that may be fused have several admissible values; where a
 * product with `scale` is 0, or rounds to it, the sign of that 0 is nobody's promise. */
struct ab_ruled {
    float value[3];
    int values;
    bool zero_sign_free;
    bool bit; /* of the kinds that make one */
};

struct ab_ruled ab_rule_apply(const struct ab_rule *r);
bool ab_ruled_admits(const struct ab_ruled *want, float got);

bool ab_rule_reads_a(enum ab_pointwise_kind kind);
bool ab_rule_reads_z(enum ab_pointwise_kind kind);
bool ab_rule_reads_bits(enum ab_pointwise_kind kind);
bool ab_rule_makes_bits(enum ab_pointwise_kind kind);
/* Whether `scale` is the cap of a ReLU: above 0. */
bool ab_rule_has_cap(enum ab_pointwise_kind kind);

#endif
