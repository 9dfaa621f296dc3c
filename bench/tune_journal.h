// SPDX-License-Identifier: Apache-2.0
// The journal of a search: a line for each visit, on the disk before the next one begins, so that a
// search that is killed loses one visit and can be taken up again.
//
// JSON lines. The first holds what the visits are of; visits made under other conditions do not go
// together with them:
//
//     {"attrbench_journal": 3, "version": "...", "model": "...", "model_hash": "...", ...}
//     {"point": "native:avx512 auto fast 1x2 batch=4 cores huge keep", "images_per_s": 24.3, ...}
#ifndef AB_TUNE_JOURNAL_H
#define AB_TUNE_JOURNAL_H

#include "tune.h"

/* What the visits are of, each as a text. */
struct ab_journal_head {
    const char *model, *model_hash, *method;
    const char *requirements; /* objective, SLO, agreement */
    const char *space;        /* what --space narrows it to */
    const char *machine;      /* its fingerprint */
    const char *load;
};

struct ab_journal;

/* A new journal in the place of any other. AB_ERR_IO: it cannot be written, or another process is
 * writing it. */
enum ab_status ab_journal_create(const char *path, const struct ab_journal_head *head,
                                 struct ab_journal **journal, struct ab_error *err);
/* Goes on with the journal there is and tells `search` its visits, in their order; a last line that
 * a kill left unfinished is taken off. `spent_s`: what they cost. AB_ERR_FORMAT: no journal, a
 * damaged one, or one of another version; AB_ERR_ARG: of something else, the message says what
 * differs. */
enum ab_status ab_journal_resume(const char *path, const struct ab_journal_head *head,
                                 const struct ab_space *space, struct ab_search *search,
                                 struct ab_journal **journal, double *spent_s,
                                 struct ab_error *err);
/* Adds one visit of `point` and waits for the disk. After a failure the journal is as it was. */
enum ab_status ab_journal_add(struct ab_journal *journal, const struct ab_space *space, int point,
                              const struct ab_told *told, struct ab_error *err);
/* Closes the file, which stays. */
void ab_journal_close(struct ab_journal **journal);

#endif
