// SPDX-License-Identifier: Apache-2.0
// Seeded bugs against the machine: memory beside buffers, const inputs, registers, the state that a
// call must leave as it was, crashes and hangs.
#include <fenv.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "simd/conv2d_geom.h"
#include "verify/bugs.h"

/* ---- memory beside buffers ---- */

static void read_byte(const void *p)
{
    (void)*(const volatile char *)p;
}

static void change_byte(void *p)
{
    *(volatile unsigned char *)p ^= 1u;
}

/* The element behind the last of a blocked tensor's interior. */
static float *end_of(const struct ab_view *v, int n, int blocks, int h, int w)
{
    return v->data + ab_view_at(v, n - 1, blocks - 1, h - 1, w);
}

void ab_bug_conv2d_reads_past_weights(const void *p)
{
    const struct ab_conv2d_args *a = p;
    const struct ab_conv2d_shape *s = &a->shape;
    ab_bug_run(AB_KERNEL_conv2d, "ref", p);
    read_byte(a->wei + s->oc * (s->ic / s->g) * s->kh * s->kw);
}

void ab_bug_conv2d_reads_before_bias(const void *p)
{
    const struct ab_conv2d_args *a = p;
    ab_bug_run(AB_KERNEL_conv2d, "ref", p);
    if (a->bias) read_byte((const char *)a->bias - 1);
}

void ab_bug_dense_reads_past_signal(const void *p)
{
    const struct ab_dense_args *a = p;
    ab_bug_run(AB_KERNEL_dense, "ref", p);
    read_byte(a->src + (a->n - 1) * a->src_stride +
              ab_blocks(a->pass == AB_FWD ? a->in : a->out) * AB_LANES);
}

void ab_bug_dense_reads_past_weights(const void *p)
{
    const struct ab_dense_args *a = p;
    ab_bug_run(AB_KERNEL_dense, "ref", p);
    read_byte(a->wei + (ptrdiff_t)a->in * a->out);
}

void ab_bug_maxpool_reads_before_signal(const void *p)
{
    const struct ab_pool_args *a = p;
    ab_bug_run(AB_KERNEL_maxpool, "ref", p);
    read_byte((const char *)a->src.data - 1);
}

void ab_bug_pointwise_writes_past_result(const void *p)
{
    const struct ab_pointwise_args *a = p;
    ab_bug_run(AB_KERNEL_pointwise, "ref", p);
    change_byte(end_of(&a->dst, a->n, a->blocks, a->h, a->w));
}

void ab_bug_avgpool_writes_before_result(const void *p)
{
    const struct ab_pool_args *a = p;
    ab_bug_run(AB_KERNEL_avgpool, "ref", p);
    change_byte((char *)a->dst.data - 1);
}

void ab_bug_maxpool_writes_past_switches(const void *p)
{
    const struct ab_pool_args *a = p;
    const struct ab_pool_shape *s = &a->shape;
    ab_bug_run(AB_KERNEL_maxpool, "ref", p);
    if (a->pass == AB_FWD && a->switches)
        change_byte(a->switches + s->n * ab_blocks(s->c) * s->oh * s->ow * AB_LANES);
}

/* One pixel left of the first, which is halo where there is one. */
void ab_bug_conv2d_halo_written(const void *p)
{
    const struct ab_conv2d_args *a = p;
    ab_bug_run(AB_KERNEL_conv2d, "ref", p);
    a->dst.data[-AB_LANES] = 1.0f;
}

void ab_bug_select_counts_past_histogram(const void *p)
{
    const struct ab_select_args *a = p;
    ab_bug_run(AB_KERNEL_select, "ref", p);
    change_byte(a->hist + 2048);
}

/* ---- inputs ---- */

void ab_bug_conv2d_input_written(const void *p)
{
    const struct ab_conv2d_args *a = p;
    ab_bug_run(AB_KERNEL_conv2d, "ref", p);
    change_byte(a->src.data);
}

void ab_bug_dense_weights_written(const void *p)
{
    const struct ab_dense_args *a = p;
    ab_bug_run(AB_KERNEL_dense, "ref", p);
    change_byte((void *)(uintptr_t)a->wei);
}

void ab_bug_maxpool_switches_written(const void *p)
{
    const struct ab_pool_args *a = p;
    ab_bug_run(AB_KERNEL_maxpool, "ref", p);
    if (a->pass == AB_BWD) change_byte(a->switches);
}

void ab_bug_pointwise_operand_written(const void *p)
{
    const struct ab_pointwise_args *a = p;
    ab_bug_run(AB_KERNEL_pointwise, "ref", p);
    if (a->f.kind == AB_PW_GATE) change_byte(a->f.a.data);
}

void ab_bug_select_input_written(const void *p)
{
    const struct ab_select_args *a = p;
    ab_bug_run(AB_KERNEL_select, "ref", p);
    change_byte(a->x.data);
}

/* ---- what a call must leave as it was ---- */

/* Symbols of their own: the assembly below calls them. */
static void call_dense(const void *p) __asm__("ab_bug_call_dense") __attribute__((used));
static void call_dense(const void *p)
{
    ab_bug_run(AB_KERNEL_dense, "ref", p);
}

static void call_avgpool(const void *p) __asm__("ab_bug_call_avgpool") __attribute__((used));
static void call_avgpool(const void *p)
{
    ab_bug_run(AB_KERNEL_avgpool, "ref", p);
}

#define FUNCTION(name, ...)                                                                        \
    __asm__(".pushsection .text\n.globl " #name "\n.type " #name ", %function\n" #name             \
            ":\n" __VA_ARGS__ ".size " #name ", . - " #name "\n.popsection\n");

#if defined __x86_64__
const bool ab_bug_has_assembly = true;
FUNCTION(ab_bug_dense_register_lost, "subq $8, %rsp\ncall ab_bug_call_dense\naddq $8, %rsp\n"
                                     "notq %r13\nret\n")
FUNCTION(ab_bug_avgpool_stack_written, "subq $8, %rsp\ncall ab_bug_call_avgpool\naddq $8, %rsp\n"
                                       "notq 8(%rsp)\nret\n")
#elif defined __aarch64__
const bool ab_bug_has_assembly = true;
FUNCTION(ab_bug_dense_register_lost, "stp x29, x30, [sp, #-16]!\nbl ab_bug_call_dense\n"
                                     "ldp x29, x30, [sp], #16\nmvn x21, x21\nret\n")
FUNCTION(ab_bug_avgpool_stack_written, "stp x29, x30, [sp, #-16]!\nbl ab_bug_call_avgpool\n"
                                       "ldp x29, x30, [sp], #16\nldr x9, [sp]\nmvn x9, x9\n"
                                       "str x9, [sp]\nret\n")
#else
const bool ab_bug_has_assembly = false;
void ab_bug_dense_register_lost(const void *p)
{
    call_dense(p);
}
void ab_bug_avgpool_stack_written(const void *p)
{
    call_avgpool(p);
}
#endif

/* In the place of AVX2 kernels: on x86-64 alone. */
void ab_bug_maxpool_upper_dirty(const void *p)
{
    ab_bug_run(AB_KERNEL_maxpool, "avx2", p);
#if defined __x86_64__
    __asm__ volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
#endif
}

void ab_bug_select_direction_flag(const void *p)
{
    ab_bug_run(AB_KERNEL_select, "avx2", p);
#if defined __x86_64__
    __asm__ volatile("std");
#endif
}

void ab_bug_conv2d_flushes_to_zero(const void *p)
{
    ab_bug_run(AB_KERNEL_conv2d, "avx2", p);
#if defined __x86_64__
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8000u);
#endif
}

void ab_bug_pointwise_rounding_mode(const void *p)
{
    ab_bug_run(AB_KERNEL_pointwise, "ref", p);
    fesetround(FE_TOWARDZERO);
}

/* ---- no return ---- */

void ab_bug_conv2d_segmentation_fault(const void *p)
{
    const struct ab_conv2d_args *a = p;
    if (a->shape.n > 1) ((struct ab_conv2d_args *)(uintptr_t)p)->dst.data = NULL;
    ab_bug_run(AB_KERNEL_conv2d, "ref", p);
}

/* As an instruction that the CPU lacks. */
void ab_bug_dense_illegal_instruction(const void *p)
{
    (void)p;
    __builtin_trap();
}

void ab_bug_avgpool_arithmetic_trap(const void *p)
{
    ab_bug_run(AB_KERNEL_avgpool, "ref", p);
    raise(SIGFPE);
}

void ab_bug_pointwise_bus_error(const void *p)
{
    ab_bug_run(AB_KERNEL_pointwise, "ref", p);
    raise(SIGBUS);
}

void ab_bug_maxpool_endless(const void *p)
{
    ab_bug_run(AB_KERNEL_maxpool, "ref", p);
    for (volatile int i = 0;; i = !i) {
    }
}

void ab_bug_dense_exits(const void *p)
{
    ab_bug_run(AB_KERNEL_dense, "ref", p);
    _exit(0);
}
