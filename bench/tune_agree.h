// SPDX-License-Identifier: Apache-2.0
// What the maps of a configuration are worth: judged once for all configurations whose maps have
// the same bits, which are most of them.
#ifndef AB_TUNE_AGREE_H
#define AB_TUNE_AGREE_H

#include "agree/agree.h"
#include "config/config.h"
#include "source.h"
#include "visit.h"

struct ab_tune_judge;

/* `source` and `method` must outlive the judge. cache_dir: the referee's, or NULL. threads: of the
 * reference. */
enum ab_status ab_tune_judge_create(const struct ab_source *source, const struct ab_method *method,
                                    const char *cache_dir, int threads,
                                    struct ab_tune_judge **judge, struct ab_error *err);
void ab_tune_judge_destroy(struct ab_tune_judge **judge);

/* Judges the maps with `hash` (ab_maps_hash) that the configuration made of the usual images, which
 * are in the file of descriptor `maps` ([batch][c][h][w]). Where they are new, its plan is made
 * here once more, in a thread of its own, and held against a reference that follows its decisions.
 * Maps that it does not make again, since a library chose other algorithms this time, are held
 * against the reference's own. A failure is a result with the verdict skipped, which says why. */
void ab_tune_judge_maps(struct ab_tune_judge *judge, const struct ab_deploy *deploy, uint64_t hash,
                        int maps, struct ab_agreement *result);

#endif
