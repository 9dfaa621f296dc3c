// SPDX-License-Identifier: Apache-2.0
// The window in which clients count.
//
//     start --- opens --------------------- closes ------ over
//       lead-in          `seconds`             the rest of those that asked in it
//
// The lead-in lets a queue come into being: in an open loop a tenth of the time; in a closed one
// with more clients than places, where the first clients find no queue, the first execution.
#include "serve.h"

#include <math.h>
#include <stdlib.h>

static const double LEAD = 0.1;
/* Verdicts on an open loop wait for this share of the time: its queue has a memory. */
static const double SETTLED = 0.25;
/* Whoever asked is waited for half as long again, and for some executions. */
static const double PATIENT = 0.5;
enum { PATIENT_EXECUTIONS = 4 };

enum ab_status ab_window_start(struct ab_window *w, const struct ab_visit_options *o, int instances,
                               int places, int streams, struct ab_error *err)
{
    const size_t most = AB_VISIT_REQUESTS;
    *w = (struct ab_window){.o = o,
                            .instances = instances,
                            .places = places,
                            .opened = 0,
                            .closed = INFINITY,
                            .over = INFINITY,
                            .give_up = INFINITY,
                            .idle = -1};
    if (!streams) w->opened = LEAD * o->seconds * 1e9;
    if (streams > places) w->opened = INFINITY;
    /* Pages that are never touched cost nothing, and nothing moves while it is served. */
    w->latency_ns = calloc(most, sizeof *w->latency_ns);
    w->service_ns = calloc(most, sizeof *w->service_ns);
    w->crowd = calloc(most, sizeof *w->crowd);
    w->begun = calloc((size_t)instances, sizeof *w->begun);
    if (w->latency_ns && w->service_ns && w->crowd && w->begun) return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for latencies");
}

void ab_window_free(struct ab_window *w)
{
    free(w->latency_ns);
    free(w->service_ns);
    free(w->crowd);
    free(w->begun);
    *w = (struct ab_window){0};
}

static bool is_open(const struct ab_window *w)
{
    return isfinite(w->opened) && !isfinite(w->closed);
}

static void look(struct ab_window *w, bool last)
{
    if (w->o->slo.limit_ns > 0 && w->slo == AB_SLO_OPEN)
        w->slo =
            ab_slo_look(&w->looks, &w->o->slo, w->latency_ns, w->requests, w->o->confidence, last);
}

/* Executions that outlast the counting gave no images: of the time of their instances, what went
 * into them does not count either. */
static void finish(struct ab_window *w, double now)
{
    w->over = now;
    for (int i = 0; i < w->running; i++)
        w->unseen += fmax(0, w->closed - fmax(w->begun[i], w->opened));
    look(w, true);
}

static void close_window(struct ab_window *w, double now, long present, bool wait)
{
    w->closed = now;
    w->left = w->pending = present;
    w->give_up = now + PATIENT * w->o->seconds * 1e9 + PATIENT_EXECUTIONS * w->longest;
    if (!wait || !present) finish(w, now);
}

/* A visit without a single request says nothing. */
static int least_requests(const struct ab_window *w)
{
    return w->o->least_requests > 1 ? w->o->least_requests : 1;
}

/* Whether enough has been seen. */
static void decide(struct ab_window *w, double now, long present)
{
    const struct ab_visit_options *o = w->o;
    const double seconds = (now - w->opened) / 1e9;
    const bool settled = o->load.kind == AB_LOAD_CLOSED || seconds >= SETTLED * o->seconds;
    if (!is_open(w) || now < w->opened) return;
    if (settled) look(w, false);
    if (w->slo != AB_SLO_OPEN || (o->most_seconds > 0 && seconds >= o->most_seconds))
        close_window(w, now, present, false);
    else if ((seconds >= o->seconds && w->requests >= least_requests(w)) ||
             w->requests >= AB_VISIT_REQUESTS || w->executions >= AB_VISIT_REQUESTS)
        close_window(w, now, present, true);
}

/* The share of an execution that lies in the window. Whole ones alone would give rates in steps of
 * an execution: of two instances in step, 7 % of half a second of 36 ms each. */
static double inside(const struct ab_window *w, double begin, double end)
{
    const double from = fmax(begin, w->opened), to = fmin(end, w->closed);
    return to > from ? (to - from) / (end - begin) : 0;
}

void ab_window_begun(struct ab_window *w, double begin)
{
    if (w->running < w->instances) w->begun[w->running++] = begin;
}

static void ended(struct ab_window *w, double begin)
{
    for (int i = 0; i < w->running; i++)
        if (w->begun[i] == begin) {
            w->begun[i] = w->begun[--w->running];
            return;
        }
}

void ab_window_served(struct ab_window *w, double begin, double end, const double *asked, int count,
                      long present)
{
    int counted = 0;
    if (isfinite(w->over)) return;
    ended(w, begin);
    w->longest = fmax(w->longest, end - begin);
    for (int i = 0; i < count; i++) {
        counted += asked[i] < w->closed;
        if (asked[i] < w->opened || asked[i] >= w->closed) continue;
        if (w->requests < AB_VISIT_REQUESTS) w->latency_ns[w->requests++] = end - asked[i];
    }
    w->images += count * inside(w, begin, end);
    if (is_open(w) && begin >= w->opened && w->executions < AB_VISIT_REQUESTS) {
        w->crowd[w->executions] = (struct ab_crowd){end, present};
        w->service_ns[w->executions++] = end - begin;
    }
    if (!isfinite(w->opened)) w->opened = end;
    if (isfinite(w->closed)) {
        w->pending -= counted;
        if (w->pending <= 0) finish(w, end);
    } else {
        decide(w, end, present);
    }
}

void ab_window_tick(struct ab_window *w, double now, long present, bool stop)
{
    if (isfinite(w->over)) return;
    if (!isfinite(w->closed) && stop) {
        w->opened = fmin(w->opened, now);
        close_window(w, now, present, false);
    } else if (isfinite(w->closed) && (stop || now >= w->give_up)) {
        w->crossed = !stop;
        finish(w, now);
    } else {
        decide(w, now, present);
    }
}

void ab_window_idle(struct ab_window *w, double now)
{
    w->idle = now;
}

double ab_window_due(const struct ab_window *w)
{
    const struct ab_visit_options *o = w->o;
    const double most = o->most_seconds > 0 ? o->most_seconds * 1e9 : INFINITY;
    if (isfinite(w->closed)) return w->give_up;
    /* Once the time has passed it is requests that are waited for. */
    return w->requests < least_requests(w) ? w->opened + most
                                           : w->opened + fmin(o->seconds * 1e9, most);
}

double ab_window_rate(const struct ab_window *w)
{
    const double closed = fmin(w->closed, w->over);
    const double seen = isfinite(closed) ? (closed - w->opened) - w->unseen / w->instances : 0;
    return w->images > 0 && seen > 0 ? w->images / (seen / 1e9) : 0;
}

/* Clients in the system, as the last execution before that time left it. */
static long present_at(const struct ab_window *w, double time)
{
    long present = 0;
    for (int i = 0; i < w->executions && w->crowd[i].at <= time; i++) present = w->crowd[i].present;
    return present;
}

bool ab_window_overloaded(const struct ab_window *w)
{
    if (w->o->load.kind == AB_LOAD_CLOSED || !isfinite(w->closed)) return false;
    const double middle = w->opened + (w->closed - w->opened) / 2,
                 expected = w->o->load.rate * (w->closed - w->opened) / 1e9;
    const double end = (double)w->left;
    /* By more than arrivals of half the time scatter (three deviations), with never a moment to
     * spare; or so that a quarter of all were left. */
    const double scatter = 3 * sqrt(expected / 2) + w->places;
    if (w->crossed) return true;
    if (w->idle >= middle) return false;
    return end > (double)present_at(w, middle) + scatter || end > expected / 4 + 4 * w->places;
}
