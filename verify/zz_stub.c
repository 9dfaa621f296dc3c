#include "verify/call.h"
#include "verify/judge.h"
#include <stdio.h>
#include <stdlib.h>
#define W __attribute__((weak))
W void ab_call(void (*run)(const void *), const void *args, struct ab_outcome *outcome) { (void)outcome; run(args); }
W int ab_call_foreign(int (*run)(const void *), const void *args, struct ab_outcome *outcome) { (void)outcome; return run(args); }
W void ab_call_together(void (*run)(const void *), const void *const *args, int count, struct ab_outcome *outcome) { (void)outcome; for (int i = 0; i < count; i++) run(args[i]); }
W const char *ab_pointwise_name(enum ab_pointwise_kind k) { static char t[8]; snprintf(t, 8, "k%d", (int)k); return t; }
W const char *ab_wmod_name(enum ab_wmod k) { static char t[8]; snprintf(t, 8, "w%d", (int)k); return t; }
W void ab_trial_print(const struct ab_trial *t, char *text, size_t size) {
  char shape[100]; ab_verify_op_of(t->op)->shape_print(t, shape, sizeof shape);
  snprintf(text, size, "%s %s %s wmod%d f%d %s exp%d seed%d side%d off%d with%d", ab_kernel_op_name(t->op), shape, t->pass ? "bwd":"fwd", t->wmod, t->f, ab_fill_name(t->fill), t->exponent, (int)t->seed, t->side, t->offset, t->with); }
