// SPDX-License-Identifier: Apache-2.0
// Names and failures of outcomes, and the list of operations.
#include "verify/verify.h"

#include <stdarg.h>
#include <stdio.h>

const char *ab_check_name(enum ab_check check)
{
    static const char *const names[] = {
#define AB_CHECK(name, meaning) #name,
#include "verify/checks.def"
#undef AB_CHECK
    };
    return names[check];
}

const char *ab_check_meaning(enum ab_check check)
{
    static const char *const meanings[] = {
#define AB_CHECK(name, meaning) meaning,
#include "verify/checks.def"
#undef AB_CHECK
    };
    return meanings[check];
}

const char *ab_outcome_name(enum ab_outcome_kind kind)
{
    static const char *const names[] = {"pass", "fail", "mistrusted", "unsupported", "skipped"};
    return names[kind];
}

void ab_outcome_fail(struct ab_outcome *o, enum ab_check check, const char *format, ...)
{
    if (o->kind == AB_OUTCOME_FAIL) return;
    o->kind = AB_OUTCOME_FAIL;
    o->check = check;
    va_list args;
    va_start(args, format);
    vsnprintf(o->why, sizeof o->why, format, args);
    va_end(args);
}

const struct ab_verify_op *ab_verify_op_of(enum ab_kernel_op op)
{
    static const struct ab_verify_op *const ops[] = {
#define AB_VERIFY_OP(name) &ab_verify_op_##name,
#include "verify/ops.def"
#undef AB_VERIFY_OP
        NULL};
    for (int i = 0; ops[i]; i++)
        if (ops[i]->op == op) return ops[i];
    return NULL;
}
