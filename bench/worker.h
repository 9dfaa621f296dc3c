// SPDX-License-Identifier: Apache-2.0
// Workers: processes of this build or of another, which open cases and take slices when told.
//
// The protocol is lines of text over two pipes, the same in every build from the first that has it:
// the version is the first line. A worker runs on the core it is told to; two workers of two builds
// on the same core, told by turns, are the fairest comparison of them that there is.
#ifndef AB_WORKER_H
#define AB_WORKER_H

#include "case.h"

#include <jansson.h>

struct ab_worker;

/* Starts `program worker` (the path of an attrbench; NULL: this one). The error says what is wrong
 * with it: not there, no attrbench, too old to have workers. */
enum ab_status ab_worker_start(const char *program, struct ab_worker **w, struct ab_error *err);
void ab_worker_stop(struct ab_worker **w);
/* What the worker says of itself: the fingerprint of record.h. Borrowed. */
const json_t *ab_worker_context(const struct ab_worker *w);

/* Opens a case there, in the place of the one before; *rows: records of its rows, each with "key".
 * New reference. A worker that dies (crash, kill) is an AB_ERR_STATE that says how. */
enum ab_status ab_worker_open(struct ab_worker *w, const char *text, enum ab_cache cache,
                              json_t **rows, struct ab_error *err);
/* A side of a race that takes the slices of the open case. */
struct ab_side ab_worker_side(struct ab_worker *w, const char *name);

/* The command behind `attrbench worker`: serves until end of input. */
int ab_worker_serve(void);

#endif
