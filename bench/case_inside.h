// SPDX-License-Identifier: Apache-2.0
// Cases, inside: what kernels and methods have in common, and what each brings.
#ifndef AB_CASE_INSIDE_H
#define AB_CASE_INSIDE_H

#include "case.h"
#include "record.h"

struct ab_case_kind {
    const char *word; /* the first of the text */
    /* Reads the rest of the text, sets up what is called, and writes the canonical text. Everything
     * that it made goes into c->state, also on failure; `close` accepts it half made. */
    enum ab_status (*open)(struct ab_case *c, const char *rest, struct ab_error *err);
    void (*close)(struct ab_case *c);
    enum ab_status (*call)(struct ab_case *c, struct ab_error *err);
    /* One more call, whose parts are timed, into c->parts; NULL: there are never parts. */
    enum ab_status (*call_parts)(struct ab_case *c, struct ab_error *err);
    /* Row 0 is the whole, row 1 + i part i. */
    void (*key)(const struct ab_case *c, int row, char key[AB_CASE_KEY]);
    /* ab_case_judge; *result is initialised. */
    enum ab_status (*judge)(struct ab_case *c, int threads, struct ab_agreement *result,
                            struct ab_error *err);
    void (*record)(const struct ab_case *c, int row, struct ab_record *r);
};
extern const struct ab_case_kind ab_case_kernel, ab_case_method;

/* Caches are indexed by addresses that a process is given by chance. So a case that is small lies
 * in several places, and its slices take turns at them: what is fastest is then so in every
 * process. With one place, six processes that took turns at kernels of some 10 us differed by 5 to
 * 19 %, with 16 by 1 to 3 % (AMD EPYC 9004, a virtual machine). */
enum { AB_CASE_PLACES = 16 };
static const size_t AB_CASE_BYTES = (size_t)64 << 20; /* of all places together */

struct ab_case {
    const struct ab_case_kind *kind;
    void *state;
    char text[AB_CASE_KEY]; /* canonical */
    int threads, n_parts;
    double *parts; /* [n_parts] ns, owned */
    struct ab_local local;
    enum ab_cache cache;
    long l3;
    double slow;     /* ab_case_slow */
    double wrong;    /* ab_case_wrong */
    unsigned turn;   /* counts slices */
    int calls, done; /* of the slice that is being taken */
    double began_ns; /* its first call */
    double last_ns;  /* of a call in the last slice; 0: none */
    char name[96];   /* ab_case_name */
};

#endif
