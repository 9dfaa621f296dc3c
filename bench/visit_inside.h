// SPDX-License-Identifier: Apache-2.0
// What the two sides of a visit say to each other: JSON documents.
//
// The serving process reads the options from standard input and writes one document, what the visit
// showed or {"error": {"status": N, "text": "..."}}. Line breaks before it are signs of life.
#ifndef AB_VISIT_INSIDE_H
#define AB_VISIT_INSIDE_H

#include "visit.h"

/* More are not kept: a visit ends then. */
enum { AB_VISIT_REQUESTS = 1 << 20 };

/* born_ns: when the process that is to serve was started, by ab_now_ns. New reference; NULL: out of
 * memory. */
json_t *ab_visit_options_json(const struct ab_visit_options *o, double born_ns);
/* `o`, `deploy` and `judging`, where there is any, borrow from `json`, but for the CPUs:
 * ab_deploy_free, and what is known: free(judging->known). After an error too. */
enum ab_status ab_visit_options_read(const json_t *json, struct ab_visit_options *o,
                                     struct ab_deploy *deploy, struct ab_judging *judging,
                                     double *born_ns, struct ab_error *err);

/* New reference; NULL: out of memory. */
json_t *ab_visit_json(const struct ab_visit *v);
/* The field that is missing or wrong, or cannot be kept for want of memory; NULL: none. */
const char *ab_visit_read(const json_t *json, struct ab_visit *v);

#endif
