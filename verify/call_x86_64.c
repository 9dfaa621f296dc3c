// SPDX-License-Identifier: Apache-2.0
// A checked call by the System V calling convention of x86-64.
#ifdef __x86_64__

#include "verify/call_machine.h"

#include <cpuid.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { REGISTERS = 6 };
static const char *const register_names[REGISTERS] = {"rbx", "rbp", "r12", "r13", "r14", "r15"};

/* What the call is given and what it leaves. A thread's own, found through the thread pointer:
 * after a call no other register can be relied on. */
struct ab_call_record {
    int (*run)(const void *);
    const void *args;
    uint64_t want[REGISTERS], got[REGISTERS];
    uint64_t sp, sp_after; /* the lowest word of the canary; the stack pointer after the call */
    uint64_t flags, xinuse, canary_left; /* canary_left: words from the first wrong one, or 0 */
    uint32_t mxcsr, mxcsr_after, result, avx, xgetbv;
    uint32_t cw;           /* x87's control word before */
    uint32_t x87[8];       /* fnstenv after: control, status and tag words, and four more */
    uint64_t upper[16][2]; /* of ymm0-15 */
};

extern _Thread_local struct ab_call_record ab_call_record
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
_Thread_local struct ab_call_record ab_call_record;

void ab_call_raw(void) __attribute__((visibility("hidden")));

/* Offsets into the record, for the assembly. */
#define AT_RUN      "0"
#define AT_ARGS     "8"
#define AT_WANT     "16"
#define AT_GOT      "64"
#define AT_SP       "112"
#define AT_SP_AFTER "120"
#define AT_FLAGS    "128"
#define AT_XINUSE   "136"
#define AT_CANARY   "144"
#define AT_MXCSR    "152"
#define AT_MXCSR2   "156"
#define AT_RESULT   "160"
#define AT_AVX      "164"
#define AT_XGETBV   "168"
#define AT_CW       "172"
#define AT_X87      "176"
#define AT_UPPER    "208"
#define IS_AT(member, at)                                                                          \
    _Static_assert(offsetof(struct ab_call_record, member) == (at), "offset of " #member)
IS_AT(want, 16);
IS_AT(got, 64);
IS_AT(sp, 112);
IS_AT(sp_after, 120);
IS_AT(flags, 128);
IS_AT(xinuse, 136);
IS_AT(canary_left, 144);
IS_AT(mxcsr, 152);
IS_AT(mxcsr_after, 156);
IS_AT(result, 160);
IS_AT(avx, 164);
IS_AT(xgetbv, 168);
IS_AT(cw, 172);
IS_AT(x87, 176);
IS_AT(upper, 208);

#define CANARY AB_CALL_TEXT(AB_CALL_CANARY)
#define WORDS  AB_CALL_TEXT(AB_CALL_CANARY_WORDS)
/* clang-format off */
#define RECORD(reg)                                                                                \
    "    movq %fs:0, %" reg "\n"                                                                   \
    "    addq ab_call_record@gottpoff(%rip), %" reg "\n"
#define REGISTERS_TEXT "rbx,rbp,r12,r13,r14,r15"

__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl ab_call_raw\n"
    ".hidden ab_call_raw\n"
    ".type ab_call_raw, @function\n"
    "ab_call_raw:\n"
    "    .cfi_startproc\n"
    "    .irp r," REGISTERS_TEXT "\n"
    "    pushq %\\r\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    .cfi_rel_offset %\\r, 0\n"
    "    .endr\n"
    /* Seven words are on the stack; with one more the canary, and the call, are 16-byte aligned. */
    "    subq $(8*" WORDS " + 8), %rsp\n"
    "    .cfi_adjust_cfa_offset 8*" WORDS " + 8\n"
    RECORD("r11")
    "    movq %rsp, " AT_SP "(%r11)\n"
    "    stmxcsr " AT_MXCSR "(%r11)\n"
    "    fnstcw " AT_CW "(%r11)\n"
    "    cld\n"
    "    movq %rsp, %rdi\n"
    "    movl $" WORDS ", %ecx\n"
    "    movabsq $" CANARY ", %rax\n"
    "    rep stosq\n"
    "    cmpl $0, " AT_AVX "(%r11)\n"
    "    je 1f\n"
    "    vzeroupper\n"
    "1:\n"
    "    .set at, " AT_WANT "\n"
    "    .irp r," REGISTERS_TEXT "\n"
    "    movq at(%r11), %\\r\n"
    "    .set at, at + 8\n"
    "    .endr\n"
    "    movq " AT_ARGS "(%r11), %rdi\n"
    "    call *" AT_RUN "(%r11)\n"
    RECORD("r11")
    "    movl %eax, " AT_RESULT "(%r11)\n"
    "    movq %rsp, " AT_SP_AFTER "(%r11)\n"
    "    movq " AT_SP "(%r11), %rsp\n"
    "    pushfq\n"
    "    popq " AT_FLAGS "(%r11)\n"
    "    cld\n"
    "    .set at, " AT_GOT "\n"
    "    .irp r," REGISTERS_TEXT "\n"
    "    movq %\\r, at(%r11)\n"
    "    .set at, at + 8\n"
    "    .endr\n"
    "    stmxcsr " AT_MXCSR2 "(%r11)\n"
    "    ldmxcsr " AT_MXCSR "(%r11)\n"
    "    fnstenv " AT_X87 "(%r11)\n"
    "    fninit\n"
    "    fldcw " AT_CW "(%r11)\n"
    "    cmpl $0, " AT_XGETBV "(%r11)\n"
    "    je 2f\n"
    "    movl $1, %ecx\n"
    "    xgetbv\n"
    "    movl %eax, " AT_XINUSE "(%r11)\n"
    "2:\n"
    "    cmpl $0, " AT_AVX "(%r11)\n"
    "    je 3f\n"
    "    .set at, " AT_UPPER "\n"
    "    .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "    vextractf128 $1, %ymm\\i, at(%r11)\n"
    "    .set at, at + 16\n"
    "    .endr\n"
    "    vzeroupper\n"
    "3:\n"
    /* The words from the first that is wrong to the end: the count that is left, and that one. */
    "    movabsq $" CANARY ", %rax\n"
    "    movq %rsp, %rdi\n"
    "    movl $" WORDS ", %ecx\n"
    "    repe scasq\n"
    "    je 4f\n"
    "    incq %rcx\n"
    "4:\n"
    "    movq %rcx, " AT_CANARY "(%r11)\n"
    "    addq $(8*" WORDS " + 8), %rsp\n"
    "    .cfi_adjust_cfa_offset -(8*" WORDS " + 8)\n"
    "    .irp r,r15,r14,r13,r12,rbp,rbx\n"
    "    popq %\\r\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "    .cfi_restore %\\r\n"
    "    .endr\n"
    "    ret\n"
    "    .cfi_endproc\n"
    ".size ab_call_raw, . - ab_call_raw\n");
/* clang-format on */

/* ---- which vector state can be seen ---- */

/* Bits of the processor's table of state components that are not as after a reset. */
enum { YMM_UPPER = 1 << 2, ZMM_UPPER = 1 << 6 };

static struct {
    bool avx, xgetbv;
} seen;

static uint32_t xgetbv(uint32_t which)
{
    uint32_t a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(which));
    return a;
}

/* Whether the table follows what is done to the registers: a processor may say "in use" of state
 * that is not. */
static bool table_is_exact(void)
{
    __asm__ volatile("vzeroupper" ::: "memory");
    uint32_t clean = xgetbv(1);
    __asm__ volatile("vmovdqu (%0), %%ymm0" ::"r"(ab_call_record.upper) : "xmm0", "memory");
    uint32_t dirty = xgetbv(1);
    __asm__ volatile("vzeroupper" ::: "memory");
    uint32_t again = xgetbv(1);
    return !(clean & (YMM_UPPER | ZMM_UPPER)) && (dirty & YMM_UPPER) &&
           !(again & (YMM_UPPER | ZMM_UPPER));
}

static void look(void)
{
    uint32_t a, b, c, d;
    const uint32_t osxsave = 1u << 27, avx = 1u << 28;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave) || !(c & avx) || (xgetbv(0) & 6) != 6)
        return;
    seen.avx = true;
    memset(ab_call_record.upper, 0xff, sizeof ab_call_record.upper);
    seen.xgetbv = __get_cpuid_count(0xd, 1, &a, &b, &c, &d) && (a & 4) && table_is_exact();
}

/* ---- findings ---- */

static void check_registers(const struct ab_call_record *r, struct ab_outcome *o)
{
    for (int i = 0; i < REGISTERS; i++)
        if (r->got[i] != r->want[i])
            ab_outcome_fail(o, AB_CHECK_registers, "%s was %016llx before the call, %016llx after",
                            register_names[i], (unsigned long long)r->want[i],
                            (unsigned long long)r->got[i]);
    if (r->sp != r->sp_after)
        ab_outcome_fail(o, AB_CHECK_registers, "the stack pointer is off by %lld bytes",
                        (long long)(r->sp_after - r->sp));
}

static void check_environment(const struct ab_call_record *r, struct ab_outcome *o)
{
    const uint32_t control = 0xffc0, x87_control = 0x0f3f, direction = 1u << 10;
    uint32_t cw = r->x87[0] & 0xffff, tags = r->x87[2] & 0xffff;
    if ((r->mxcsr ^ r->mxcsr_after) & control)
        ab_outcome_fail(o, AB_CHECK_environment, "MXCSR was %04x before the call, %04x after",
                        (unsigned)r->mxcsr, (unsigned)r->mxcsr_after);
    if (((r->cw ^ cw) & x87_control) != 0)
        ab_outcome_fail(o, AB_CHECK_environment,
                        "the x87 control word was %04x before the call, %04x after",
                        (unsigned)r->cw & 0xffff, (unsigned)cw);
    if (tags != 0xffff)
        ab_outcome_fail(o, AB_CHECK_environment,
                        "x87 or MMX registers were left in use (tags %04x): emms is missing",
                        (unsigned)tags);
    if (r->flags & direction)
        ab_outcome_fail(o, AB_CHECK_environment, "the direction flag was left set");
}

static void check_upper(const struct ab_call_record *r, struct ab_outcome *o)
{
    for (int i = 0; r->avx && i < 16; i++)
        if (r->upper[i][0] | r->upper[i][1])
            ab_outcome_fail(o, AB_CHECK_upper,
                            "the upper half of ymm%d was left in use: vzeroupper is missing", i);
    if (r->xgetbv && (r->xinuse & (YMM_UPPER | ZMM_UPPER)))
        ab_outcome_fail(o, AB_CHECK_upper,
                        "upper halves of vector registers were left in use: vzeroupper is missing");
}

int ab_call_machine(int (*run)(const void *), const void *args, struct ab_outcome *outcome)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, look);
    struct ab_call_record *r = &ab_call_record;
    *r = (struct ab_call_record){.run = run, .args = args, .avx = seen.avx, .xgetbv = seen.xgetbv};
    /* Not canonical as addresses: whoever follows one crashes. */
    for (int i = 0; i < REGISTERS; i++) r->want[i] = 0x5afe0000c0de0000u + (unsigned)i;
    ab_call_raw();
    check_registers(r, outcome);
    check_environment(r, outcome);
    check_upper(r, outcome);
    if (r->canary_left)
        ab_outcome_fail(outcome, AB_CHECK_stack, "byte %lld of the caller's stack was written",
                        8ll * (AB_CALL_CANARY_WORDS - (long long)r->canary_left));
    return (int)r->result;
}

#else
typedef int ab_no_x86_64; /* no empty file */
#endif
