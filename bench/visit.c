// SPDX-License-Identifier: Apache-2.0
// Visits from the side that asks for them: loads in words, and by turns with a pacemaker.
#include "visit_inside.h"

#include "run.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STREAMS = 100000 };

/* ---- loads ---- */

static enum ab_status parse_streams(const char *text, const char *count, struct ab_load_shape *load,
                                    struct ab_error *err)
{
    const size_t digits = strspn(count, "0123456789");
    const long streams = digits && digits <= 6 && !count[digits] ? strtol(count, NULL, 10) : 0;
    if (streams < 1 || streams > MOST_STREAMS)
        return ab_fail(err, AB_ERR_ARG,
                       "load '%.40s': '%.20s' is no number of clients: 1 to %d, such as closed:4",
                       text, count, MOST_STREAMS);
    *load = (struct ab_load_shape){.kind = AB_LOAD_CLOSED, .streams = (int)streams};
    return AB_OK;
}

static enum ab_status parse_rate(const char *text, const char *count, struct ab_load_shape *load,
                                 struct ab_error *err)
{
    char *end;
    const double rate =
        *count >= '.' && *count <= '9' && !strpbrk(count, "xX") ? strtod(count, &end) : (double)NAN;
    if (!(rate >= 1e-3 && rate <= 1e6) || *end)
        return ab_fail(err, AB_ERR_ARG,
                       "load '%.40s': '%.20s' is no number of images a second: 0.001 to 1000000, "
                       "such as poisson:20",
                       text, count);
    *load = (struct ab_load_shape){.kind = AB_LOAD_POISSON, .rate = rate};
    return AB_OK;
}

enum ab_status ab_load_shape_parse(const char *text, struct ab_load_shape *load,
                                   struct ab_error *err)
{
    if (!strcmp(text, "closed")) {
        *load = (struct ab_load_shape){.kind = AB_LOAD_CLOSED};
        return AB_OK;
    }
    if (!strncmp(text, "closed:", 7)) return parse_streams(text, text + 7, load, err);
    if (!strncmp(text, "poisson:", 8)) return parse_rate(text, text + 8, load, err);
    return ab_fail(err, AB_ERR_ARG,
                   "load '%.40s': write closed, closed:N (N clients that each wait for their map) "
                   "or poisson:R (R images a second arrive at random)",
                   text);
}

void ab_load_shape_text(const struct ab_load_shape *load, char *text, size_t size)
{
    if (load->kind == AB_LOAD_POISSON)
        snprintf(text, size, "poisson:%.9g", load->rate);
    else if (load->streams)
        snprintf(text, size, "closed:%d", load->streams);
    else
        snprintf(text, size, "closed");
}

/* ---- turns ---- */

bool ab_visit_can_pause(const struct ab_visit_options *o)
{
    const int places = o->deploy->instances * o->deploy->batch;
    return o->load.kind == AB_LOAD_CLOSED && o->load.streams <= places && !(o->slo.limit_ns > 0);
}

struct ab_pacemaker {
    struct ab_call call;
    struct ab_visit_options o;
    bool lost; /* it failed: visits go on without */
};

/* Long against an execution's scatter, short against what changes a machine's pace. */
static const double TURN_S = 0.1;
/* The pacemaker takes each turn until it is known well, and then every fourth: long visits are for
 * their requests. */
enum { EACH = 20, EVERY = 4 };

enum ab_status ab_pacemaker_start(const struct ab_visit_options *o, struct ab_pacemaker **pacemaker,
                                  struct ab_error *err)
{
    struct ab_pacemaker *p = calloc(1, sizeof *p);
    *pacemaker = NULL;
    if (!p) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a pacemaker");
    p->o = *o;
    p->o.judging = NULL;
    p->o.pacemaker = NULL;
    p->o.turn_s = TURN_S;
    const enum ab_status status = ab_call_start(&p->call, &p->o, err);
    if (status == AB_OK)
        *pacemaker = p;
    else
        ab_pacemaker_stop(&p);
    return status;
}

void ab_pacemaker_stop(struct ab_pacemaker **pacemaker)
{
    struct ab_pacemaker *p = *pacemaker;
    if (!p) return;
    ab_call_end(&p->call, false);
    free(p);
    *pacemaker = NULL;
}

/* What turns showed. */
struct turns {
    double *rate; /* [taken] of the visit */
    int taken;
    double *ratio; /* [count] of a rate and the pacemaker's right after */
    int count;
    double seconds;
    int requests;
};

static enum ab_status note(double **list, int *count, double value, struct ab_error *err)
{
    double *grown = realloc(*list, ((size_t)*count + 1) * sizeof *grown);
    if (!grown) return ab_fail(err, AB_ERR_MEMORY, "out of memory for turns");
    *list = grown;
    grown[(*count)++] = value;
    return AB_OK;
}

static double median_of(double *values, int count)
{
    ab_sort(values, (size_t)count);
    return ab_quantile(values, count, 0.5);
}

/* A turn of the visit, and mostly one of the pacemaker. */
static enum ab_status take_turn(struct ab_call *c, struct ab_pacemaker *p, struct turns *t,
                                struct ab_error *err)
{
    struct ab_turn own, other = {0};
    struct ab_error why;
    enum ab_status status = ab_call_turn(c, &own, err);
    t->seconds += own.seconds;
    t->requests += own.requests;
    if (status != AB_OK || !(own.images_per_s > 0)) return status;
    status = note(&t->rate, &t->taken, own.images_per_s, err);
    if (status != AB_OK || ab_interrupted || (t->taken > EACH && t->taken % EVERY)) return status;
    if (!p->lost) p->lost = ab_call_turn(&p->call, &other, &why) != AB_OK;
    if (!(other.images_per_s > 0)) return AB_OK;
    return note(&t->ratio, &t->count, own.images_per_s / other.images_per_s, err);
}

static enum ab_status serve_turns(struct ab_call *c, const struct ab_visit_options *o,
                                  struct turns *t, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    const double began_ns = ab_now_ns();
    /* Those of the pacemaker take as long. */
    const double most = o->most_seconds > 0 ? o->most_seconds * 1e9 : INFINITY;
    do {
        status = take_turn(c, o->pacemaker, t, err);
    } while (status == AB_OK && !ab_interrupted && ab_now_ns() - began_ns < most &&
             t->requests < AB_VISIT_REQUESTS / 2 &&
             (t->seconds < o->seconds || t->requests < o->least_requests));
    return status;
}

static enum ab_status visit_by_turns(struct ab_call *c, const struct ab_visit_options *o,
                                     struct ab_visit *v, struct ab_error *err)
{
    struct turns t = {.rate = NULL};
    struct ab_visit_options turns = *o;
    turns.turn_s = TURN_S;
    enum ab_status status = ab_call_start(c, &turns, err);
    if (status == AB_OK) status = serve_turns(c, o, &t, err);
    if (status == AB_OK) status = ab_call_finish(c, v, err);
    v->pace = (double)NAN;
    if (status == AB_OK && t.taken > 0) v->images_per_s = median_of(t.rate, t.taken);
    if (status == AB_OK && t.count > 0) v->pace = v->images_per_s / median_of(t.ratio, t.count);
    free(t.rate);
    free(t.ratio);
    return status;
}

static enum ab_status visit_at_a_stretch(struct ab_call *c, const struct ab_visit_options *o,
                                         struct ab_visit *v, struct ab_error *err)
{
    enum ab_status status = ab_call_start(c, o, err);
    if (status == AB_OK) status = ab_call_finish(c, v, err);
    v->pace = (double)NAN;
    return status;
}

enum ab_status ab_visit(const struct ab_visit_options *o, struct ab_visit *v, struct ab_error *err)
{
    struct ab_call c = {.child = {.stream = -1, .errors = -1}};
    const double start = ab_now_ns();
    *v = (struct ab_visit){0};
    enum ab_status status = ab_deploy_check(o->deploy, err);
    if (status != AB_OK) return status;
    if (!ab_interrupted)
        status = (o->pacemaker && !o->pacemaker->lost && ab_visit_can_pause(o)
                      ? visit_by_turns
                      : visit_at_a_stretch)(&c, o, v, err);
    ab_call_end(&c, status == AB_OK);
    if (status != AB_OK) ab_visit_free(v);
    /* Killed while it had nothing to tell yet. */
    if (ab_interrupted) status = AB_OK;
    v->wall_s = (ab_now_ns() - start) / 1e9 - v->judge_s;
    return status;
}

uint64_t ab_maps_hash(const float *maps, size_t floats, int batch, int images)
{
    const int distinct = batch < images ? batch : images;
    bool alike = true;
    for (int i = distinct; i < batch && alike; i++)
        alike = !memcmp(maps + (size_t)i * floats, maps + (size_t)(i % images) * floats,
                        floats * sizeof *maps);
    const int count = alike ? distinct : batch;
    return ab_hash((uint64_t)count, maps, (size_t)count * floats * sizeof *maps);
}

void ab_visit_free(struct ab_visit *v)
{
    free(v->latency_ns);
    free(v->service_ns);
    *v = (struct ab_visit){0};
}
