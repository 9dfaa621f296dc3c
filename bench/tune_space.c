// SPDX-License-Identifier: Apache-2.0
// The points of a space: every combination of the knobs' values that can exist.
#include "tune_inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a point is made of. */
struct maker {
    const struct ab_site *site;
    const struct ab_knob_values *knobs;
    int best_engine;   /* of the native ones; -1: none */
    unsigned one_algo; /* as of ab_space_create */
};

static bool is_native(const char *backend)
{
    return strncmp(backend, "native", 6) == 0;
}

static size_t combinations(const struct ab_knob_values knobs[AB_KNOBS])
{
    size_t all = 1;
    for (int k = 0; k < AB_KNOBS; k++) all *= (size_t)knobs[k].count;
    return all;
}

/* The number of a combination of levels, and back. */
static size_t number_of(const struct ab_knob_values knobs[AB_KNOBS], const int level[AB_KNOBS])
{
    size_t number = 0;
    for (int k = 0; k < AB_KNOBS; k++) number = number * (size_t)knobs[k].count + (size_t)level[k];
    return number;
}

static void levels_of(const struct ab_knob_values knobs[AB_KNOBS], size_t number,
                      int level[AB_KNOBS])
{
    for (int k = AB_KNOBS - 1; k >= 0; k--) {
        level[k] = (int)(number % (size_t)knobs[k].count);
        number /= (size_t)knobs[k].count;
    }
}

/* CPUs that are kept busy cost others, engines of a library a dependency, flushed subnormals bits
 * of the result; other words cost a line in a configuration. */
static double simplicity(const struct maker *m, const struct ab_deploy *d, const int level[])
{
    double cost = 0;
    if (!is_native(d->backend))
        cost += 3;
    else if (level[AB_KNOB_ENGINE] != m->best_engine)
        cost += 2;
    cost += d->algo != AB_ALGO_AUTO;
    cost += d->memory != AB_MEMORY_FAST;
    cost += 2 * log2(d->threads * d->instances) + (d->instances > 1 ? 0.5 : 0);
    cost += 0.75 * log2(d->batch);
    cost += d->place == AB_PLACE_FREE ? 0.5 : d->place == AB_PLACE_SMT ? 0.75 : 0;
    cost += d->pages == AB_PAGES_SMALL ? 0.5 : 0;
    cost += d->denormals == AB_DENORMALS_FLUSH;
    return cost;
}

/* Of a native engine. */
static bool has_one_algo(const struct maker *m, const char *backend)
{
    const char *cap = strchr(backend, ':');
    for (int i = 0; i < AB_ISA_COUNT && cap; i++)
        if (!strcmp(cap + 1, ab_isa_name((enum ab_isa)i))) return m->one_algo >> i & 1;
    return false;
}

/* Another point, simpler, has the same plan. */
static bool is_twin(const struct maker *m, const struct ab_deploy *d)
{
    bool both = false;
    if (!is_native(d->backend) || d->algo != AB_ALGO_DIRECT || d->memory != AB_MEMORY_FAST)
        return false;
    for (int l = 0; l < m->knobs[AB_KNOB_ALGO].count; l++)
        both |= !strcmp(m->knobs[AB_KNOB_ALGO].text[l], ab_algo_words[AB_ALGO_AUTO]);
    return both && has_one_algo(m, d->backend);
}

enum made { MADE, CANNOT_BE, TWIN, NO_MEMORY };

static enum made make_point(const struct maker *m, const int level[AB_KNOBS], struct ab_point *p)
{
    struct ab_deploy *d = &p->deploy;
    *p = (struct ab_point){.deploy = {.threads = 1, .instances = 1, .batch = 1}};
    for (int k = 0; k < AB_KNOBS; k++) {
        ab_knob_set(d, (enum ab_knob)k, m->knobs[k].text[level[k]]);
        p->level[k] = level[k];
    }
    if (!is_native(d->backend)) {
        if (level[AB_KNOB_ALGO] || level[AB_KNOB_MEMORY]) return CANNOT_BE;
        ab_knob_set(d, AB_KNOB_ALGO, "");
        ab_knob_set(d, AB_KNOB_MEMORY, "");
    } else if (d->memory == AB_MEMORY_LEAN && d->algo != AB_ALGO_DIRECT)
        return CANNOT_BE;
    if (d->place != AB_PLACE_FREE) {
        d->cpus = malloc((size_t)(d->threads * d->instances) * sizeof *d->cpus);
        if (!d->cpus) return NO_MEMORY;
    }
    if (!ab_site_place(m->site, d->place, d->threads, d->instances, d->cpus)) {
        free(d->cpus);
        return CANNOT_BE;
    }
    if (is_twin(m, d)) {
        free(d->cpus);
        return TWIN;
    }
    p->simplicity = simplicity(m, d, level);
    ab_deploy_text(d, p->text);
    return MADE;
}

/* By levels where it is the same, so that the order is one. */
static int by_simplicity(const void *left, const void *right)
{
    const struct ab_point *a = left, *b = right;
    if (a->simplicity != b->simplicity) return a->simplicity < b->simplicity ? -1 : 1;
    for (int k = 0; k < AB_KNOBS; k++)
        if (a->level[k] != b->level[k]) return a->level[k] - b->level[k];
    return 0;
}

static void free_points(struct ab_space *space)
{
    for (int i = 0; i < space->n_points; i++) free(space->points[i].deploy.cpus);
    free(space->points);
    space->points = NULL;
    space->n_points = 0;
}

static enum ab_status make_points(const struct maker *m, struct ab_space *space,
                                  struct ab_error *err)
{
    const size_t all = combinations(space->knobs);
    int twins = 0;
    space->points = malloc(all * sizeof *space->points);
    if (!space->points) return ab_fail(err, AB_ERR_MEMORY, "the space: out of memory");
    for (size_t number = 0; number < all; number++) {
        int level[AB_KNOBS];
        levels_of(space->knobs, number, level);
        const enum made made = make_point(m, level, &space->points[space->n_points]);
        if (made == NO_MEMORY) return ab_fail(err, AB_ERR_MEMORY, "the space: out of memory");
        space->n_points += made == MADE;
        twins += made == TWIN;
    }
    /* Once their value is out they are not made again. */
    if (twins > space->twins) space->twins = twins;
    return AB_OK;
}

/* Whether it is a value of the point. Engines that have no choice take the first there is, which
 * says nothing of them unless it is the usual one. */
static bool means(const struct ab_space *space, const struct ab_point *p, int knob)
{
    struct ab_deploy d = {.threads = 1};
    if (is_native(p->deploy.backend) || (knob != AB_KNOB_ALGO && knob != AB_KNOB_MEMORY))
        return true;
    ab_knob_set(&d, (enum ab_knob)knob, space->knobs[knob].text[p->level[knob]]);
    return d.algo == AB_ALGO_AUTO && d.memory == AB_MEMORY_FAST;
}

/* Takes out values that no point has. One that was asked for is an error. */
static enum ab_status drop_unused(struct ab_space *space, const bool named[AB_KNOBS], bool *dropped,
                                  struct ab_error *err)
{
    *dropped = false;
    for (int k = 0; k < AB_KNOBS; k++) {
        bool used[AB_KNOB_VALUES] = {false};
        struct ab_knob_values *v = &space->knobs[k];
        int kept = 0;
        for (int i = 0; i < space->n_points; i++)
            used[space->points[i].level[k]] |= means(space, &space->points[i], k);
        for (int l = 0; l < v->count; l++) {
            if (!used[l] && named[k] && !(k == AB_KNOB_ALGO && space->twins))
                return ab_fail(
                    err, AB_ERR_ARG,
                    "--space %s=%s: no configuration can have it beside the other values "
                    "(lean memory wants algo=direct, onednn has neither, smt wants two "
                    "threads, cores one core for each); widen the others or take it out",
                    ab_knob_name((enum ab_knob)k), v->text[l]);
            if (used[l]) memmove(v->text[kept++], v->text[l], sizeof v->text[0]);
        }
        *dropped = *dropped || kept < v->count;
        v->count = kept;
    }
    return AB_OK;
}

static bool index_points(struct ab_space *space)
{
    const size_t all = combinations(space->knobs);
    space->at = malloc(all * sizeof *space->at);
    if (!space->at) return false;
    for (size_t i = 0; i < all; i++) space->at[i] = -1;
    for (int i = 0; i < space->n_points; i++)
        space->at[number_of(space->knobs, space->points[i].level)] = i;
    return true;
}

static int best_engine(const struct ab_knob_values *v)
{
    for (int i = 0; i < v->count; i++)
        if (is_native(v->text[i])) return i;
    return -1;
}

enum ab_status ab_space_create(const struct ab_words *narrowing, const struct ab_site *site,
                               unsigned one_algo, struct ab_space *space, struct ab_error *err)
{
    bool named[AB_KNOBS], dropped = true;
    *space = (struct ab_space){.n_points = 0};
    enum ab_status status = ab_knob_offer(narrowing, site, space->knobs, named, err);
    while (status == AB_OK && dropped) {
        const struct maker m = {site, space->knobs, best_engine(&space->knobs[AB_KNOB_ENGINE]),
                                one_algo};
        free_points(space);
        status = make_points(&m, space, err);
        if (status == AB_OK) status = drop_unused(space, named, &dropped, err);
    }
    if (status == AB_OK) {
        qsort(space->points, (size_t)space->n_points, sizeof *space->points, by_simplicity);
        if (!index_points(space)) status = ab_fail(err, AB_ERR_MEMORY, "the space: out of memory");
    }
    if (status != AB_OK) ab_space_free(space);
    return status;
}

void ab_space_free(struct ab_space *space)
{
    free_points(space);
    free(space->at);
    *space = (struct ab_space){.n_points = 0};
}

int ab_space_find(const struct ab_space *space, const int level[AB_KNOBS])
{
    for (int k = 0; k < AB_KNOBS; k++)
        if (level[k] < 0 || level[k] >= space->knobs[k].count) return -1;
    return space->at[number_of(space->knobs, level)];
}

int ab_space_neighbour(const struct ab_space *space, int point, enum ab_knob knob, int level)
{
    int to[AB_KNOBS];
    memcpy(to, space->points[point].level, sizeof to);
    to[knob] = level;
    int found = ab_space_find(space, to);
    const int algos = space->knobs[AB_KNOB_ALGO].count;
    const int memories = space->knobs[AB_KNOB_MEMORY].count;
    const int was_algo = to[AB_KNOB_ALGO], was_memory = to[AB_KNOB_MEMORY];
    /* The least that has to change with it: first the algorithm, then the memory, then both. */
    for (int a = 0; a < algos && found < 0 && knob != AB_KNOB_ALGO; a++) {
        to[AB_KNOB_ALGO] = a;
        found = ab_space_find(space, to);
    }
    to[AB_KNOB_ALGO] = was_algo;
    /* Plain sums do with any memory; where they have no point, it is a twin of this one. */
    const bool implies_nothing = knob == AB_KNOB_ALGO && !strcmp(space->knobs[knob].text[level],
                                                                 ab_algo_words[AB_ALGO_DIRECT]);
    for (int m = 0; m < memories && found < 0 && knob != AB_KNOB_MEMORY && !implies_nothing; m++) {
        to[AB_KNOB_MEMORY] = m;
        found = ab_space_find(space, to);
    }
    to[AB_KNOB_MEMORY] = was_memory;
    if (found < 0 && knob == AB_KNOB_ENGINE) {
        to[AB_KNOB_ALGO] = to[AB_KNOB_MEMORY] = 0;
        found = ab_space_find(space, to);
    }
    return found;
}

int ab_space_find_text(const struct ab_space *space, const char *text)
{
    for (int i = 0; i < space->n_points; i++)
        if (!strcmp(space->points[i].text, text)) return i;
    return -1;
}
