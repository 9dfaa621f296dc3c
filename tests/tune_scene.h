// SPDX-License-Identifier: Apache-2.0
// Evidence made by hand: a space of 18 points, what visits show there, and the answer that
// attrbench tune makes of it.
#ifndef AB_TESTS_TUNE_SCENE_H
#define AB_TESTS_TUNE_SCENE_H

#include "../bench/tune_out.h"
#include "nets.h"

#include <math.h>

/* ---- a space of 18 points, and what visits show there ---- */

enum { REQUESTS = 400 };

/* Two CPUs. */
static inline const struct ab_site *scene_site(void)
{
    static int cpus[] = {0, 1}, core[] = {0, 1};
    static const struct ab_site site = {.cpus = cpus,
                                        .core = core,
                                        .n_cpus = 2,
                                        .granted = (double)INFINITY,
                                        .isas = 1u << AB_ISA_ref | 1u << AB_ISA_plain |
                                                1u << AB_ISA_avx2};
    return &site;
}

static inline struct ab_space make_space(const char *place)
{
    static const char *const narrowing[] = {"engine=native:avx2,onednn", "memory=fast", "batch=1,4",
                                            "pages=huge", "denormals=keep"};
    struct ab_words words = {NULL, 0};
    struct ab_space space;
    struct ab_error err = {""};
    char own[32];
    snprintf(own, sizeof own, "place=%s", place);
    CHECK(ab_words_add(&words, own, strlen(own)), "out of memory");
    for (size_t i = 0; i < sizeof narrowing / sizeof *narrowing; i++)
        CHECK(ab_words_add(&words, narrowing[i], strlen(narrowing[i])), "out of memory");
    CHECK(!ab_space_create(&words, scene_site(), 0, &space, &err), "%s", err.text);
    CHECK(space.n_points == 18, "%d points", space.n_points);
    ab_words_free(&words);
    return space;
}

/* What visits show of the point with these knobs. */
struct shown {
    const char *engine, *algo, *shape;
    int batch;
    double rate[3], latency_ms, megabytes;
};
static const struct shown world[] = {
    {"native:avx2", "auto", "1x2", 1, {24.0, 24.3, 24.4}, 82, 412},
    {"native:avx2", "auto", "1x2", 4, {24.4, 24.5, 24.6}, 330, 980},
    {"native:avx2", "auto", "2x1", 1, {21.0, 21.2, 21.1}, 47, 230},
    {"native:avx2", "auto", "2x1", 4, {22.0, 22.2, 22.3}, 181, 520},
    {"native:avx2", "auto", "1x1", 1, {12.9, 13.1, 13.0}, 77, 228},
    {"native:avx2", "direct", "1x2", 1, {18.0, 18.1, 18.2}, 110, 400},
    {"onednn", "auto", "1x2", 1, {19.4, 19.6, 19.5}, 102, 650},
};

static inline int point_of(const struct ab_space *space, const struct shown *s)
{
    char text[AB_DEPLOY_TEXT];
    snprintf(text, sizeof text, "%s %s fast %s batch=%d %s huge keep", s->engine, s->algo, s->shape,
             s->batch, space->knobs[AB_KNOB_PLACE].text[0]);
    const int point = ab_space_find_text(space, text);
    CHECK(point >= 0, "no point %s", text);
    return point;
}

/* ---- a scene: evidence, its answer, what is shown of it ---- */

struct scene {
    struct ab_space space;
    struct ab_search *search;
    struct ab_require require;
    struct ab_answer answer;
    struct ab_tune_limits limits;
    struct ab_graph *graph;
    struct ab_tune_result result;
};

struct plot {
    const char *place;
    struct ab_require require;
    int visits, requests;
    enum ab_verdict verdict;
    double rel_l2;
    bool incomplete, overloaded;
    double pace; /* of all visits; 0: not known */
    double stolen;
};

static inline void tell(struct scene *s, const struct plot *plot, const struct shown *w, int visit)
{
    double latency[REQUESTS];
    /* In an order in which long ones do not follow each other. */
    for (int i = 0; i < plot->requests; i++)
        latency[i] =
            w->latency_ms * 1e6 * (0.95 + 0.1 * (149 * i % plot->requests) / plot->requests);
    const bool good = plot->verdict == AB_AGREE;
    const struct ab_told told = {
        .images_per_s = w->rate[visit],
        .pace = plot->pace,
        .start_ns = 1.9e9,
        .wall_s = 12.5,
        .seconds = 10,
        .stolen = plot->stolen,
        .overloaded = plot->overloaded,
        .latency_ns = latency,
        .requests = plot->requests,
        .resident_bytes = w->megabytes * 1e6,
        .peak_bytes = w->megabytes * 1.1e6,
        .planned_bytes = w->megabytes * 0.9e6,
        .verdict = plot->verdict,
        .rel_l2 = plot->rel_l2,
        .max_err = 3 * plot->rel_l2,
        .why = good ? "" : "rel. L2 error 0.03 above 1e-05",
    };
    CHECK(ab_search_tell(s->search, point_of(&s->space, w), &told), "out of memory");
}

static inline struct scene *open_scene(const struct plot *plot)
{
    static struct scene scene;
    struct scene *s = &scene;
    struct ab_error err = {""};
    *s = (struct scene){.space = make_space(plot->place), .require = plot->require};
    const struct ab_search_options o = {
        .space = &s->space, .require = plot->require, .budget_s = 600, .seed = 7};
    CHECK(!ab_search_create(&o, &s->search, &err), "%s", err.text);
    for (int visit = 0; visit < plot->visits; visit++)
        for (size_t i = 0; i < sizeof world / sizeof *world; i++) tell(s, plot, &world[i], visit);
    const struct ab_told broken = {.error = "the process was killed by signal 9", .wall_s = 1};
    const struct shown far = {.engine = "onednn", .algo = "auto", .shape = "2x1", .batch = 4};
    CHECK(ab_search_tell(s->search, point_of(&s->space, &far), &broken), "out of memory");
    CHECK(!ab_answer_make(&s->space, s->search, &s->require, &s->answer, &err), "%s", err.text);
    s->answer.complete = !plot->incomplete;
    s->answer.noise = 0.02; /* what cards are printed with, whatever the search makes of visits */
    s->graph = net_chain(1, true);
    s->limits =
        (struct ab_tune_limits){.step_ns = 80e6,
                                .share = {0.81, 0.12, 0.07},
                                .reached = {0.92, 0.7},
                                .gflops = 61,
                                .peak = 70,
                                .slowest = {{"features.2", 0.4, 66, 0.94}, {"", 0.1, 0, 0.2}},
                                .n_slowest = 2,
                                .executions = 20,
                                .alone = true};
    ab_tune_verdict(&s->limits);
    s->result = (struct ab_tune_result){.model = "chain",
                                        .file = "chain",
                                        .method = "lrp-epsilon:eps=0.1",
                                        .graph = s->graph,
                                        .site = scene_site(),
                                        .space = &s->space,
                                        .search = s->search,
                                        .require = &s->require,
                                        .answer = &s->answer,
                                        .budget_s = 600,
                                        .spent_s = 581,
                                        .seed = 7,
                                        .out = "deploy.json",
                                        .limits = &s->limits};
    return s;
}

static inline void close_scene(struct scene *s)
{
    ab_answer_free(&s->answer);
    ab_search_destroy(&s->search);
    ab_graph_destroy(&s->graph);
    ab_space_free(&s->space);
}

static const struct plot usual = {
    .place = "cores",
    .require = {.objective = AB_OBJECTIVE_THROUGHPUT, .slo = {0.99, 100e6}, .min_agree = 1e-4},
    .visits = 3,
    .requests = REQUESTS,
    .verdict = AB_AGREE,
    .rel_l2 = 3.1e-7};

static inline bool is_point(const struct scene *s, int point, const char *engine, const char *algo,
                            const char *shape, int batch)
{
    const struct shown w = {.engine = engine, .algo = algo, .shape = shape, .batch = batch};
    return point == point_of(&s->space, &w);
}

#endif
