// SPDX-License-Identifier: Apache-2.0
// The inside of results: what the command does with what experiments hand back.
#ifndef AB_THEORY_RESULT_H
#define AB_THEORY_RESULT_H

#include "theory.h"

#include <stdio.h>

#include <jansson.h>

struct ab_result *ab_result_new(const struct ab_experiment *experiment);
void ab_result_free(struct ab_result **result);

/* Whether it has a verdict, and is whole: no memory ran out. */
bool ab_result_finished(const struct ab_result *r);
bool ab_result_whole(const struct ab_result *r);
/* Whether an exact claim is not shown. */
bool ab_result_contradicted(const struct ab_result *r);

void ab_result_print(FILE *f, const struct ab_result *r);
/* Adds one line a verdict. */
void ab_result_print_verdicts(FILE *f, const struct ab_result *r);
/* NULL when out of memory. */
json_t *ab_result_json(const struct ab_result *r);
/* <folder>/<experiment>-<id>.svg; the name of each to `files`. */
enum ab_status ab_result_write_plots(const struct ab_result *r, const char *folder,
                                     struct ab_error *err);

#endif
