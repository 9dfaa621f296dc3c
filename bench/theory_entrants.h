// SPDX-License-Identifier: Apache-2.0
// The maps that experiments rank pixels by: those of the methods, then those of the controls.
#ifndef AB_THEORY_ENTRANTS_H
#define AB_THEORY_ENTRANTS_H

#include "perturb.h"
#include "theory.h"

struct ab_entrants {
    const struct ab_subject *s;
    int count; /* methods, then AB_CONTROLS */
    struct ab_maps maps;
    float *controls; /* [AB_CONTROLS][n][image] */
};

/* Maps of the subject's methods for its targets, and the controls. On failure there is nothing to
 * free. */
enum ab_status ab_entrants_make(const struct ab_subject *s, struct ab_entrants *entrants,
                                struct ab_error *err);
void ab_entrants_free(struct ab_entrants *entrants);

const char *ab_entrant_name(const struct ab_entrants *entrants, int k);
const float *ab_entrant_map(const struct ab_entrants *entrants, int k, int i);

/* How much a pixel [h][w] counts, summed over channels. `signed_sums`: the signed map where it says
 * for or against, as relevance and products with the image do; else, and of other maps always,
 * absolute values. */
void ab_entrant_scores(const struct ab_entrants *entrants, int k, int i, bool signed_sums,
                       double *scores);

#endif
