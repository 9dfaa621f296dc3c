// SPDX-License-Identifier: Apache-2.0
// Bisection over rates of arrivals.
#include "tune_rate.h"

#include "run.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* How close the border is looked for. */
static const double CLOSE = 1.05;
/* No open loop holds what clients without end do not get; measured rates scatter by less. */
static const double BEYOND = 1.1, FURTHER = 1.5;
/* Below, arrivals hardly ever meet: whatever breaks there breaks alone. */
static const double RARE = 1.0 / 256;
/* Shares of the time: of the look at a single client, of that at clients without end, of what is
 * left for one probe, of what is kept for confirming. */
static const double IDLE_SHARE = 0.1, CLOSED_SHARE = 0.1, PROBE_SHARE = 0.25, MOST_SHARE = 0.6,
                    CONFIRM_SHARE = 0.25;

struct search {
    ab_rate_fn probe;
    void *user;
    int least;
    double seconds;     /* of all */
    double high;        /* rates from here on do not hold, or are not worth a try */
    bool undecided;     /* `high` is where a probe could not say in its time */
    double closed_rate; /* images a second of clients without end; 0: not known yet */
    double overhead;    /* s of starting a process, as far as seen */
    struct ab_max_rate *r;
};

static double left_of(const struct search *s, double share)
{
    return share * s->seconds - s->r->spent_s;
}

static enum ab_status try(struct search *s, double rate, double seconds, struct ab_error *err)
{
    struct ab_max_rate *r = s->r;
    struct ab_rate_probe *p = &r->probes[r->n_probes];
    *p = (struct ab_rate_probe){.quantile_ns = (double)NAN};
    const enum ab_status status = s->probe(s->user, rate, seconds, p, err);
    if (status != AB_OK) return status;
    p->rate = rate;
    if (p->overloaded) p->state = AB_SLO_BROKEN;
    r->spent_s += p->seconds;
    r->n_probes++;
    return AB_OK;
}

/* Starts from what clients without end get, no less than what one gets who is alone. */
static enum ab_status look_at_capacity(struct search *s, struct ab_error *err)
{
    struct ab_max_rate *r = s->r;
    const struct ab_rate_probe *idle = &r->probes[0];
    enum ab_status status = AB_OK;
    s->overhead = idle->seconds;
    if (idle->images_per_s > 0)
        s->overhead = fmax(0, idle->seconds - idle->requests / idle->images_per_s);
    if (!(s->closed_rate > 0)) {
        struct ab_rate_probe closed = {.seconds = 0};
        status = s->probe(s->user, INFINITY, CLOSED_SHARE * s->seconds, &closed, err);
        if (status != AB_OK) return status;
        r->spent_s += closed.seconds;
        s->closed_rate = closed.images_per_s;
    }
    s->closed_rate = fmax(s->closed_rate, idle->images_per_s);
    s->high = BEYOND * s->closed_rate;
    if (!(s->high > 0) && !ab_interrupted)
        snprintf(r->note, sizeof r->note, "nobody was served in %.3g s", r->spent_s);
    return status;
}

/* What one probe may take; 0: there is no time to show that the rate holds. */
static double time_for(const struct search *s, double rate, double share)
{
    const double left = left_of(s, share);
    /* Two looks' worth, so that one request too late does not spoil it. */
    const double need = 2 * s->least / rate;
    if (s->r->n_probes > 1 && left < need / 2 + s->overhead) return 0;
    return fmax(PROBE_SHARE * left, fmin(need, MOST_SHARE * left));
}

static int probes_at(const struct ab_max_rate *r, double rate, enum ab_slo_state state)
{
    int count = 0;
    for (int i = 0; i < r->n_probes; i++)
        count += r->probes[i].rate == rate && r->probes[i].state == state;
    return count;
}

/* What else runs on a machine comes in stretches in which any rate breaks the limit, and a rate
 * that breaks takes all above it away: unless the queue grew, it takes two of three probes. */
static bool in_doubt(const struct ab_max_rate *r)
{
    const struct ab_rate_probe *last = &r->probes[r->n_probes - 1];
    return last->rate > 0 && !last->overloaded && last->state != AB_SLO_OPEN &&
           probes_at(r, last->rate, AB_SLO_BROKEN) == 1 &&
           probes_at(r, last->rate, AB_SLO_HELD) < 2;
}

/* Where to look next; 0: the border is found, or there is none. */
static double next_rate(struct search *s)
{
    struct ab_max_rate *r = s->r;
    if (in_doubt(r)) return r->probes[r->n_probes - 1].rate;
    if (r->held > 0 && isfinite(r->broken) && r->broken <= r->held * CLOSE) {
        r->settled = true;
        return 0;
    }
    if (r->held > 0 && s->high <= r->held * CLOSE) {
        /* Nothing above was tried: the measured rate of clients without end may be too low. */
        if (isfinite(r->broken) || s->undecided) return 0;
        if (r->held >= s->high) s->high *= FURTHER;
        return s->high;
    }
    if (r->held > 0) return (r->held + s->high) / 2;
    return s->high > RARE * s->closed_rate ? s->high / 2 : 0;
}

static void learn(struct search *s)
{
    struct ab_max_rate *r = s->r;
    const struct ab_rate_probe *p = &r->probes[r->n_probes - 1];
    if (in_doubt(r)) return;
    if (p->state == AB_SLO_HELD) {
        r->held = fmax(r->held, p->rate);
        return;
    }
    s->high = p->rate;
    s->undecided = p->state == AB_SLO_OPEN;
    if (p->state == AB_SLO_BROKEN) r->broken = p->rate;
}

static enum ab_status bisect(struct search *s, struct ab_error *err)
{
    struct ab_max_rate *r = s->r;
    enum ab_status status = AB_OK;
    while (status == AB_OK && !ab_interrupted && r->n_probes < AB_RATE_PROBES - 4) {
        const double rate = next_rate(s), share = 1 - CONFIRM_SHARE;
        if (rate <= 0) break;
        const double seconds = time_for(s, rate, share);
        if (seconds <= 0) {
            snprintf(r->note, sizeof r->note,
                     "time ran out: %d requests, which it takes to be sure, take %.3g s at %.3g a "
                     "second",
                     s->least, s->least / rate, rate);
            break;
        }
        status = try(s, rate, seconds, err);
        if (status == AB_OK && !ab_interrupted) learn(s);
    }
    if (!r->settled && !*r->note)
        snprintf(r->note, sizeof r->note, "%s",
                 r->held > 0 ? "rates in between were not decided in the time that there was"
                             : "no rate was shown to hold");
    return status;
}

/* The highest rate below `rate` that held; 0: none did. */
static double lower(const struct ab_max_rate *r, double rate)
{
    double best = 0;
    for (int i = 0; i < r->n_probes; i++)
        if (r->probes[i].state == AB_SLO_HELD && r->probes[i].rate < rate)
            best = fmax(best, r->probes[i].rate);
    return best;
}

static enum ab_status confirm(struct search *s, struct ab_error *err)
{
    struct ab_max_rate *r = s->r;
    while (r->held > 0 && !ab_interrupted && r->n_probes < AB_RATE_PROBES) {
        const double seconds = time_for(s, r->held, 1);
        if (seconds <= 0) break;
        const enum ab_status status = try(s, r->held, seconds, err);
        if (status != AB_OK) return status;
        if (ab_interrupted) break;
        const struct ab_rate_probe *p = &r->probes[r->n_probes - 1];
        r->confirmed = p->state == AB_SLO_HELD;
        if (in_doubt(r)) continue;
        if (p->state != AB_SLO_BROKEN) break;
        r->broken = r->held;
        r->held = lower(r, r->held);
        r->settled = r->held > 0 && r->broken <= r->held * CLOSE;
    }
    if (r->held > 0 && !r->confirmed && !*r->note)
        snprintf(r->note, sizeof r->note,
                 "a second run could not confirm it in the time that was left");
    return AB_OK;
}

enum ab_status ab_rate_search(ab_rate_fn probe, void *user, int least, double closed_rate,
                              double seconds, struct ab_max_rate *r, struct ab_error *err)
{
    struct search s = {.probe = probe,
                       .user = user,
                       .least = least,
                       .seconds = seconds,
                       .closed_rate = closed_rate,
                       .r = r};
    *r = (struct ab_max_rate){.broken = INFINITY};
    if (!(closed_rate >= 0 && isfinite(closed_rate)) || !(seconds > 0))
        return ab_fail(err, AB_ERR_ARG, "a search from %g images a second within %g s", closed_rate,
                       seconds);
    enum ab_status status = try(&s, 0, IDLE_SHARE * seconds, err);
    if (status != AB_OK || ab_interrupted) return status;
    if (r->probes[0].state == AB_SLO_BROKEN) {
        r->idle_broken = true;
        snprintf(r->note, sizeof r->note, "the limit is too low even for a client that is alone");
        return AB_OK;
    }
    status = look_at_capacity(&s, err);
    if (status != AB_OK || ab_interrupted || *r->note) return status;
    status = bisect(&s, err);
    return status == AB_OK ? confirm(&s, err) : status;
}

void ab_rate_withdraw(struct ab_max_rate *r, double rate, bool broke)
{
    r->held = lower(r, rate);
    if (broke) r->broken = rate;
    r->settled = r->confirmed = false;
    snprintf(r->note, sizeof r->note, "%.3g a second %s, served for longer%s", rate,
             broke ? "broke the limit" : "left the limit open",
             r->held > 0 ? ": what held below that" : "; nothing below that was shown to hold");
}

/* ---- by visits ---- */

struct visits {
    const struct ab_visit_options *base;
    const struct ab_slo *slo;
    uint64_t count; /* so far: each has arrivals of its own */
};

static enum ab_status visit(void *user, double rate, double seconds, struct ab_rate_probe *p,
                            struct ab_error *err)
{
    struct visits *all = user;
    struct ab_visit v;
    struct ab_visit_options o = *all->base;
    o.load = (struct ab_load_shape){.kind = AB_LOAD_CLOSED, .streams = rate > 0 ? 0 : 1};
    if (rate > 0 && isfinite(rate))
        o.load = (struct ab_load_shape){.kind = AB_LOAD_POISSON, .rate = rate};
    /* What clients without end get is no matter of the limit. */
    o.slo = isfinite(rate) ? *all->slo : (struct ab_slo){0, 0};
    o.seconds = seconds;
    o.least_requests = 1;
    o.most_seconds = 2 * seconds;
    o.seed = ab_hash(all->base->seed, &all->count, sizeof all->count);
    all->count++;
    const enum ab_status status = ab_visit(&o, &v, err);
    if (status != AB_OK) return status;
    *p = (struct ab_rate_probe){.state = v.slo,
                                .overloaded = v.overloaded,
                                .requests = v.requests,
                                .images_per_s = v.images_per_s,
                                .quantile_ns = (double)NAN,
                                .seconds = v.wall_s};
    if (v.requests) {
        ab_sort(v.latency_ns, (size_t)v.requests);
        p->quantile_ns = ab_quantile(v.latency_ns, v.requests, all->slo->quantile);
    }
    ab_visit_free(&v);
    return AB_OK;
}

enum ab_status ab_tune_max_rate(const struct ab_visit_options *base, const struct ab_slo *slo,
                                double closed_rate, double seconds, struct ab_max_rate *result,
                                struct ab_error *err)
{
    struct visits all = {.base = base, .slo = slo};
    /* As much as the first of ab_slo_look's looks wants. */
    const int least = ab_percentile_least(slo->quantile, 1 - (1 - base->confidence) / 2);
    return ab_rate_search(visit, &all, least, closed_rate, seconds, result, err);
}
