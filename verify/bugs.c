// SPDX-License-Identifier: Apache-2.0
// The table of seeded bugs, made of bugs.def.
#include "verify/bugs.h"

#include <stdio.h>
#include <string.h>

enum {
#define AB_CHECK(name, meaning) by_##name = 1 << AB_CHECK_##name,
#include "verify/checks.def"
#undef AB_CHECK
};

static const struct ab_bug bugs[] = {
#define AB_BUG(op, name, like, checks, what)                                                       \
    {#op "_" #name, what, #like, AB_KERNEL_##op, checks, ab_bug_##op##_##name},
#include "verify/bugs.def"
#undef AB_BUG
};

const struct ab_bug *ab_bugs(int *count)
{
    *count = (int)(sizeof bugs / sizeof *bugs);
    return bugs;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && name[length - tail - 1] == '_' &&
           strcmp(name + length - tail, end) == 0;
}

const struct ab_kernel *ab_bug_base(enum ab_kernel_op op, const char *like)
{
    int count;
    const struct ab_kernel *all = ab_kernels(&count);
    for (int i = 0; i < count; i++)
        if (all[i].op == op && ab_cpu_isas() >> all[i].isa & 1u && ends_with(all[i].name, like))
            return &all[i];
    return NULL;
}

void ab_bug_run(enum ab_kernel_op op, const char *like, const void *args)
{
    ab_bug_base(op, like)->run(args);
}

bool ab_bug_candidate(const struct ab_bug *bug, struct ab_kernel *kernel,
                      struct ab_candidate *candidate)
{
    const struct ab_kernel *base = ab_bug_base(bug->op, bug->like);
    const unsigned assembly = by_registers | by_stack;
    if (!base || (bug->checks & assembly && !ab_bug_has_assembly)) return false;
    *kernel = *base;
    kernel->run = bug->run;
    memset(candidate, 0, sizeof *candidate);
    snprintf(candidate->name, sizeof candidate->name, "bug:%s", bug->name);
    snprintf(candidate->isa, sizeof candidate->isa, "%s", ab_isa_name(base->isa));
    candidate->op = bug->op;
    candidate->kernel = kernel;
    return true;
}
