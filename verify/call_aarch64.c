// SPDX-License-Identifier: Apache-2.0
// A checked call by the procedure call standard of AArch64.
#ifdef __aarch64__

#include "verify/call_machine.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { REGISTERS = 11, VECTORS = 8 }; /* x19-x29, d8-d15 */

/* What the call is given and what it leaves. A thread's own, found through the thread pointer:
 * after a call no other register can be relied on. */
struct ab_call_record {
    int (*run)(const void *);
    const void *args;
    uint64_t want[REGISTERS + VECTORS], got[REGISTERS + VECTORS];
    uint64_t sp, sp_after; /* the lowest word of the canary; the stack pointer after the call */
    uint64_t fpcr, fpcr_after, canary_left, result;
};

extern _Thread_local struct ab_call_record ab_call_record
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
_Thread_local struct ab_call_record ab_call_record;

void ab_call_raw(void) __attribute__((visibility("hidden")));

/* Offsets into the record, for the assembly. */
#define AT_RUN      "0"
#define AT_WANT     "16"
#define AT_WANT_FP  "96" /* of x29 */
#define AT_WANT_D   "104"
#define AT_GOT      "168"
#define AT_GOT_FP   "248"
#define AT_GOT_D    "256"
#define AT_SP       "320"
#define AT_SP_AFTER "328"
#define AT_FPCR     "336"
#define AT_FPCR2    "344"
#define AT_CANARY   "352"
#define AT_RESULT   "360"
#define IS_AT(member, at)                                                                          \
    _Static_assert(offsetof(struct ab_call_record, member) == (at), "offset of " #member)
IS_AT(want, 16);
IS_AT(got, 168);
IS_AT(sp, 320);
IS_AT(sp_after, 328);
IS_AT(fpcr, 336);
IS_AT(fpcr_after, 344);
IS_AT(canary_left, 352);
IS_AT(result, 360);

#define WORDS AB_CALL_TEXT(AB_CALL_CANARY_WORDS)
/* clang-format off */
#define RECORD                                                                                     \
    "    mrs x9, tpidr_el0\n"                                                                      \
    "    adrp x10, :gottprel:ab_call_record\n"                                                     \
    "    ldr x10, [x10, :gottprel_lo12:ab_call_record]\n"                                          \
    "    add x9, x9, x10\n"
#define CANARY_IN_X11                                                                              \
    "    ldr x11, =" AB_CALL_TEXT(AB_CALL_CANARY) "\n"
/* op x19..x28 and d8..d15 at record offsets. */
#define EACH(op, x, d)                                                                             \
    "    .set at, " x "\n"                                                                         \
    "    .irp i,19,20,21,22,23,24,25,26,27,28\n"                                                   \
    "    " op " x\\i, [x9, #at]\n"                                                                 \
    "    .set at, at + 8\n"                                                                        \
    "    .endr\n"                                                                                  \
    "    .set at, " d "\n"                                                                         \
    "    .irp i,8,9,10,11,12,13,14,15\n"                                                           \
    "    " op " d\\i, [x9, #at]\n"                                                                 \
    "    .set at, at + 8\n"                                                                        \
    "    .endr\n"
#define PAIRS(op)                                                                                  \
    "    " op " x19, x20, [sp, #16]\n"                                                             \
    "    " op " x21, x22, [sp, #32]\n"                                                             \
    "    " op " x23, x24, [sp, #48]\n"                                                             \
    "    " op " x25, x26, [sp, #64]\n"                                                             \
    "    " op " x27, x28, [sp, #80]\n"                                                             \
    "    " op " d8, d9, [sp, #96]\n"                                                               \
    "    " op " d10, d11, [sp, #112]\n"                                                            \
    "    " op " d12, d13, [sp, #128]\n"                                                            \
    "    " op " d14, d15, [sp, #144]\n"

__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl ab_call_raw\n"
    ".hidden ab_call_raw\n"
    ".type ab_call_raw, %function\n"
    "ab_call_raw:\n"
    "    .cfi_startproc\n"
    "    stp x29, x30, [sp, #-160]!\n"
    "    .cfi_def_cfa_offset 160\n"
    "    .cfi_offset x29, -160\n"
    "    .cfi_offset x30, -152\n"
    PAIRS("stp")
    "    mov x29, sp\n"
    "    .cfi_def_cfa_register x29\n"
    "    sub sp, sp, #(8*" WORDS ")\n"
    RECORD
    "    mov x10, sp\n"
    "    str x10, [x9, #" AT_SP "]\n"
    "    str x29, [x9, #" AT_WANT_FP "]\n"
    "    mrs x12, fpcr\n"
    "    str x12, [x9, #" AT_FPCR "]\n"
    CANARY_IN_X11
    "    mov x12, #" WORDS "\n"
    "1:  str x11, [x10], #8\n"
    "    subs x12, x12, #1\n"
    "    b.ne 1b\n"
    EACH("ldr", AT_WANT, AT_WANT_D)
    "    ldp x16, x0, [x9, #" AT_RUN "]\n"
    "    blr x16\n"
    RECORD
    "    str x0, [x9, #" AT_RESULT "]\n"
    "    mov x10, sp\n"
    "    str x10, [x9, #" AT_SP_AFTER "]\n"
    "    ldr x10, [x9, #" AT_SP "]\n"
    "    mov sp, x10\n"
    "    str x29, [x9, #" AT_GOT_FP "]\n"
    "    ldr x29, [x9, #" AT_WANT_FP "]\n"
    EACH("str", AT_GOT, AT_GOT_D)
    "    mrs x12, fpcr\n"
    "    str x12, [x9, #" AT_FPCR2 "]\n"
    "    ldr x12, [x9, #" AT_FPCR "]\n"
    "    msr fpcr, x12\n"
    CANARY_IN_X11
    "    mov x12, #" WORDS "\n"
    "2:  ldr x13, [x10], #8\n"
    "    cmp x13, x11\n"
    "    b.ne 3f\n"
    "    subs x12, x12, #1\n"
    "    b.ne 2b\n"
    "3:  str x12, [x9, #" AT_CANARY "]\n"
    "    add sp, sp, #(8*" WORDS ")\n"
    PAIRS("ldp")
    "    ldp x29, x30, [sp], #160\n"
    "    .cfi_def_cfa sp, 0\n"
    "    ret\n"
    "    .cfi_endproc\n"
    "    .ltorg\n"
    ".size ab_call_raw, . - ab_call_raw\n");
/* clang-format on */

int ab_call_machine(int (*run)(const void *), const void *args, struct ab_outcome *outcome)
{
    struct ab_call_record *r = &ab_call_record;
    *r = (struct ab_call_record){.run = run, .args = args};
    for (int i = 0; i < REGISTERS + VECTORS; i++) r->want[i] = 0x5afe0000c0de0000u + (unsigned)i;
    ab_call_raw();
    for (int i = 0; i < REGISTERS + VECTORS; i++)
        if (r->got[i] != r->want[i])
            ab_outcome_fail(outcome, AB_CHECK_registers,
                            "%c%d was %016llx before the call, %016llx after",
                            i < REGISTERS ? 'x' : 'd', i < REGISTERS ? 19 + i : 8 + i - REGISTERS,
                            (unsigned long long)r->want[i], (unsigned long long)r->got[i]);
    if (r->sp != r->sp_after)
        ab_outcome_fail(outcome, AB_CHECK_registers, "the stack pointer is off by %lld bytes",
                        (long long)(r->sp_after - r->sp));
    if (r->fpcr != r->fpcr_after)
        ab_outcome_fail(outcome, AB_CHECK_environment,
                        "FPCR was %08llx before the call, %08llx after",
                        (unsigned long long)r->fpcr, (unsigned long long)r->fpcr_after);
    if (r->canary_left)
        ab_outcome_fail(outcome, AB_CHECK_stack, "byte %lld of the caller's stack was written",
                        8ll * (AB_CALL_CANARY_WORDS - (long long)r->canary_left));
    return (int)r->result;
}

#else
typedef int ab_no_aarch64; /* no empty file */
#endif
