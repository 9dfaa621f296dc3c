// SPDX-License-Identifier: Apache-2.0
// Calls on architectures whose calling convention is not checked.
#include "verify/call_machine.h"

#if !defined __x86_64__ && !defined __aarch64__
int ab_call_machine(int (*run)(const void *), const void *args, struct ab_outcome *outcome)
{
    (void)outcome;
    return run(args);
}
#endif
