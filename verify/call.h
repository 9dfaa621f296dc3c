// SPDX-License-Identifier: Apache-2.0
// Calls of code that is not trusted: what the calling convention promises is checked afterwards.
#ifndef AB_VERIFY_CALL_H
#define AB_VERIFY_CALL_H

#include "verify/verify.h"

/* Calls run(args) with known values in the callee-saved registers and on the stack above its frame,
 * and fails `outcome` (registers, environment, upper, stack) unless they are there afterwards;
 * restores them. MXCSR/FPCR status flags may change, control bits may not. Architectures other than
 * x86-64 and AArch64: the plain call. */
void ab_call(void (*run)(const void *), const void *args, struct ab_outcome *outcome);
/* The same for a foreign kernel; returns what it returned. */
int ab_call_foreign(int (*run)(const void *), const void *args, struct ab_outcome *outcome);

/* Calls run(args[i]) for all i < count at the same time, each on a thread of its own, started
 * together. */
void ab_call_together(void (*run)(const void *), const void *const *args, int count,
                      struct ab_outcome *outcome);

#endif
