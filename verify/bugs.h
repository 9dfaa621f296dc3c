// SPDX-License-Identifier: Apache-2.0
// Seeded bugs: kernels that are wrong in a known way, by which verify itself is tested.
#ifndef AB_VERIFY_BUGS_H
#define AB_VERIFY_BUGS_H

#include "verify/verify.h"

/* A candidate that stands in for the kernel `like` (the first of its operation whose name ends so
 * and whose instruction set this CPU has: most stand in for "ref") and calls it with other
 * arguments, spoils what it has written, or computes with a text of its own. */
struct ab_bug {
    const char *name, *what, *like;
    enum ab_kernel_op op;
    unsigned checks; /* of 1u << AB_CHECK_*: those that may catch it */
    void (*run)(const void *args);
};

const struct ab_bug *ab_bugs(int *count);

/* The bug in the place of its kernel, as `*kernel` and `*candidate`, which points at it; false
 * where this CPU has no such kernel. */
bool ab_bug_candidate(const struct ab_bug *bug, struct ab_kernel *kernel,
                      struct ab_candidate *candidate);

/* The kernel that bugs of `op` stand in for. */
const struct ab_kernel *ab_bug_base(enum ab_kernel_op op, const char *like);
/* Runs it. */
void ab_bug_run(enum ab_kernel_op op, const char *like, const void *args);

/* The texts that bugs are planted in, without a bug. (Bugs that pass other arguments on are planted
 * in the kernel itself.) */
void ab_bug_sound_conv2d(const void *args);
void ab_bug_sound_maxpool(const void *args);
void ab_bug_sound_avgpool(const void *args);
void ab_bug_sound_pointwise(const void *args);
void ab_bug_sound_select(const void *args);

/* Where registers and the stack can be spoilt: elsewhere such bugs are left out. */
extern const bool ab_bug_has_assembly;

/* A result changed by the least that is visible. */
static inline float ab_bug_nudge(float v)
{
    union {
        float f;
        uint32_t u;
    } b = {.f = v};
    b.u ^= 1u;
    return b.f;
}

#define AB_BUG(op, name, like, checks, what) void ab_bug_##op##_##name(const void *args);
#include "verify/bugs.def"
#undef AB_BUG

#endif
