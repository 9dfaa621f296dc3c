// SPDX-License-Identifier: Apache-2.0
// The validator end to end: a method's maps of a random network on a backend, judged by the
// referee.
//
// A case is a line of text that parses and prints back; what is left out has its default (batch,
// threads and targets 1):
//
//     method lrp-zplus:eps=0 graph=17 seed=1 backend=native:avx2 batch=2 threads=3 targets=2
//     blocks=1
//            algo=direct memory=lean
#ifndef AB_VERIFY_METHODS_H
#define AB_VERIFY_METHODS_H

#include "verify/verify.h"

struct ab_method_case {
    char spec[512];
    char backend[32];
    uint64_t seed, graph;        /* network number `graph` of `seed`; also of image and targets */
    int blocks;                  /* see ab_random_net */
    int batch, threads, targets; /* targets: classes explained by one execution */
    bool direct, lean;           /* AB_ALGO_DIRECT, AB_MEMORY_LEAN */
};

enum { AB_METHOD_CASE_TEXT = 768 };
void ab_method_case_print(const struct ab_method_case *c, char *text, size_t size);
/* AB_ERR_ARG names the part that is wrong: a method, parameter or backend that does not exist here,
 * a number out of range. */
enum ab_status ab_method_case_parse(const char *text, struct ab_method_case *c,
                                    struct ab_error *err);

/* Backends that are judged here: native by each instruction set of this CPU, oneDNN. */
enum { AB_METHOD_BACKENDS = 12 };
int ab_method_backends(char names[AB_METHOD_BACKENDS][32]);

/* The fixed set: every listed method on every backend, by its defaults and by parameters drawn at
 * random, on networks that it can explain; about 15 seconds of one core. False past the last. */
bool ab_method_case_fixed(long i, struct ab_method_case *c);
/* A random case: method, parameters, network, backend, batch, threads, targets. */
void ab_method_case_draw(struct ab_rng *rng, struct ab_method_case *c);
/* The k-th simpler neighbour: fewer blocks, images, threads, targets, parameters, or a smaller one
 * of the first networks; false past the last. */
bool ab_method_case_shrink(const struct ab_method_case *c, int k, struct ab_method_case *simpler);

/* Everything: network, images, execution, judgement, and on native the determinism checks. *o is
 * zeroed (PASS) on entry. `undetermined` counts the decisions and denominators that
 * rounding decides and the reference took from the backend, `elements` those and the maps'; `ratio`
 * is the worst map metric over its limit. A network that the method cannot explain is UNSUPPORTED.
 */
void ab_method_case_run(const struct ab_method_case *c, struct ab_outcome *o);

/* The same with a fault in it, to see that it is found: a layer's weights 1 and 3 % larger for
 * the backend than for the referee, a NaN, or a last bit of what is computed again, by several
 * threads, of an image alone. */
enum ab_method_fault {
    AB_FAULT_NONE,
    AB_FAULT_WEIGHTS, /* AB_CHECK_bound or _decision */
    AB_FAULT_NAN,     /* AB_CHECK_special */
    AB_FAULT_REPEAT,
    AB_FAULT_THREADS,
    AB_FAULT_BATCH,
    AB_METHOD_FAULTS
};
void ab_method_case_run_faulty(const struct ab_method_case *c, enum ab_method_fault fault,
                               struct ab_outcome *o);

#endif
