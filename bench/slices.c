// SPDX-License-Identifier: Apache-2.0
// Races: warm-up, one number of calls for all, turns.
#include "slices.h"

#include "run.h"
#include "stats.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 20 to 100 us: long enough for the clock, short enough that most slices lie between two
 * interruptions (a scheduler's tick is 1 to 10 ms). */
static const double SLICE_NS = 50e3;
/* Slices of warm-up are looked at in windows: long enough to see a clock that rises over
 * milliseconds. WINDOW_SLICES: enough that the second least is a low quantile. */
enum { WINDOW_SLICES = 8 };
static const double WINDOW_NS = 2e6;
/* Steady are two windows in a row that are not faster than the one before by more: of a slow fall
 * one alone may look still. */
static const double FALLING = 0.005;
enum { STILL_WINDOWS = 2 };
/* Where rounds take longer, slow_rounds of them will do. */
static const double SLOW_NS = 1e9;

enum { MAX_CALLS = 1000000, MAX_ROUNDS = 100000, GROWTH = 16 };

struct entrant {
    const struct ab_side *side;
    struct ab_series *series;
    int room;           /* slices that the series has memory for */
    double least;       /* ns of a call so far */
    int warm;           /* slices of warm-up */
    bool in, long_call; /* long_call: the first slice outlasted the warm-up */
};

/* The options with their defaults in place. */
struct limits {
    double sampling_ns, slice_ns, warm_ns;
    int min_rounds, slow_rounds, max_rounds, max_calls;
};

static struct limits limits_of(const struct ab_race_options *o)
{
    struct limits l = {.sampling_ns = o->seconds * 1e9,
                       .slice_ns = o->slice_ns > 0 ? o->slice_ns : SLICE_NS,
                       .warm_ns = (o->warm_seconds > 0 ? o->warm_seconds : o->seconds / 4) * 1e9,
                       .max_rounds = o->max_rounds > 0 ? o->max_rounds : MAX_ROUNDS,
                       .max_calls = o->max_calls > 0 ? o->max_calls : MAX_CALLS};
    l.min_rounds = o->min_rounds < l.max_rounds ? o->min_rounds : l.max_rounds;
    l.slow_rounds =
        o->slow_rounds > 0 && o->slow_rounds < l.min_rounds ? o->slow_rounds : l.min_rounds;
    return l;
}

/* ---- series ---- */

static bool grow(struct entrant *e, int n_parts)
{
    struct ab_series *s = e->series;
    if (s->rounds < e->room) return true;
    const int room = e->room ? 2 * e->room : 64;
    const size_t n = (size_t)room;
    double *ns = realloc(s->ns, n * sizeof *ns);
    if (ns) s->ns = ns;
    bool *disturbed = realloc(s->disturbed, n * sizeof *disturbed);
    if (disturbed) s->disturbed = disturbed;
    double *parts = n_parts ? realloc(s->parts, n * (size_t)n_parts * sizeof *parts) : NULL;
    if (parts) s->parts = parts;
    if (!ns || !disturbed || (n_parts && !parts)) return false;
    e->room = room;
    return true;
}

static int parts_of(const struct ab_slice *slice)
{
    return slice->parts && slice->n_parts > 0 ? slice->n_parts : 0;
}

static enum ab_status append(struct entrant *e, const struct ab_slice *slice, struct ab_error *err)
{
    struct ab_series *s = e->series;
    const int n_parts = parts_of(slice);
    if (!grow(e, n_parts)) return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples");
    s->n_parts = n_parts;
    if (n_parts)
        memcpy(s->parts + (size_t)s->rounds * (size_t)n_parts, slice->parts,
               (size_t)n_parts * sizeof *s->parts);
    s->ns[s->rounds] = slice->ns;
    s->disturbed[s->rounds++] = slice->disturbed;
    return AB_OK;
}

void ab_series_free(struct ab_series *s)
{
    free(s->ns);
    free(s->disturbed);
    free(s->parts);
    *s = (struct ab_series){0};
}

int ab_series_disturbed(const struct ab_series *s)
{
    int count = 0;
    for (int i = 0; i < s->rounds; i++) count += s->disturbed[i];
    return count;
}

/* ---- slices ---- */

/* False: the side has left. */
static bool take(struct entrant *e, int calls, struct ab_slice *slice)
{
    struct ab_series *s = e->series;
    *slice = (struct ab_slice){0};
    s->status = e->side->slice(e->side->user, calls, slice, &s->err);
    if (s->status == AB_OK && !(isfinite(slice->ns) && slice->ns >= 0))
        s->status = ab_fail(&s->err, AB_ERR_INTERNAL, "%s: a call that took %g ns", e->side->name,
                            slice->ns);
    if (s->status == AB_OK && e->room && parts_of(slice) != s->n_parts)
        s->status = ab_fail(&s->err, AB_ERR_INTERNAL, "%s: a call of %d parts after one of %d",
                            e->side->name, parts_of(slice), s->n_parts);
    e->in = s->status == AB_OK;
    if (e->in && slice->ns < e->least) e->least = slice->ns;
    return e->in;
}

/* The calls that make a slice long enough; a clock that saw nothing wants many more. */
static int calls_for(const struct limits *l, double ns, int before)
{
    const double most = fmin(l->max_calls, (double)before * GROWTH);
    const double wanted = ns > 0 ? ceil(l->slice_ns / ns) : most;
    return (int)fmax(1, fmin(wanted, most));
}

/* ---- warm-up ---- */

void ab_steady_begin(struct ab_steady *s)
{
    *s = (struct ab_steady){.before = INFINITY};
    ab_steady_again(s);
}

void ab_steady_again(struct ab_steady *s)
{
    s->start = ab_now_ns();
    s->least = s->second = INFINITY;
    s->looks = 0;
}

bool ab_steady_look(struct ab_steady *s, double ns)
{
    s->looks++;
    if (ns < s->least) {
        s->second = s->least;
        s->least = ns;
    } else if (ns < s->second) {
        s->second = ns;
    }
    if (s->looks < WINDOW_SLICES || ab_now_ns() - s->start < WINDOW_NS) return false;
    s->still = s->second >= s->before * (1 - FALLING) ? s->still + 1 : 0;
    s->before = s->second;
    ab_steady_again(s);
    return s->still >= STILL_WINDOWS;
}

/* The first slice stays in the series, for races of sides that have run before. */
static enum ab_status warm_up(struct entrant *e, const struct limits *l, struct ab_error *err)
{
    const double start = ab_now_ns();
    int calls = 1;
    struct ab_slice slice;
    struct ab_steady steady;
    ab_steady_begin(&steady);
    while (!ab_interrupted && !e->series->steady) {
        if (!take(e, calls, &slice)) return AB_OK;
        if (!e->warm++) {
            enum ab_status status = append(e, &slice, err);
            if (status != AB_OK) return status;
            e->long_call = ab_now_ns() - start >= l->warm_ns;
        }
        if (ab_now_ns() - start >= l->warm_ns) break;
        if (slice.ns * calls < l->slice_ns && calls < l->max_calls) {
            calls = calls_for(l, slice.ns, calls);
            ab_steady_again(&steady);
        } else {
            e->series->steady = ab_steady_look(&steady, slice.ns);
        }
    }
    return AB_OK;
}

/* The fastest side's slice is long enough, the others' are longer. */
static int shared_calls(const struct entrant *entrants, int count, const struct limits *l)
{
    double least = INFINITY;
    for (int i = 0; i < count; i++)
        if (entrants[i].in && entrants[i].warm) least = fmin(least, entrants[i].least);
    return isfinite(least) ? calls_for(l, least, MAX_CALLS) : 0;
}

/* Whether the warm-up was a round: one call of each side, and there is no time for more. */
static bool was_round(const struct entrant *entrants, int count, int calls)
{
    bool was = calls == 1;
    for (int i = 0; i < count; i++) was = was && (!entrants[i].in || entrants[i].long_call);
    return was;
}

/* ---- rounds ---- */

static enum ab_status one_round(struct entrant *entrants, int count, int round, int calls,
                                struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < count && status == AB_OK && !ab_interrupted; i++) {
        /* A B, B A: none is always first. */
        struct entrant *e = &entrants[round % 2 ? count - 1 - i : i];
        struct ab_slice slice;
        if (e->in && take(e, calls, &slice)) status = append(e, &slice, err);
    }
    return status;
}

static bool any_in(const struct entrant *entrants, int count)
{
    for (int i = 0; i < count; i++)
        if (entrants[i].in) return true;
    return false;
}

/* An interruption may have left a round half done; the first is better than nothing. */
static void drop_half(struct entrant *entrants, int count)
{
    int whole = INT_MAX;
    for (int i = 0; i < count; i++)
        if (entrants[i].in && entrants[i].series->rounds < whole)
            whole = entrants[i].series->rounds;
    for (int i = 0; i < count && whole; i++)
        if (entrants[i].series->rounds > whole) entrants[i].series->rounds = whole;
}

static enum ab_status take_turns(struct entrant *entrants, int count, const struct limits *l,
                                 int round, double start, int calls, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (; round < l->max_rounds && status == AB_OK && !ab_interrupted; round++) {
        const double spent = ab_now_ns() - start;
        const bool slow = round && spent / round > SLOW_NS;
        if (round >= (slow ? l->slow_rounds : l->min_rounds) && spent >= l->sampling_ns) break;
        if (!any_in(entrants, count)) break;
        status = one_round(entrants, count, round, calls, err);
    }
    if (ab_interrupted) drop_half(entrants, count);
    return status;
}

enum ab_status ab_race(const struct ab_side *sides, int count, const struct ab_race_options *o,
                       struct ab_series *series, int *calls, struct ab_error *err)
{
    const struct limits l = limits_of(o);
    *calls = 0;
    struct entrant *entrants = calloc((size_t)count, sizeof *entrants);
    if (count && !entrants) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a race");
    double start = ab_now_ns();
    enum ab_status status = AB_OK;
    for (int i = 0; i < count && status == AB_OK; i++) {
        entrants[i] = (struct entrant){&sides[i], &series[i], .least = INFINITY, .in = true};
        status = warm_up(&entrants[i], &l, err);
    }
    *calls = shared_calls(entrants, count, &l);
    int round = o->started && was_round(entrants, count, *calls);
    for (int i = 0; i < count && !round; i++) series[i].rounds = 0;
    if (!round) start = ab_now_ns();
    if (status == AB_OK) status = take_turns(entrants, count, &l, round, start, *calls, err);
    free(entrants);
    return status;
}
