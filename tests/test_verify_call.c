// SPDX-License-Identifier: Apache-2.0
// Checked calls: functions that break the calling convention, one rule each, are found out, in the
// caller's thread and in threads of their own, and what they broke is mended.
#include "support.h"

#include "verify/call.h"

#include <pthread.h>

/* Functions that break the calling convention: the compiler makes none. */
#if defined __x86_64__
#define BAD(name, text)                                                                            \
    void ab_test_##name(const void *args);                                                         \
    __asm__(".text\nab_test_" #name ":\n" text "\n");
BAD(rbx, "mov $1, %ebx\n ret")
BAD(rbp, "mov $1, %ebp\n ret")
BAD(r12, "mov $1, %r12d\n ret")
BAD(r13, "mov $1, %r13d\n ret")
BAD(r14, "mov $1, %r14d\n ret")
BAD(r15, "mov $1, %r15d\n ret")
BAD(sp, "ret $16")
BAD(mxcsr, "stmxcsr -8(%rsp)\n orl $0x8000, -8(%rsp)\n ldmxcsr -8(%rsp)\n ret")
BAD(cw, "fnstcw -8(%rsp)\n orw $0xc00, -8(%rsp)\n fldcw -8(%rsp)\n ret")
BAD(emms, "pcmpeqd %mm0, %mm0\n ret")
BAD(direction, "std\n ret")
BAD(low, "movl $0, 8(%rsp)\n ret")
BAD(high, "movb $0, 2055(%rsp)\n ret")
BAD(upper, "vpcmpeqd %xmm1, %xmm1, %xmm1\n vinsertf128 $1, %xmm1, %ymm9, %ymm9\n ret")
/* What is allowed: all other registers, the status bits of inexact and division by zero. */
BAD(fine, "mov $-1, %rax\n mov %rax, %rcx\n mov %rax, %rdx\n mov %rax, %rsi\n mov %rax, %rdi\n"
          "mov %rax, %r8\n mov %rax, %r9\n mov %rax, %r10\n mov %rax, %r11\n"
          "pxor %xmm0, %xmm0\n movd %eax, %xmm15\n cvtsi2ss %eax, %xmm1\n divss %xmm0, %xmm1\n"
          "push %rbx\n xor %ebx, %ebx\n pop %rbx\n ret")
#elif defined __aarch64__
#define BAD(name, text)                                                                            \
    void ab_test_##name(const void *args);                                                         \
    __asm__(".text\nab_test_" #name ":\n" text "\n ret\n");
BAD(x19, "mov x19, #1")
BAD(x28, "mov x28, #1")
BAD(x29, "mov x29, #1")
BAD(d8, "fmov d8, #1.0")
BAD(d15, "movi v15.4s, #0")
BAD(sp, "add sp, sp, #16")
BAD(fpcr, "mrs x1, fpcr\n orr x1, x1, #0x1000000\n msr fpcr, x1")
BAD(low, "str x0, [sp]")
BAD(high, "strb w0, [sp, #2047]")
/* What is allowed: all other registers, and the upper halves of v8-v15. */
BAD(fine, "mov x9, #-1\n mov x18, x9\n mov x0, x9\n movi v0.4s, #0\n movi v31.4s, #0\n"
          "mov v8.d[1], x9\n fdiv s0, s0, s31")
#endif

#ifdef __x86_64__
static bool has_avx(void)
{
    return __builtin_cpu_supports("avx") != 0;
}
#else
static bool has_avx(void)
{
    return false;
}
#endif

#ifdef BAD
static const struct {
    const char *name;
    void (*run)(const void *);
    enum ab_check check;
} corrupters[] = {
#define OF(name, check)                                                                            \
    {                                                                                              \
#name, ab_test_##name, AB_CHECK_##check                                                    \
    }
#ifdef __x86_64__
    OF(rbx, registers),  OF(rbp, registers),         OF(r12, registers), OF(r13, registers),
    OF(r14, registers),  OF(r15, registers),         OF(sp, registers),  OF(mxcsr, environment),
    OF(cw, environment), OF(emms, environment),      OF(low, stack),     OF(high, stack),
    OF(fine, none),      OF(direction, environment), OF(upper, upper),
#else
    OF(x19, registers), OF(x28, registers),    OF(x29, registers), OF(d8, registers),
    OF(d15, registers), OF(sp, registers),     OF(low, stack),     OF(high, stack),
    OF(fine, none),     OF(fpcr, environment),
#endif
};
enum { CORRUPTERS = sizeof corrupters / sizeof corrupters[0] };

static void expect(const struct ab_outcome *o, enum ab_check check)
{
    CHECK(o->check == check && ab_outcome_failed(o) == (check != AB_CHECK_none), "found %s: %s",
          ab_check_name(o->check), o->why);
}

TEST(calls_find_what_is_left_behind)
{
    const void *args[3] = {"", "", ""};
    /* Twice: what a call has broken is mended. */
    for (int i = 0; i < 2 * CORRUPTERS; i++) {
        int k = i % CORRUPTERS;
        if (corrupters[k].check == AB_CHECK_upper && !has_avx()) continue;
        context("corrupter %s", corrupters[k].name);
        struct ab_outcome alone = {0}, together = {0};
        ab_call(corrupters[k].run, args[0], &alone);
        expect(&alone, corrupters[k].check);
        ab_call_together(corrupters[k].run, args, 3, &together);
        expect(&together, corrupters[k].check);
    }
}
#endif

static int answer(const void *args)
{
    return -*(const int *)args;
}

TEST(calls_pass_arguments_and_results)
{
    const int args[] = {0, 1, -5, 1 << 30};
    for (int i = 0; i < 4; i++) {
        struct ab_outcome o = {0};
        int got = ab_call_foreign(answer, &args[i], &o);
        CHECK(got == -args[i] && o.kind == AB_OUTCOME_PASS, "%d for %d: %s", got, args[i], o.why);
    }
}

/* Each waits for the other: only calls at the same time come back. */
static void meet(const void *args)
{
    pthread_barrier_t *const *barrier = args;
    pthread_barrier_wait(*barrier);
}

TEST(calls_together_overlap)
{
    pthread_barrier_t barrier, *pointer = &barrier;
    pthread_barrier_init(&barrier, NULL, 4);
    const void *args[4] = {&pointer, &pointer, &pointer, &pointer};
    struct ab_outcome o = {0};
    ab_call_together(meet, args, 4, &o);
    CHECK(o.kind == AB_OUTCOME_PASS, "%s", o.why);
    pthread_barrier_destroy(&barrier);
}

static const struct test_case cases[] = {
#ifdef BAD
    CASE(calls_find_what_is_left_behind),
#endif
    CASE(calls_pass_arguments_and_results),
    CASE(calls_together_overlap),
};
TEST_MAIN("verify_call", cases)
