// SPDX-License-Identifier: Apache-2.0
// Workers: processes of this build or of another, which open cases and take slices when told.
//
// The protocol is lines of text over a stream socket that is the worker's standard input and
// output, the same in every build from the first that has it. The worker begins with its version:
//
//     < attrbench worker 1
//     > context                    < ok {"cpu": ...}          the fingerprint of record.h
//     > open hot|cold CASE         < ok [{"key": ...}, ...]   a record of each of its rows
//     > slice CALLS                < ok NS DISTURBED [PART]...   ns of one call, 0 or 1, ns of
//                                                                each part
//     > judge                      < ok {"verdict": ...}       how right the open case is
//     > quit                       (or end of input)
//                                  < error STATUS TEXT         of any request; STATUS: arg, ...
//
// Requests are answered in order. A worker binds itself to as many cores as the open case has
// threads, from the last on: workers of two builds are on the same cores, and told by turns, which
// is the fairest comparison of them that there is.
#ifndef AB_WORKER_H
#define AB_WORKER_H

#include "case.h"

#include <jansson.h>

enum { AB_WORKER_VERSION = 1 };

struct ab_worker;

/* Starts `program worker` (the path of an attrbench; NULL: this one). The error says what is wrong
 * with it: not there, no attrbench, too old to have workers, silent. Answers are waited for as long
 * as ATTRBENCH_WORKER_TIMEOUT says, by default 20 s for the first two and 300 s for later ones; a
 * wrong value is an AB_ERR_ARG. */
enum ab_status ab_worker_start(const char *program, struct ab_worker **w, struct ab_error *err);
/* Ends it within a second, whatever it does. */
void ab_worker_stop(struct ab_worker **w);
/* What the worker says of itself: the fingerprint of record.h. Borrowed. */
const json_t *ab_worker_context(const struct ab_worker *w);

/* Opens a case there, in the place of the one before; *rows: records of its rows, each with "key".
 * New reference. AB_ERR_ARG, AB_ERR_UNSUPPORTED: the case's, see ab_case_open; the worker lives on.
 * A worker that dies (crash, kill), hangs or talks nonsense is an AB_ERR_INTERNAL that says how; it
 * answers nothing else from then on. */
enum ab_status ab_worker_open(struct ab_worker *w, const char *text, enum ab_cache cache,
                              json_t **rows, struct ab_error *err);
/* How right what the open case computes is: a record's fields of agreement. New reference.
 * AB_ERR_ARG: a build that is too old to judge. */
enum ab_status ab_worker_judge(struct ab_worker *w, json_t **agreement, struct ab_error *err);
/* Whether it can still be asked. */
bool ab_worker_lives(const struct ab_worker *w);
/* A side of a race that takes the slices of the open case. */
struct ab_side ab_worker_side(struct ab_worker *w, const char *name);

/* The command behind `attrbench worker`: serves until end of input. Returns the exit code. */
int ab_worker_serve(void);

/* ATTRBENCH_TEST_SLOW and ATTRBENCH_TEST_WRONG, one of which is `variable`:
 * "PATTERN=SHARE[,PATTERN=SHARE]...", shell patterns of kernels' and methods' names. The share of
 * the first that fits `name`, 0: none. AB_ERR_ARG: not of that form. */
enum ab_status ab_worker_share(const char *variable, const char *text, const char *name,
                               double *share, struct ab_error *err);

#endif
