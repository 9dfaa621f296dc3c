// SPDX-License-Identifier: Apache-2.0
// What call_<architecture>.c offer to call.c.
#ifndef AB_VERIFY_CALL_MACHINE_H
#define AB_VERIFY_CALL_MACHINE_H

#include "verify/verify.h"

/* Calls run(args) and returns what it returned; what it did to registers, floating-point
 * environment, vector state and the caller's stack fails `outcome`, and is undone. */
int ab_call_machine(int (*run)(const void *), const void *args, struct ab_outcome *outcome);

/* The canary on the caller's stack: this many 8-byte words of this value, from where the callee's
 * return address was pushed, or its frame ended, upwards. */
#define AB_CALL_CANARY       0x5ca1ab1ec0ffee11
#define AB_CALL_CANARY_WORDS 256
#define AB_CALL_TEXT2(x)     #x
#define AB_CALL_TEXT(x)      AB_CALL_TEXT2(x)

#endif
