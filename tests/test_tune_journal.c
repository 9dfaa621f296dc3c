// SPDX-License-Identifier: Apache-2.0
// The journal of a search: what is written is what is read, a kill loses a visit at most, and
// visits of another search are refused.
#include "../bench/tune_journal.h"
#include "files.h"
#include "tune_machine.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static int two_cpus[] = {0, 1}, two_cores[] = {0, 1};

static const struct ab_journal_head head = {.model = "resnet50",
                                            .model_hash = "0123456789abcdef",
                                            .method = "lrp-zplus",
                                            .requirements = "throughput p99=80ms",
                                            .space = "",
                                            .machine = "a machine",
                                            .load = "closed"};

/* A space, a search in it, and a machine. */
struct scene {
    struct ab_space space;
    struct ab_search *search;
    struct machine machine;
    double spent_s;
};

static struct ab_search *search_new(const struct ab_space *space)
{
    const struct ab_search_options o = {.space = space,
                                        .require = {.objective = AB_OBJECTIVE_THROUGHPUT,
                                                    .slo = {.quantile = 0.9, .limit_ns = 1e9}},
                                        .budget_s = 600,
                                        .seed = 3};
    struct ab_search *search;
    struct ab_error err;
    CHECK(ab_search_create(&o, &search, &err) == AB_OK, "%s", err.text);
    return search;
}

static struct scene scene_new(void)
{
    const struct ab_site site = {.cpus = two_cpus,
                                 .core = two_cores,
                                 .n_cpus = 2,
                                 .granted = (double)INFINITY,
                                 .isas = 1u << AB_ISA_avx512 | 1u << AB_ISA_avx2};
    struct scene s = {.machine = machine_new(3)};
    s.machine.judge_s = 7;
    s.machine.turns = true;
    struct ab_error err;
    CHECK(ab_space_create(NULL, &site, 0, &s.space, &err) == AB_OK, "%s", err.text);
    return s;
}

/* The search has no address of its own in the space: it is made where the space stays. */
static void scene_begin(struct scene *s)
{
    s->search = search_new(&s->space);
}

static void scene_free(struct scene *s)
{
    ab_search_destroy(&s->search);
    ab_space_free(&s->space);
}

/* `count` visits as the search asks for them, each into the journal. */
static void go_on(struct scene *s, struct ab_journal *journal, int count)
{
    struct ab_error err;
    struct ab_ask ask;
    for (int i = 0; i < count; i++) {
        struct ab_told told;
        CHECK(ab_search_next(s->search, s->spent_s, &ask), "it ended");
        visit(&s->machine, &s->space.points[ask.point], ask.seconds, &told);
        told.stolen = i % 3 ? 0.01 * i : (double)NAN;
        CHECK(ab_journal_add(journal, &s->space, ask.point, &told, &err) == AB_OK, "%s", err.text);
        CHECK(ab_search_tell(s->search, ask.point, &told), "out of memory");
        s->spent_s += told.wall_s + told.judge_s;
        free((void *)told.latency_ns);
    }
}

static void begin(const char *name, struct ab_journal **journal)
{
    struct ab_error err;
    CHECK(ab_journal_create(temp_path(name), &head, journal, &err) == AB_OK, "%s", err.text);
}

static enum ab_status resume(const struct scene *s, const char *name,
                             const struct ab_journal_head *with, struct ab_search *search,
                             struct ab_error *err)
{
    struct ab_journal *journal;
    double spent_s;
    const enum ab_status status =
        ab_journal_resume(temp_path(name), with, &s->space, search, &journal, &spent_s, err);
    CHECK((status == AB_OK) == (journal != NULL), "a journal after an error, or none without");
    ab_journal_close(&journal);
    return status;
}

/* Visits that a search knows of. */
static int told_visits(const struct scene *s, const struct ab_search *search)
{
    int visits = 0;
    for (int i = 0; i < s->space.n_points; i++) visits += ab_search_evidence(search, i)->visits;
    return visits;
}

static void check_same_evidence(const struct scene *s, const struct ab_search *a,
                                const struct ab_search *b)
{
    for (int i = 0; i < s->space.n_points; i++) {
        const struct ab_evidence *x = ab_search_evidence(a, i), *y = ab_search_evidence(b, i);
        context("%s", s->space.points[i].text);
        CHECK(x->visits == y->visits && x->requests == y->requests, "%d and %d visits", x->visits,
              y->visits);
        for (int v = 0; v < x->visits; v++)
            CHECK(x->images_per_s[v] == y->images_per_s[v] && x->upto[v] == y->upto[v] &&
                      x->pace[v] == y->pace[v],
                  "visit %d differs", v);
        for (int r = 0; r < x->requests; r++)
            CHECK(x->latency_ns[r] == y->latency_ns[r], "latency %d differs", r);
        CHECK(x->verdict == y->verdict && !strcmp(x->why, y->why) && !strcmp(x->error, y->error),
              "texts");
        CHECK(x->resident_bytes == y->resident_bytes && x->spent_s == y->spent_s, "numbers");
    }
    CHECK(ab_search_stolen(a) > 0 && ab_search_stolen(a) == ab_search_stolen(b),
          "%g stolen, not %g", ab_search_stolen(b), ab_search_stolen(a));
}

TEST(a_search_goes_on_as_it_would_have)
{
    struct scene s = scene_new();
    struct ab_journal *journal;
    struct ab_error err;
    scene_begin(&s);
    begin("j", &journal);
    go_on(&s, journal, 25);
    ab_journal_close(&journal);
    struct ab_search *again = search_new(&s.space);
    double spent_s;
    CHECK(ab_journal_resume(temp_path("j"), &head, &s.space, again, &journal, &spent_s, &err) ==
              AB_OK,
          "%s", err.text);
    CHECK(told_visits(&s, again) == 25 && fabs(spent_s - s.spent_s) < 1e-6, "%d visits, %g s of %g",
          told_visits(&s, again), spent_s, s.spent_s);
    check_same_evidence(&s, s.search, again);
    struct ab_ask a, b;
    const bool more = ab_search_next(s.search, s.spent_s, &a);
    CHECK(more == ab_search_next(again, s.spent_s, &b), "one ends");
    CHECK(a.point == b.point && a.seconds == b.seconds && !strcmp(a.phase, b.phase),
          "it asks for something else");
    /* The journal goes on too. */
    ab_search_destroy(&again);
    go_on(&s, journal, 2);
    ab_journal_close(&journal);
    again = search_new(&s.space);
    CHECK(resume(&s, "j", &head, again, &err) == AB_OK, "%s", err.text);
    CHECK(told_visits(&s, again) == 27, "%d visits", told_visits(&s, again));
    check_same_evidence(&s, s.search, again);
    ab_search_destroy(&again);
    scene_free(&s);
}

TEST(what_fails_and_what_is_unknown_comes_back)
{
    struct scene s = scene_new();
    struct ab_journal *journal;
    struct ab_error err;
    struct ab_told told = {.error = "killed by \"signal 9\"\n\xff\xfe", .wall_s = 3};
    scene_begin(&s);
    begin("f", &journal);
    CHECK(ab_journal_add(journal, &s.space, 4, &told, &err) == AB_OK, "%s", err.text);
    const double latency[] = {1.0 / 3, 2e9};
    told = (struct ab_told){.images_per_s = 1e-7 / 3,
                            .start_ns = (double)NAN,
                            .resident_bytes = (double)NAN,
                            .latency_ns = latency,
                            .requests = 2,
                            .overloaded = true,
                            .verdict = AB_MISTRUSTED,
                            .rel_l2 = (double)INFINITY,
                            .why = "ein \xc3\xa4"};
    CHECK(ab_journal_add(journal, &s.space, 5, &told, &err) == AB_OK, "%s", err.text);
    ab_journal_close(&journal);
    CHECK(resume(&s, "f", &head, s.search, &err) == AB_OK, "%s", err.text);
    const struct ab_evidence *failed = ab_search_evidence(s.search, 4);
    CHECK(!strcmp(failed->error, "killed by \"signal 9\"\n??"), "%s", failed->error);
    const struct ab_evidence *e = ab_search_evidence(s.search, 5);
    CHECK(e->visits == 1 && e->images_per_s[0] == 1e-7 / 3 && isnan(e->start_ns[0]), "numbers");
    CHECK(e->requests == 2 && e->latency_ns[0] == 1.0 / 3 && e->latency_ns[1] == 2e9, "latencies");
    CHECK(e->overloaded && e->verdict == AB_MISTRUSTED && !strcmp(e->why, "ein \xc3\xa4"), "%s",
          e->why);
    scene_free(&s);
}

TEST(a_line_that_a_kill_tore_is_left_out)
{
    struct scene s = scene_new();
    struct ab_journal *journal;
    struct ab_error err;
    size_t size;
    scene_begin(&s);
    begin("t", &journal);
    go_on(&s, journal, 2);
    unsigned char *whole = read_file(temp_path("t"), &size);
    go_on(&s, journal, 1);
    ab_journal_close(&journal);
    size_t longer;
    unsigned char *all = read_file(temp_path("t"), &longer);
    /* Killed after any number of bytes of the third visit. */
    for (size_t cut = size; cut < longer; cut += 1 + (longer - size) / 50) {
        context("cut at %zu of %zu", cut, longer);
        write_file("t", all, cut);
        struct ab_search *again = search_new(&s.space);
        CHECK(resume(&s, "t", &head, again, &err) == AB_OK, "%s", err.text);
        CHECK(told_visits(&s, again) == 2, "%d visits", told_visits(&s, again));
        size_t left;
        unsigned char *text = read_file(temp_path("t"), &left);
        CHECK(left == size && !memcmp(text, whole, size), "%zu bytes are left", left);
        free(text);
        ab_search_destroy(&again);
    }
    /* Not a byte of the head was lost, or it is no journal. */
    const size_t line = (size_t)((unsigned char *)memchr(all, '\n', size) - all);
    for (size_t cut = 0; cut <= line; cut += cut < line ? line : 1) {
        write_file("t", all, cut);
        check_error(resume(&s, "t", &head, s.search, &err), AB_ERR_FORMAT, &err,
                    "no journal of attrbench tune");
    }
    free(all);
    free(whole);
    scene_free(&s);
}

TEST(visits_of_another_search_are_refused)
{
    struct scene s = scene_new();
    struct ab_journal *journal;
    struct ab_error err;
    scene_begin(&s);
    begin("o", &journal);
    go_on(&s, journal, 1);
    ab_journal_close(&journal);
    const struct {
        size_t offset;
        const char *needle;
    } fields[] = {{offsetof(struct ab_journal_head, model), "--model was 'resnet50' and is 'x'"},
                  {offsetof(struct ab_journal_head, model_hash), "the model's content was"},
                  {offsetof(struct ab_journal_head, method), "--method was 'lrp-zplus'"},
                  {offsetof(struct ab_journal_head, requirements), "what is asked for was"},
                  {offsetof(struct ab_journal_head, space), "--space was '' and is 'x'"},
                  {offsetof(struct ab_journal_head, machine), "the machine was 'a machine'"},
                  {offsetof(struct ab_journal_head, load), "--load was 'closed'"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct ab_journal_head other = head;
        const char *value = "x";
        memcpy((char *)&other + fields[i].offset, &value, sizeof value);
        check_error(resume(&s, "o", &other, s.search, &err), AB_ERR_ARG, &err, fields[i].needle);
        CHECK(told_visits(&s, s.search) == 1, "visits were told");
    }
    struct ab_space all = s.space;
    s.space.n_points = 0; /* a space without that point */
    check_error(resume(&s, "o", &head, s.search, &err), AB_ERR_FORMAT, &err, "none of the points");
    s.space = all;
    scene_free(&s);
}

TEST(other_files_are_refused)
{
    static const struct {
        const char *text, *needle;
    } files[] = {{"", "no journal"},
                 {"\n", "no journal"},
                 {"hello\n", "no journal"},
                 {"{\"attrbench_config\": 1}\n", "no journal"},
                 {"[1]\n", "no journal"},
                 {"{\"attrbench_journal\": \"1\"}\n", "no journal"},
                 {"{\"attrbench_journal\": 2}\n", "format 2"},
                 {"{\"attrbench_journal\": 3}\n", "was 'not written down'"}};
    struct scene s = scene_new();
    struct ab_error err;
    scene_begin(&s);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_file("x", files[i].text, strlen(files[i].text));
        const enum ab_status status = resume(&s, "x", &head, s.search, &err);
        check_error(status, i + 1 < sizeof files / sizeof *files ? AB_ERR_FORMAT : AB_ERR_ARG, &err,
                    files[i].needle);
        size_t size;
        unsigned char *text = read_file(temp_path("x"), &size);
        CHECK(size == strlen(files[i].text), "the file was changed");
        free(text);
    }
    check_error(resume(&s, "nowhere", &head, s.search, &err), AB_ERR_IO, &err, "No such");
    struct ab_journal *journal;
    check_error(ab_journal_create("/dev/full", &head, &journal, &err), AB_ERR_IO, &err,
                "no regular file");
    check_error(ab_journal_create("/nowhere/at/all", &head, &journal, &err), AB_ERR_IO, &err,
                "choose a place");
    CHECK(!journal, "a journal after an error");
    scene_free(&s);
}

TEST(damage_names_its_line)
{
    struct scene s = scene_new();
    struct ab_journal *journal;
    struct ab_error err;
    size_t size;
    scene_begin(&s);
    begin("d", &journal);
    go_on(&s, journal, 3);
    ab_journal_close(&journal);
    unsigned char *text = read_file(temp_path("d"), &size);
    unsigned char *second = memchr(text, '\n', size), *third;
    third = memchr(second + 1, '\n', size - (size_t)(second + 1 - text));
    third[1] = 'x';
    write_file("d", text, size);
    check_error(resume(&s, "d", &head, s.search, &err), AB_ERR_FORMAT, &err,
                ":3: no visit; the file is damaged");
    free(text);
    scene_free(&s);
}

TEST(one_process_writes_at_a_time)
{
    struct scene s = scene_new();
    struct ab_journal *journal, *other;
    struct ab_error err;
    scene_begin(&s);
    begin("w", &journal);
    go_on(&s, journal, 1);
    check_error(ab_journal_create(temp_path("w"), &head, &other, &err), AB_ERR_IO, &err,
                "another attrbench tune");
    check_error(resume(&s, "w", &head, s.search, &err), AB_ERR_IO, &err, "another attrbench tune");
    go_on(&s, journal, 1);
    ab_journal_close(&journal);
    struct ab_search *again = search_new(&s.space);
    CHECK(resume(&s, "w", &head, again, &err) == AB_OK, "%s", err.text);
    CHECK(told_visits(&s, again) == 2, "%d visits", told_visits(&s, again));
    ab_search_destroy(&again);
    scene_free(&s);
}

TEST(a_full_disk_leaves_what_was_written)
{
    struct scene s = scene_new();
    struct ab_journal *journal;
    struct ab_error err;
    size_t size, after;
    scene_begin(&s);
    begin("full", &journal);
    go_on(&s, journal, 2);
    free(read_file(temp_path("full"), &size));
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit full = {.rlim_cur = size + 100, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &full);
    struct ab_told told;
    visit(&s.machine, &s.space.points[0], 2, &told);
    const enum ab_status status = ab_journal_add(journal, &s.space, 0, &told, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    check_error(status, AB_ERR_IO, &err, "cannot be written");
    free((void *)told.latency_ns);
    free(read_file(temp_path("full"), &after));
    CHECK(after == size, "%zu bytes, not %zu", after, size);
    go_on(&s, journal, 1);
    ab_journal_close(&journal);
    struct ab_search *again = search_new(&s.space);
    CHECK(resume(&s, "full", &head, again, &err) == AB_OK, "%s", err.text);
    CHECK(told_visits(&s, again) == 3, "%d visits", told_visits(&s, again));
    ab_search_destroy(&again);
    scene_free(&s);
}

static const struct test_case cases[] = {CASE(a_search_goes_on_as_it_would_have),
                                         CASE(what_fails_and_what_is_unknown_comes_back),
                                         CASE(a_line_that_a_kill_tore_is_left_out),
                                         CASE(visits_of_another_search_are_refused),
                                         CASE(other_files_are_refused),
                                         CASE(damage_names_its_line),
                                         CASE(one_process_writes_at_a_time),
                                         CASE(a_full_disk_leaves_what_was_written)};
TEST_MAIN("tune_journal", cases)
