// SPDX-License-Identifier: Apache-2.0
// Visits: loads in words, attrbench itself under loads that it can and cannot bear, and programs
// that are none, die, hang or talk nonsense.
#include "bench/run.h"
#include "bench/stats.h"
#include "visit_asking.h"

#include <math.h>
#include <sys/resource.h>

/* ---- loads in words ---- */

TEST(loads)
{
    static const struct {
        const char *text;
        struct ab_load_shape load;
    } good[] = {{"closed", {AB_LOAD_CLOSED, 0, 0}},
                {"closed:1", {AB_LOAD_CLOSED, 1, 0}},
                {"closed:100000", {AB_LOAD_CLOSED, 100000, 0}},
                {"poisson:20", {AB_LOAD_POISSON, 0, 20}},
                {"poisson:0.5", {AB_LOAD_POISSON, 0, 0.5}},
                {"poisson:1000000", {AB_LOAD_POISSON, 0, 1e6}}};
    static const char *const wrong[] = {"",
                                        "open",
                                        "closed:",
                                        "closed:0",
                                        "closed:-1",
                                        "closed:x",
                                        "closed:4x",
                                        "closed: 4",
                                        "closed:100001",
                                        "closed:1e3",
                                        "Closed",
                                        "poisson",
                                        "poisson:",
                                        "poisson:0",
                                        "poisson:-1",
                                        "poisson:+1",
                                        "poisson:nan",
                                        "poisson:inf",
                                        "poisson:x",
                                        "poisson:1x",
                                        "poisson:1e9",
                                        "poisson:1e-9",
                                        "poisson: 1",
                                        "poisson:0x10",
                                        "poisson:/",
                                        "closed:9999999999999"};
    struct ab_load_shape load;
    struct ab_error err;
    char text[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        context("'%s'", good[i].text);
        CHECK(ab_load_shape_parse(good[i].text, &load, &err) == AB_OK, "%s", err.text);
        CHECK(load.kind == good[i].load.kind && load.streams == good[i].load.streams &&
                  fabs(load.rate - good[i].load.rate) < 1e-12,
              "%d streams, rate %g", load.streams, load.rate);
        ab_load_shape_text(&load, text, sizeof text);
        CHECK(!strcmp(text, good[i].text), "back: '%s'", text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        context("'%s'", wrong[i]);
        CHECK(ab_load_shape_parse(wrong[i], &load, &err) == AB_ERR_ARG, "taken");
        CHECK(strstr(err.text, wrong[i]) && !strchr(err.text, '\n'), "%s", err.text);
    }
}

/* ---- attrbench ---- */

static double mean(const double *values, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += values[i];
    return sum / count;
}

static double median(double *values, int count)
{
    CHECK(count > 0, "no values");
    ab_sort(values, (size_t)count);
    return ab_quantile(values, count, 0.5);
}

TEST(closed_loads)
{
    if (!command()) return;
    struct ab_visit_options o = asking(&usual, "closed:1");
    struct ab_visit one = visited(&o);
    check_facts(&one);
    CHECK(!one.overloaded && one.slo == AB_SLO_OPEN, "overloaded");
    CHECK(one.seconds >= 0.2 && one.seconds < 5, "%g s", one.seconds);
    o = asking(&usual, "closed:4");
    struct ab_visit four = visited(&o);
    check_facts(&four);
    CHECK(four.map_hash == one.map_hash, "other maps");
    /* Little's law: those in the system are the rate times the latency, here the clients. */
    const double in_one = one.images_per_s * mean(one.latency_ns, one.requests) / 1e9,
                 in_four = four.images_per_s * mean(four.latency_ns, four.requests) / 1e9;
    CHECK(in_one > 0.7 && in_one < 1.1, "%g clients instead of 1", in_one);
    CHECK(in_four > 3.2 && in_four < 4.4, "%g clients instead of 4", in_four);
    ab_visit_free(&one);
    ab_visit_free(&four);
}

/* A method whose executions take a millisecond or so: what wakes, locks and copies is little. */
static struct ab_visit_options slower(const struct ab_deploy *deploy, const char *load)
{
    struct ab_visit_options o = asking(deploy, load);
    o.method = "integrated-gradients:n=32";
    o.seconds = 0.5;
    return o;
}

TEST(open_loads)
{
    if (!command()) return;
    struct ab_visit_options o = slower(&usual, "closed:1");
    struct ab_visit closed = visited(&o);
    const double capacity = closed.images_per_s;
    ab_visit_free(&closed);
    /* Nearly alone: the latency is the service. */
    o.load = (struct ab_load_shape){.kind = AB_LOAD_POISSON, .rate = 0.05 * capacity};
    o.least_requests = 20;
    struct ab_visit idle = visited(&o);
    check_facts(&idle);
    const double latency = median(idle.latency_ns, idle.requests),
                 service = median(idle.service_ns, idle.executions);
    CHECK(!idle.overloaded, "overloaded at a twentieth");
    CHECK(latency >= 0.8 * service && latency < 3 * service + 20e6, "latency %g, service %g",
          latency, service);
    CHECK(idle.late_ns >= 0, "nobody slept");
    ab_visit_free(&idle);
    /* Ten times too many. */
    o.load.rate = 10 * capacity;
    o.least_requests = 0;
    struct ab_visit over = visited(&o);
    CHECK(over.overloaded, "not overloaded: %g of %g a second", over.images_per_s, o.load.rate);
    CHECK(over.images_per_s < 0.8 * o.load.rate, "%g a second", over.images_per_s);
    ab_visit_free(&over);
}

TEST(instances_are_alike)
{
    if (!command()) return;
    struct ab_deploy d = usual;
    d.batch = 2;
    struct ab_visit_options o = asking(&d, "closed");
    struct ab_visit one = visited(&o);
    d.instances = 2;
    struct ab_visit two = visited(&o);
    check_facts(&two);
    CHECK(two.map_hash == one.map_hash, "instances");
    CHECK(two.planned_bytes > one.planned_bytes, "%g and %g bytes", one.planned_bytes,
          two.planned_bytes);
    d.instances = 1;
    d.threads = 2;
    struct ab_visit threads = visited(&o);
    CHECK(threads.map_hash == one.map_hash, "threads");
    d = usual;
    struct ab_visit batch = visited(&o);
    CHECK(batch.map_hash != one.map_hash, "maps of one image are those of two");
    ab_visit_free(&one);
    ab_visit_free(&two);
    ab_visit_free(&threads);
    ab_visit_free(&batch);
}

TEST(limits_end_visits)
{
    if (!command()) return;
    struct ab_visit_options o = asking(&usual, "closed:1");
    o.seconds = 60;
    o.slo = (struct ab_slo){0.5, 60e9};
    struct ab_visit v = visited(&o);
    CHECK(v.slo == AB_SLO_HELD && v.seconds < 20, "%s after %g s", ab_slo_state_name(v.slo),
          v.seconds);
    ab_visit_free(&v);
    o.slo = (struct ab_slo){0.5, 1};
    v = visited(&o);
    CHECK(v.slo == AB_SLO_BROKEN && v.seconds < 20, "%s after %g s", ab_slo_state_name(v.slo),
          v.seconds);
    ab_visit_free(&v);
    o = asking(&usual, "poisson:0.5");
    o.seconds = 0.1;
    o.least_requests = 1000000;
    o.most_seconds = 0.5;
    v = visited(&o);
    CHECK(v.seconds >= 0.5 && v.seconds < 10, "%g s", v.seconds);
    ab_visit_free(&v);
}

/* Nobody waits for an execution that outlasts the visit, and the first is warm-up enough. */
TEST(long_executions)
{
    if (!command() || AB_TEST_SLOW) return;
    struct ab_visit_options o = asking(&usual, "closed:1");
    o.method = "integrated-gradients:n=4000";
    o.seconds = 0.1;
    o.most_seconds = 0.2;
    struct ab_visit v = visited(&o);
    CHECK(v.first_ns > 0.3e9, "an execution takes %g ns: the test says nothing", v.first_ns);
    CHECK(v.requests == 0 && v.executions == 0 && v.seconds < 10, "%d requests in %g s", v.requests,
          v.seconds);
    CHECK(v.images_per_s < 1 && v.map_hash, "%g a second", v.images_per_s);
    ab_visit_free(&v);
    /* But without that limit there is one at least. */
    o.most_seconds = 0;
    v = visited(&o);
    CHECK(v.requests >= 1 && v.images_per_s > 0, "%d requests", v.requests);
    ab_visit_free(&v);
}

/* ---- what cannot be ---- */

TEST(refuses)
{
    if (!command()) return;
    int no_cpu[1] = {1000};
    struct ab_deploy d = usual;
    struct ab_visit_options o = asking(&d, "closed");
    o.model = "no-such-model";
    refused(&o, "no-such-model");
    o = asking(&d, "closed");
    o.method = "lrp-no-such";
    refused(&o, "lrp-no-such");
    o.method = "integrated-gradients:n=0";
    refused(&o, "n=0");
    o = asking(&d, "closed");
    d.place = AB_PLACE_CORES;
    d.cpus = no_cpu;
    refused(&o, "1000");
    d = usual;
    snprintf(d.backend, sizeof d.backend, "nothing");
    refused(&o, "nothing");
    d = usual;
    d.batch = 0;
    refused(&o, "batch");
}

/* A plan that is larger than what the process may have. */
TEST(refuses_for_memory)
{
    struct rlimit before, little;
    if (!command() || AB_TEST_SLOW) return;
    struct ab_deploy d = usual;
    d.batch = 512;
    struct ab_visit_options o = asking(&d, "closed");
    o.model = "resnet18";
    getrlimit(RLIMIT_AS, &before);
    little = before;
    little.rlim_cur = (rlim_t)3 << 30;
    CHECK(setrlimit(RLIMIT_AS, &little) == 0, "no limit can be set");
    refused(&o, "memory");
    setrlimit(RLIMIT_AS, &before);
}

/* ---- ends ---- */

TEST(is_killed)
{
    if (!command()) return;
    static const struct {
        int number;
        const char *word;
    } signals[] = {{SIGKILL, "signal 9"}, {SIGALRM, "signal 14"}};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        pthread_t thread;
        struct ab_visit_options o = asking(&usual, "closed:1");
        o.seconds = 60;
        signal_to_send = signals[i].number;
        CHECK(pthread_create(&thread, NULL, interfere, NULL) == 0, "no thread");
        refused(&o, signals[i].word);
        pthread_join(thread, NULL);
    }
}

/* Asked to end, by whom it may be, it tells what there is. */
TEST(is_interrupted)
{
    if (!command()) return;
    const pthread_t self = pthread_self();
    ab_interrupt_catch();
    for (int by_term = 0; by_term < 2; by_term++) {
        pthread_t thread;
        struct ab_visit_options o = asking(&usual, "closed:1");
        o.seconds = 4;
        o.least_requests = 1 << 19;
        signal_to_send = by_term ? SIGTERM : 0;
        CHECK(pthread_create(&thread, NULL, interfere, (void *)&self) == 0, "no thread");
        struct ab_visit v;
        struct ab_error err = {""};
        const bool told = ab_visit(&o, &v, &err) == AB_OK;
        pthread_join(thread, NULL);
        ab_interrupted = 0;
        /* A machine so busy that nobody was served yet has nothing to tell. */
        CHECK(told || (by_term && strstr(err.text, "code 130")), "%s", err.text);
        CHECK(v.wall_s < 30 && v.seconds < 30, "%g s", v.wall_s);
        CHECK(v.requests > 0 || AB_TEST_SLOW || !(v.start_ns > 0 && v.start_ns < 0.4e9),
              "nothing is told");
        ab_visit_free(&v);
    }
    ab_interrupted = 1;
    struct ab_visit_options o = asking(&usual, "closed:1");
    struct ab_visit v = visited(&o);
    ab_interrupted = 0;
    CHECK(!v.requests && v.wall_s < 5, "visited");
    ab_visit_free(&v);
}

/* ---- other programs ---- */

static void told(const char *program, const char *word)
{
    struct ab_visit_options o = asking(&usual, "closed");
    o.program = program;
    refused(&o, word);
}

/* A document with one field replaced, or none. */
static const char *document(const char *key, json_t *value)
{
    static char body[4096];
    double times[2] = {1, 2};
    struct ab_visit v = {.latency_ns = times,
                         .requests = 2,
                         .service_ns = times,
                         .executions = 1,
                         .map_hash = 7,
                         .stolen = (double)NAN,
                         .late_ns = (double)NAN};
    json_t *json = ab_visit_json(&v);
    if (value)
        json_object_set_new(json, key, value);
    else if (key)
        json_object_del(json, key);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(body, sizeof body, "cat >/dev/null; echo; echo '%s'", text);
    free(text);
    json_decref(json);
    return script(body);
}

TEST(is_no_attrbench)
{
    told("/nonexistent/attrbench", "/nonexistent/attrbench");
    told("/etc/passwd", "cannot be run");
    told("/bin/true", "code 0");
    told("/bin/false", "code 1");
    told("/bin/echo", ": 'serve'");
    told(script("echo hello there >&2; exit 7"), "hello there");
    told(script("kill -SEGV $$"), "signal 11");
    told(script("cat"), "'latency_ns'");
    told(script("echo '[]'"), "latency_ns");
    told(script("echo '{\"error\": {\"status\": 1, \"text\": \"bad luck\"}}'"), "bad luck");
    told(script("echo '{\"error\": {\"status\": 99, \"text\": \"bad luck\"}}'"), "no document");
    told(script("echo '{\"error\": 1}'"), "no document");
    told(script("tr '\\\\0' x < /dev/zero"), "without end");
}

TEST(documents)
{
    static const char *const keys[] = {"latency_ns",   "service_ns",    "map_hash",   "unequal",
                                       "overloaded",   "slo",           "subnormals", "seconds",
                                       "images_per_s", "planned_bytes", "start_ns",   "stolen"};
    struct ab_visit_options o = asking(&usual, "closed");
    o.program = document(NULL, NULL);
    struct ab_visit v = visited(&o);
    CHECK(v.requests == 2 && v.latency_ns[1] == 2 && v.executions == 1 && v.map_hash == 7,
          "read as %d", v.requests);
    CHECK(isnan(v.stolen) && v.pressure == 0, "stolen");
    ab_visit_free(&v);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        told(document(keys[i], NULL), keys[i]);
        told(document(keys[i], json_string("x")), keys[i]);
        told(document(keys[i], json_real(-1)), keys[i]);
    }
    told(document("latency_ns", json_pack("[i,s]", 1, "x")), "latency_ns");
    told(document("latency_ns", json_pack("[i]", -1)), "latency_ns");
    told(document("slo", json_integer(3)), "slo");
    told(document("seconds", json_null()), "seconds");
}

TEST(is_silent)
{
    struct ab_visit_options o = asking(&usual, "closed");
    o.patience = 0.3;
    const double start = ab_now_ns();
    o.program = script("exec sleep 100");
    refused(&o, "no sign of life for 0.3 s");
    o.program = script("exec >&- <&- 2>&-; exec sleep 100");
    refused(&o, "said nothing");
    o.program = script("echo; echo; exec sleep 100");
    refused(&o, "no sign of life");
    CHECK(ab_now_ns() - start < 10e9, "%g s", (ab_now_ns() - start) / 1e9);
    /* Line breaks are signs of life. */
    o.patience = 1;
    o.program = script("for i in 1 2 3 4 5; do sleep 0.4; echo; done");
    refused(&o, "said nothing");
}

/* ---- options ---- */

TEST(options_there_and_back)
{
    int cpus[4] = {3, 1, 2, 0};
    const struct ab_deploy d = {.backend = "native:avx2",
                                .algo = AB_ALGO_DIRECT,
                                .memory = AB_MEMORY_LEAN,
                                .pages = AB_PAGES_SMALL,
                                .denormals = AB_DENORMALS_FLUSH,
                                .place = AB_PLACE_SMT,
                                .threads = 2,
                                .instances = 2,
                                .batch = 8,
                                .cpus = cpus};
    struct ab_visit_options o = asking(&d, "poisson:12.5"), back;
    struct ab_deploy got;
    struct ab_judging judging;
    struct ab_error err;
    double born;
    char before[AB_DEPLOY_TEXT], after[AB_DEPLOY_TEXT];
    o.slo = (struct ab_slo){0.99, 80e6};
    json_t *json = ab_visit_options_json(&o, 123);
    CHECK(ab_visit_options_read(json, &back, &got, &judging, &born, &err) == AB_OK, "%s", err.text);
    ab_deploy_text(&d, before);
    ab_deploy_text(&got, after);
    CHECK(!strcmp(before, after) && got.cpus[0] == 3 && got.cpus[3] == 0, "%s", after);
    CHECK(back.seed == 11 && back.load.rate == 12.5 && back.slo.limit_ns == 80e6 && born == 123 &&
              back.confidence == 0.99 && back.seconds == 0.2 && !strcmp(back.model, "digits"),
          "others");
    CHECK(!back.judging && !judging.known, "judged");
    ab_deploy_free(&got);
    static const char *const keys[] = {
        "model",   "method", "deploy",   "load",       "streams",        "seed",  "born_ns",
        "seconds", "rate",   "quantile", "confidence", "least_requests", "turn_s"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *copy = json_deep_copy(json);
        json_object_set_new(copy, keys[i], json_false());
        context("%s", keys[i]);
        CHECK(ab_visit_options_read(copy, &back, &got, &judging, &born, &err) == AB_ERR_ARG,
              "taken");
        CHECK(strstr(err.text, strcmp(keys[i], "deploy") ? keys[i] : "backend"), "%s", err.text);
        ab_deploy_free(&got);
        json_decref(copy);
    }
    json_decref(json);
}

static const struct test_case cases[] = {CASE(loads),
                                         CASE(closed_loads),
                                         CASE(open_loads),
                                         CASE(instances_are_alike),
                                         CASE(limits_end_visits),
                                         CASE(long_executions),
                                         CASE(refuses),
                                         CASE(refuses_for_memory),
                                         CASE(is_killed),
                                         CASE(is_interrupted),
                                         CASE(is_no_attrbench),
                                         CASE(documents),
                                         CASE(is_silent),
                                         CASE(options_there_and_back)};
TEST_MAIN("visits", cases)
