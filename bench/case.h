// SPDX-License-Identifier: Apache-2.0
// Cases: texts that name what is timed, the same in every build, opened into something that runs.
//
//     kernel conv2d_avx2 conv2d n1c64h56w56o64k3s1p1 fwd f=relu
//     method vgg16 lrp-zplus native 1 1            (model, spec, backend, threads, batch)
//
// A kernel's case is a candidate and a trial of `attrbench verify`; its operands are the trial's. A
// method's case runs a plan on the model's usual image; its parts are the plan's steps.
#ifndef AB_CASE_H
#define AB_CASE_H

#include "agree/agree.h"
#include "slices.h"

#include <jansson.h>

enum { AB_CASE_KEY = 512 };

struct ab_case;
/* AB_ERR_ARG: no such text; AB_ERR_UNSUPPORTED: not in this build or on this CPU. */
enum ab_status ab_case_open(const char *text, struct ab_case **c, struct ab_error *err);
void ab_case_close(struct ab_case **c);

/* A side that samples it (with parts, for methods, where a step takes long enough to be timed by
 * itself). Borrowed from the case. `cache`: what each slice finds, COLD: what each call does. */
struct ab_side ab_case_side(struct ab_case *c, enum ab_cache cache);
/* Threads that a call takes, to be bound before the first. */
int ab_case_threads(const struct ab_case *c);

/* The rows that its samples make: row 0 is the whole, rows 1.. its parts. A key names the row in
 * any build: it does not name the kernels that were picked for a step. The record is of record.h's
 * JSON form but for what comes of samples: kind, op, shape, model, method, backend, isa, kernels,
 * threads, batch, flops, bytes; "case" is the text that opens it. New reference. */
int ab_case_rows(const struct ab_case *c);
void ab_case_key(const struct ab_case *c, int row, char key[AB_CASE_KEY]);
json_t *ab_case_record(const struct ab_case *c, int row);

/* How right what it computes is: maps of methods against the reference in double precision, the
 * sums of kernels as `attrbench verify` judges them (rel_l2, err_over_bound) with all its other
 * checks. `threads`: of the reference. A failure: why it could not be judged. */
enum ab_status ab_case_judge(struct ab_case *c, int threads, struct ab_agreement *result,
                             struct ab_error *err);

/* For tests of whoever judges samples: from now on slices take `share` longer than their calls, by
 * waiting; steps are what they are. */
void ab_case_slow(struct ab_case *c, double share);
/* The same of errors: what it computed is larger by `share` when it is judged. */
void ab_case_wrong(struct ab_case *c, double share);
/* The name that such a test matches: the kernel's, or the method's without parameters. */
const char *ab_case_name(const struct ab_case *c);

/* What `attrbench compare` and `gate` measure unless told otherwise: every hand-written kernel that
 * this CPU runs, on shapes whose calls take some 3 to 500 us, and the methods of the digits
 * network. `kernels`: a shell pattern of kernel names, NULL: all. */
struct ab_cases {
    char **texts;
    int count;
};
enum ab_status ab_cases_usual(const char *kernels, struct ab_cases *cases, struct ab_error *err);
bool ab_cases_add(struct ab_cases *cases, const char *text);
void ab_cases_free(struct ab_cases *cases);

#endif
