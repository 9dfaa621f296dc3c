// SPDX-License-Identifier: Apache-2.0
// What the two sides of a visit say to each other: JSON documents.
//
// The serving process reads the options from standard input and writes one document, what the visit
// showed or {"error": {"status": N, "text": "..."}}. Line breaks before it are signs of life. In a
// visit by turns each line "turn" is answered by a line with the document of that turn, and the end
// of the input by that of the visit.
#ifndef AB_VISIT_INSIDE_H
#define AB_VISIT_INSIDE_H

#include "child.h"
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
json_t *ab_turn_json(const struct ab_turn *turn);
const char *ab_turn_read(const json_t *json, struct ab_turn *turn);

/* ---- a process that serves ---- */

struct ab_call {
    struct ab_child child;
    char what[200]; /* for messages */
    double patience;
    char *text; /* what it said and nobody read */
    size_t length, size;
    bool hurried; /* was asked to end */
};

/* Starts it and tells the options. After an error too, ab_call_end. */
enum ab_status ab_call_start(struct ab_call *c, const struct ab_visit_options *o,
                             struct ab_error *err);
/* Waits for one turn; nothing of one once ab_interrupted is set. */
enum ab_status ab_call_turn(struct ab_call *c, struct ab_turn *turn, struct ab_error *err);
/* Waits for what the visit showed. */
enum ab_status ab_call_finish(struct ab_call *c, struct ab_visit *v, struct ab_error *err);
/* `by_itself`: it has said all; else it is killed. */
void ab_call_end(struct ab_call *c, bool by_itself);

#endif
