// SPDX-License-Identifier: Apache-2.0
// The space of attrbench tune: which points exist on which machine, where their threads run, and
// what is said to who asks for others.
#include "../bench/tune_inside.h"
#include "files.h"

#include <math.h>

/* ---- machines ---- */

enum { MOST = 512 };
static int cpu_numbers[MOST], core_numbers[MOST];

/* Cores of `siblings` hardware threads each, numbered as Linux does: first the first of each. */
static struct ab_site host_of(int cores, int siblings, double granted)
{
    struct ab_site site = {.cpus = cpu_numbers,
                           .core = core_numbers,
                           .n_cpus = cores * siblings,
                           .online = cores * siblings,
                           .granted = granted,
                           .isas = 1u << AB_ISA_plain | 1u << AB_ISA_avx2 | 1u << AB_ISA_avx512};
    for (int i = 0; i < site.n_cpus; i++) {
        core_numbers[i] = i / siblings;
        cpu_numbers[i] = i / siblings + i % siblings * cores;
    }
    return site;
}

static struct ab_site two_cpus(void)
{
    return host_of(2, 1, (double)INFINITY);
}

/* `narrowing`: words, up to NULL. */
static enum ab_status try(const struct ab_site *site, const char *const *narrowing,
                          unsigned one_algo, struct ab_space *space, struct ab_error *err)
{
    struct ab_words words = {NULL, 0};
    for (int i = 0; narrowing[i]; i++)
        CHECK(ab_words_add(&words, narrowing[i], strlen(narrowing[i])), "out of memory");
    *err = (struct ab_error){""};
    const enum ab_status status = ab_space_create(&words, site, one_algo, space, err);
    ab_words_free(&words);
    return status;
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct ab_space space_of(const struct ab_site *site, const char *const *narrowing)
{
    struct ab_space space;
    struct ab_error err;
    CHECK(try(site, narrowing, 0, &space, &err) == AB_OK, "%s", err.text);
    return space;
}

static void check_refused(const struct ab_site *site, const char *const *narrowing,
                          const char *needle)
{
    struct ab_space space;
    struct ab_error err;
    context("--space %s %s", narrowing[0], narrowing[1] ? narrowing[1] : "");
    check_error(try(site, narrowing, 0, &space, &err), AB_ERR_ARG, &err, needle);
    CHECK(!space.points && !space.n_points && !space.at, "an error leaves points");
}

/* ---- points ---- */

TEST(points_are_those_that_can_exist)
{
    const struct ab_site site = two_cpus();
    struct ab_space space = space_of(&site, WORDS("engine=native:avx512,native:avx2"));
    /* engine, algo and memory, shape, batch, place, pages, denormals */
    CHECK(space.n_points == 2 * 3 * 3 * 4 * 2 * 2 * 2, "%d points", space.n_points);
    CHECK(!strcmp(space.points[0].text, "native:avx512 auto fast 1x1 batch=1 cores huge keep"),
          "the simplest is %s", space.points[0].text);
    CHECK(space.points[0].simplicity == 0, "%g", space.points[0].simplicity);
    for (int i = 0; i < space.n_points; i++) {
        const struct ab_point *p = &space.points[i];
        const struct ab_deploy *d = &p->deploy;
        context("%s", p->text);
        CHECK(d->threads * d->instances <= 2, "too many threads");
        CHECK(d->memory == AB_MEMORY_FAST || d->algo == AB_ALGO_DIRECT, "lean is not direct");
        CHECK(d->place != AB_PLACE_SMT, "there are no siblings");
        CHECK((d->cpus == NULL) == (d->place == AB_PLACE_FREE), "CPUs");
        CHECK(i == 0 || p->simplicity >= p[-1].simplicity, "not in order");
        CHECK(ab_space_find(&space, p->level) == i, "not found by its levels");
        CHECK(ab_space_find_text(&space, p->text) == i, "not found by its text");
    }
    CHECK(ab_space_find_text(&space, "native") == -1, "found by no text");
    ab_space_free(&space);
    CHECK(!space.points && !space.at, "not freed");
    ab_space_free(&space);
}

static int count_text(const struct ab_space *space, const char *part)
{
    int count = 0;
    for (int i = 0; i < space->n_points; i++) count += strstr(space->points[i].text, part) != NULL;
    return count;
}

/* Plans of avx512 are the same by either algorithm, those of avx2 are not. */
TEST(one_plan_is_one_point)
{
    const struct ab_site site = two_cpus();
    const unsigned avx512 = 1u << AB_ISA_avx512, both = avx512 | 1u << AB_ISA_avx2;
    struct ab_space space;
    struct ab_error err;
    const char *const *engines = WORDS("engine=native:avx512,native:avx2", "batch=1", "place=cores",
                                       "pages=huge", "denormals=keep");
    CHECK(!try(&site, engines, avx512, &space, &err), "%s", err.text);
    /* Three shapes; avx2 has direct fast too. */
    CHECK(space.n_points == 3 * (2 + 3) && space.twins == 3, "%d points, %d twins", space.n_points,
          space.twins);
    CHECK(count_text(&space, "avx512 direct fast") == 0, "a twin");
    CHECK(count_text(&space, "avx512 direct lean") == 3, "lean memory is another plan");
    const int fast =
        ab_space_find_text(&space, "native:avx512 auto fast 1x1 batch=1 cores huge keep");
    const int direct = 1 - space.points[fast].level[AB_KNOB_ALGO];
    CHECK(ab_space_neighbour(&space, fast, AB_KNOB_ALGO, direct) == -1,
          "lean memory passes for what plain sums cost");
    ab_space_free(&space);
    /* Where nothing else is left that has it, the value goes, asked for or not. */
    for (int named = 0; named < 2; named++) {
        const char *const *words =
            named ? WORDS("engine=native:avx512,native:avx2", "algo=auto,direct", "memory=fast")
                  : WORDS("engine=native:avx512,native:avx2", "memory=fast");
        CHECK(!try(&site, words, both, &space, &err), "%s", err.text);
        CHECK(space.knobs[AB_KNOB_ALGO].count == 1 && !count_text(&space, "direct"), "direct");
        CHECK(space.twins == space.n_points, "%d points, %d twins", space.n_points, space.twins);
        ab_space_free(&space);
    }
    /* What is all that is offered is no twin. */
    CHECK(!try(&site, WORDS("engine=native:avx512", "algo=direct"), both, &space, &err), "%s",
          err.text);
    CHECK(count_text(&space, "direct fast") > 0 && !space.twins, "direct alone has a twin");
    ab_space_free(&space);
}

#if AB_WITH_ONEDNN
TEST(onednn_has_neither_algorithm_nor_memory)
{
    const struct ab_site site = two_cpus();
    struct ab_space space = space_of(&site, WORDS("batch=1,2"));
    int onednn = 0;
    for (int i = 0; i < space.n_points; i++) {
        const struct ab_deploy *d = &space.points[i].deploy;
        if (strcmp(d->backend, "onednn") != 0) continue;
        onednn++;
        CHECK(d->algo == AB_ALGO_AUTO && d->memory == AB_MEMORY_FAST, "%s", space.points[i].text);
    }
    CHECK(onednn == 3 * 2 * 2 * 2 * 2, "%d points of onednn", onednn);
    CHECK(space.n_points == 7 * onednn, "%d points", space.n_points);
    ab_space_free(&space);
    /* Alone it leaves these knobs one value. */
    space = space_of(&site, WORDS("engine=onednn"));
    CHECK(space.knobs[AB_KNOB_ALGO].count == 1 && space.knobs[AB_KNOB_MEMORY].count == 1,
          "values that no point has");
    CHECK(space.n_points == 3 * 4 * 2 * 2 * 2, "%d points", space.n_points);
    ab_space_free(&space);
    check_refused(&site, WORDS("engine=onednn", "algo=direct,auto"), "algo=direct");
}

TEST(neighbours_differ_in_one_knob)
{
    const struct ab_site site = two_cpus();
    struct ab_space space = space_of(&site, WORDS("batch=1,2"));
    const int first =
        ab_space_find_text(&space, "native:avx512 auto fast 1x2 batch=2 cores huge keep");
    const struct {
        enum ab_knob knob;
        const char *value, *text;
    } steps[] = {{AB_KNOB_BATCH, "1", "native:avx512 auto fast 1x2 batch=1 cores huge keep"},
                 {AB_KNOB_ALGO, "direct", "native:avx512 direct fast 1x2 batch=2 cores huge keep"},
                 {AB_KNOB_MEMORY, "lean", "native:avx512 direct lean 1x2 batch=2 cores huge keep"},
                 {AB_KNOB_ENGINE, "onednn", "onednn auto fast 1x2 batch=2 cores huge keep"},
                 {AB_KNOB_SHAPE, "2x1", "native:avx512 auto fast 2x1 batch=2 cores huge keep"}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct ab_knob_values *v = &space.knobs[steps[i].knob];
        for (int level = 0; level < v->count; level++) {
            if (strcmp(v->text[level], steps[i].value) != 0) continue;
            const int other = ab_space_neighbour(&space, first, steps[i].knob, level);
            CHECK(other >= 0, "no neighbour by %s", steps[i].value);
            CHECK(!strcmp(space.points[other].text, steps[i].text), "%s", space.points[other].text);
        }
    }
    /* From lean back to what needs no lean; from direct and lean to onednn, which has neither. */
    const int lean =
        ab_space_find_text(&space, "native:avx2 direct lean 1x1 batch=1 free huge keep");
    int other = ab_space_neighbour(&space, lean, AB_KNOB_ALGO, 0);
    CHECK(!strcmp(space.points[other].text, "native:avx2 auto fast 1x1 batch=1 free huge keep"),
          "%s", space.points[other].text);
    other = ab_space_neighbour(&space, lean, AB_KNOB_ENGINE, 2);
    CHECK(!strcmp(space.points[other].text, "onednn auto fast 1x1 batch=1 free huge keep"), "%s",
          space.points[other].text);
    CHECK(ab_space_neighbour(&space, lean, AB_KNOB_BATCH, 7) == -1, "a level that is none");
    ab_space_free(&space);
}
#endif

TEST(shapes_fill_machines_of_any_size)
{
    static const int sizes[] = {1, 2, 3, 4, 6, 7, 8, 12, 16, 24, 48, 64, 96, 128, 192, 256, 500};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int n = sizes[i];
        const struct ab_site site = host_of(n, 1, (double)INFINITY);
        struct ab_space space = space_of(&site, WORDS("engine=native", "batch=1", "algo=auto"));
        char whole[32], each[32];
        bool alone = false, all = false, ones = false;
        context("%d CPUs", n);
        snprintf(whole, sizeof whole, "%dx1", n);
        snprintf(each, sizeof each, "1x%d", n);
        const struct ab_knob_values *v = &space.knobs[AB_KNOB_SHAPE];
        for (int l = 0; l < v->count; l++) {
            alone = alone || !strcmp(v->text[l], "1x1");
            all = all || !strcmp(v->text[l], whole);
            ones = ones || !strcmp(v->text[l], each);
        }
        CHECK(alone && all && ones, "1x1, %s or %s is not there", whole, each);
        CHECK(!strcmp(v->text[0], "1x1"), "%s comes first", v->text[0]);
        for (int p = 0; p < space.n_points; p++) {
            const struct ab_deploy *d = &space.points[p].deploy;
            CHECK(d->threads * d->instances <= n, "%s", space.points[p].text);
        }
        ab_space_free(&space);
    }
}

TEST(a_cpu_of_old_has_plain_loops)
{
    struct ab_site site = two_cpus();
    site.isas = 1u << AB_ISA_ref | 1u << AB_ISA_plain;
    struct ab_space space = space_of(&site, WORDS("batch=1"));
    CHECK(!strcmp(space.points[0].deploy.backend, "native:plain"), "%s", space.points[0].text);
    ab_space_free(&space);
    check_refused(&site, WORDS("engine=native:avx2"), "native:plain");
    /* Asked for, it is there beside better ones. */
    site = two_cpus();
    space = space_of(&site, WORDS("engine=native,native:plain"));
    CHECK(space.knobs[AB_KNOB_ENGINE].count == 2, "%d", space.knobs[AB_KNOB_ENGINE].count);
    CHECK(!strcmp(space.knobs[AB_KNOB_ENGINE].text[0], "native:avx512"), "the best comes first");
    ab_space_free(&space);
}

/* ---- where threads run ---- */

static void check_cpus(const struct ab_site *site, enum ab_place place, int threads, int instances,
                       const int *want)
{
    int cpus[MOST];
    context("%d threads, %d instances, place %d", threads, instances, (int)place);
    const bool can = ab_site_place(site, place, threads, instances, cpus);
    CHECK(can == (want != NULL), "%s be", can ? "can" : "cannot");
    for (int i = 0; want && i < threads * instances; i++)
        CHECK(cpus[i] == want[i], "thread %d on CPU %d, not %d", i, cpus[i], want[i]);
}

TEST(threads_get_the_last_cores_first)
{
    /* Core c has CPUs c and c + 4. */
    const struct ab_site site = host_of(4, 2, (double)INFINITY);
    check_cpus(&site, AB_PLACE_CORES, 1, 1, (int[]){3});
    check_cpus(&site, AB_PLACE_CORES, 2, 1, (int[]){3, 2});
    check_cpus(&site, AB_PLACE_CORES, 2, 2, (int[]){3, 2, 1, 0});
    check_cpus(&site, AB_PLACE_CORES, 1, 5, NULL);
    check_cpus(&site, AB_PLACE_CORES, 8, 1, NULL);
    check_cpus(&site, AB_PLACE_SMT, 1, 1, NULL);
    check_cpus(&site, AB_PLACE_SMT, 2, 1, (int[]){3, 7});
    check_cpus(&site, AB_PLACE_SMT, 2, 2, (int[]){3, 7, 2, 6});
    check_cpus(&site, AB_PLACE_SMT, 8, 1, (int[]){3, 7, 2, 6, 1, 5, 0, 4});
    check_cpus(&site, AB_PLACE_SMT, 9, 1, NULL);
    const struct ab_site plain = two_cpus();
    check_cpus(&plain, AB_PLACE_CORES, 1, 2, (int[]){1, 0});
    check_cpus(&plain, AB_PLACE_SMT, 2, 1, NULL);
    CHECK(ab_site_place(&plain, AB_PLACE_FREE, 2, 1, NULL), "free");
    CHECK(!ab_site_place(&plain, AB_PLACE_FREE, 2, 2, NULL), "more than there are");
}

TEST(a_quota_limits_what_is_kept_busy)
{
    struct ab_site site = host_of(4, 2, 2.5);
    char text[160];
    CHECK(ab_site_usable(&site) == 3, "%d", ab_site_usable(&site));
    ab_site_say(&site, text, sizeof text);
    CHECK(!strcmp(text, "3 CPUs, as the container's quota grants 2.5"), "%s", text);
    check_refused(&site, WORDS("threads=8"), "quota grants 2.5");
    check_cpus(&site, AB_PLACE_CORES, 3, 1, (int[]){3, 2, 1});
    check_cpus(&site, AB_PLACE_CORES, 4, 1, NULL);
    site.granted = 7.5;
    ab_site_say(&site, text, sizeof text);
    CHECK(!strcmp(text, "8 CPUs, as the container's quota grants 7.5"), "%s", text);
    site.granted = 0.3;
    CHECK(ab_site_usable(&site) == 1, "%d", ab_site_usable(&site));
    check_refused(&site, WORDS("threads=2"),
                  "not with 1 CPU, as the container's quota grants 0.3; "
                  "name whole numbers from 1 to 1, such as threads=1");
    site.granted = (double)NAN;
    CHECK(ab_site_usable(&site) == 8, "%d", ab_site_usable(&site));
}

TEST(this_machine_is_found)
{
    struct ab_site site;
    struct ab_error err;
    CHECK(ab_site_look(&site, &err) == AB_OK, "%s", err.text);
    const int usable = ab_site_usable(&site);
    CHECK(usable >= 1 && usable <= site.n_cpus, "%d of %d", usable, site.n_cpus);
    CHECK(site.isas == ab_cpu_isas(), "instruction sets");
    CHECK(site.granted > 0, "%g CPUs granted", site.granted);
    for (int i = 1; i < site.n_cpus; i++) {
        CHECK(site.core[i] == site.core[i - 1] || site.core[i] == site.core[i - 1] + 1,
              "CPUs of a core are not side by side");
        for (int j = 0; j < i; j++) CHECK(site.cpus[j] != site.cpus[i], "a CPU is there twice");
    }
    struct ab_space space;
    CHECK(ab_space_create(NULL, &site, 0, &space, &err) == AB_OK, "%s", err.text);
    CHECK(space.points[0].deploy.threads == 1 && space.points[0].deploy.instances == 1, "%s",
          space.points[0].text);
    ab_space_free(&space);
    ab_site_free(&site);
}

/* ---- what is asked for ---- */

TEST(values_that_cannot_be_are_refused)
{
    const struct ab_site site = two_cpus();
    check_refused(&site, WORDS("threads=8"), "2 CPUs, all that the machine has");
    struct ab_site masked = two_cpus();
    masked.online = 64;
    check_refused(&masked, WORDS("threads=8"),
                  "affinity mask (taskset, cpuset) leaves those of 64");
    check_refused(&site, WORDS("instances=1,3"), "instances=3");
    check_refused(&site, WORDS("threads=2", "instances=2"), "every pair needs more");
    check_refused(&site, WORDS("shape=2x2"), "needs 4 CPUs");
    check_refused(&site, WORDS("shape=2"), "THREADSxINSTANCES");
    check_refused(&site, WORDS("shape=0x1"), "THREADSxINSTANCES");
    check_refused(&site, WORDS("shape=1x1", "threads=1"), "take threads= and instances= away");
    check_refused(&site, WORDS("place=smt"), "no core has two hardware threads");
    check_refused(&site, WORDS("place=smt"), "cores, free");
    check_refused(&site, WORDS("algo=winograd"), "auto, direct");
    check_refused(&site, WORDS("engine=reference"), "native:avx512, native:avx2");
    check_refused(&site, WORDS("engine=native:neon"), "native:avx512");
    check_refused(&site, WORDS("batch=0"), "whole numbers from 1 to 1024");
    check_refused(&site, WORDS("batch=1,x"), "batch=x");
    check_refused(&site, WORDS("batch=1,,2"), "batch=:");
    check_refused(&site, WORDS("batch"), "batch=V,V");
    check_refused(&site, WORDS("batch="), "batch=V,V");
    check_refused(&site, WORDS("btach=1"), "did you mean batch?");
    check_refused(&site, WORDS("=1"), "no such knob");
    check_refused(&site, WORDS("batch=1", "batch=2"), "named twice");
    check_refused(&site, WORDS("memory=lean", "algo=auto"), "lean memory wants algo=direct");
}

TEST(narrowing_leaves_what_is_named)
{
    const struct ab_site site = two_cpus();
    struct ab_space space = space_of(
        &site, WORDS("engine=native", "batch=16,1,16", "threads=2", "pages=small", "memory=lean"));
    const struct ab_knob_values *batch = &space.knobs[AB_KNOB_BATCH];
    CHECK(batch->count == 2 && !strcmp(batch->text[0], "1") && !strcmp(batch->text[1], "16"),
          "%d batches, %s", batch->count, batch->text[0]);
    CHECK(space.n_points == 2 * 2 * 2, "%d points", space.n_points);
    for (int i = 0; i < space.n_points; i++) {
        const struct ab_deploy *d = &space.points[i].deploy;
        CHECK(d->threads == 2 && d->instances == 1 && d->pages == AB_PAGES_SMALL &&
                  d->memory == AB_MEMORY_LEAN && d->algo == AB_ALGO_DIRECT,
              "%s", space.points[i].text);
    }
    ab_space_free(&space);
    const struct ab_site smt = host_of(2, 2, (double)INFINITY);
    space = space_of(&smt, WORDS("place=smt", "engine=native"));
    for (int i = 0; i < space.n_points; i++)
        CHECK(space.points[i].deploy.threads * space.points[i].deploy.instances > 1, "%s",
              space.points[i].text);
    ab_space_free(&space);
}

static const struct test_case cases[] = {
    CASE(points_are_those_that_can_exist),
    CASE(one_plan_is_one_point),
#if AB_WITH_ONEDNN
    CASE(onednn_has_neither_algorithm_nor_memory),
    CASE(neighbours_differ_in_one_knob),
#endif
    CASE(shapes_fill_machines_of_any_size),
    CASE(a_cpu_of_old_has_plain_loops),
    CASE(threads_get_the_last_cores_first),
    CASE(a_quota_limits_what_is_kept_busy),
    CASE(this_machine_is_found),
    CASE(values_that_cannot_be_are_refused),
    CASE(narrowing_leaves_what_is_named),
};
TEST_MAIN("tune_space", cases)
