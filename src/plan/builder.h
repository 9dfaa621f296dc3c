// SPDX-License-Identifier: Apache-2.0
// Writing a program: steps are appended once however often they are asked for, so equal work is
// shared.
#ifndef AB_BUILDER_H
#define AB_BUILDER_H

#include "plan/program.h"

/* Appends to a program. After the first failure (memory) every emit returns -1 and changes nothing.
 */
struct ab_writer {
    const struct ab_graph *graph;
    struct ab_program *program;
    bool failed;
};

/* A step of `op` with all operands -1, node -1, scale 1. */
struct ab_step ab_step_new(enum ab_op op);

/* The value that `step` computes: that of an equal earlier step if there is one (then a list it
 * owns is freed), else of this one appended, with a new value of `dims`. The step's dst and dst2
 * are ignored. */
int ab_emit(struct ab_writer *w, struct ab_step step, struct ab_dims dims, bool vector);

/* The switches value of the MAXPOOL step that defines `pooled`; created at the first call. */
int ab_emit_switches(struct ab_writer *w, int pooled);

/* A new value of dst's shape as dst2 of `step`; -1: out of memory. */
int ab_second_value(struct ab_program *p, struct ab_step *step, enum ab_dtype dtype);

/* The kept values, counted; -1: none there. */
int ab_program_kept(const struct ab_program *p);
int ab_program_kept_value(const struct ab_program *p, int i);

/* Operand i of a step, 0 <= i < ab_step_operand_count: x, a, z, add, tau, switches, bits (-1:
 * none), then the list. */
int ab_step_operand(const struct ab_step *step, int i);
int ab_step_operand_count(const struct ab_step *step);

#endif
