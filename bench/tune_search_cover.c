// SPDX-License-Identifier: Apache-2.0
// The cover: visits that see every pair of levels of two knobs at least once, greedily few.
#include "tune_search.h"

#include <string.h>

enum { NOBODY, WANTED, COVERED };

static unsigned char *pair_of(unsigned char *work, int a, int level_a, int b, int level_b)
{
    return work + (size_t)(a * AB_KNOB_VALUES + level_a) * AB_COVER_SIDE + b * AB_KNOB_VALUES +
           level_b;
}

static void mark(unsigned char *work, const struct ab_point *p, unsigned char as)
{
    for (int a = 0; a < AB_KNOBS; a++)
        for (int b = a + 1; b < AB_KNOBS; b++) *pair_of(work, a, p->level[a], b, p->level[b]) = as;
}

static int count_wanted(unsigned char *work, const struct ab_point *p)
{
    int wanted = 0;
    for (int a = 0; a < AB_KNOBS; a++)
        for (int b = a + 1; b < AB_KNOBS; b++)
            wanted += *pair_of(work, a, p->level[a], b, p->level[b]) == WANTED;
    return wanted;
}

static int count_of(const unsigned char *work, unsigned char what)
{
    int count = 0;
    for (int i = 0; i < AB_COVER_WORK; i++) count += work[i] == what;
    return count;
}

/* The default first, then what covers the most; among equals chance decides, since the order of
 * points would prefer some levels. */
struct ab_cover ab_cover_look(const struct ab_space *space, const bool *out, const bool *seen,
                              uint64_t seed, unsigned char *work)
{
    struct ab_cover cover = {.next = -1};
    int most = 0;
    double luck = 0;
    bool begun = false;
    memset(work, NOBODY, AB_COVER_WORK);
    for (int i = 0; i < space->n_points; i++)
        if (!out[i]) mark(work, &space->points[i], WANTED);
    for (int i = 0; i < space->n_points; i++) {
        if (!seen[i]) continue;
        begun = true;
        mark(work, &space->points[i], COVERED);
    }
    const int wanted = count_of(work, WANTED);
    cover.covered = count_of(work, COVERED);
    cover.pairs = cover.covered + wanted;
    for (int i = 0; i < space->n_points && wanted > 0; i++) {
        if (out[i] || seen[i]) continue;
        const int count = count_wanted(work, &space->points[i]);
        const double chance = ab_uniform(seed, (uint64_t)i);
        if (count < most || (count == most && (begun ? chance <= luck : cover.next >= 0))) continue;
        most = count;
        luck = chance;
        cover.next = i;
    }
    if (most == 0) cover.next = -1;
    return cover;
}
