// SPDX-License-Identifier: Apache-2.0
// What verify stands on: guard pages and fills, the line of a trial, processes.
#include "support.h"

#include "verify/isolate.h"
#include "verify/verify.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- memory ---- */

TEST(buffers_lie_at_their_guard_page)
{
    const size_t sizes[] = {0, 1, 2, 4, 60, 64, 4092, 4096, 4100, 70000};
    long page = sysconf(_SC_PAGESIZE);
    for (int s = 0; s < 10; s++) {
        for (int offset = 0; offset <= 60; offset += 4) {
            for (size_t align = 4; align <= 64; align *= 4) {
                struct ab_guarded left, right;
                context("%zu bytes, align %zu, offset %d", sizes[s], align, offset);
                CHECK(ab_guarded_new(&left, sizes[s], align, (size_t)offset, AB_SIDE_LEFT) &&
                          ab_guarded_new(&right, sizes[s], align, (size_t)offset, AB_SIDE_RIGHT),
                      "out of memory");
                ptrdiff_t before = (unsigned char *)left.data - (left.map + page);
                ptrdiff_t after =
                    right.map + right.map_bytes - page - ((unsigned char *)right.data + sizes[s]);
                CHECK(before == offset, "%td bytes before the buffer", before);
                CHECK(after >= offset && after < offset + (ptrdiff_t)align,
                      "%td bytes after the buffer", after);
                CHECK(((uintptr_t)right.data + (uintptr_t)offset) % align == 0, "misaligned");
                for (size_t i = 0; i < sizes[s] / 4; i++) {
                    uint32_t u;
                    memcpy(&u, (unsigned char *)right.data + 4 * i, 4);
                    CHECK(u == AB_SENTINEL_BITS, "word %zu is no sentinel", i);
                }
                ab_guarded_free(&left);
                ab_guarded_free(&right);
            }
        }
    }
}

TEST(slack_and_inputs_are_watched)
{
    struct ab_guarded g;
    char why[128];
    CHECK(ab_guarded_new(&g, 100, 64, 4, AB_SIDE_LEFT), "out of memory");
    unsigned char *p = g.data;
    CHECK(ab_guarded_check(&g, why, sizeof why), "%s", why);
    memset(p, 1, 100);
    CHECK(ab_guarded_check(&g, why, sizeof why), "%s", why);
    CHECK(ab_guarded_frozen(&g), "changed without having been frozen");
    CHECK(ab_guarded_freeze(&g) && ab_guarded_frozen(&g), "changed at once");
    p[99] ^= 0x80;
    CHECK(!ab_guarded_frozen(&g), "a change was not seen");
    CHECK(ab_guarded_freeze(&g) && ab_guarded_frozen(&g), "frozen again, and changed");
    const int beside[] = {-4, -1, 100, 103, 3000};
    for (int i = 0; i < 5; i++) {
        unsigned char was = p[beside[i]];
        p[beside[i]] = 7;
        CHECK(!ab_guarded_check(&g, why, sizeof why), "byte %d was not seen", beside[i]);
        p[beside[i]] = was;
    }
    ptrdiff_t from;
    size_t bytes;
    CHECK(ab_guarded_find(p - 40, &from, &bytes) && from == -40 && bytes == 100, "not found");
    ab_guarded_free(&g);
    CHECK(!ab_guarded_find(p, &from, &bytes), "found after it was freed");
    CHECK(!ab_guarded_new(&g, SIZE_MAX - 100, 64, 0, AB_SIDE_LEFT), "all of memory");
}

TEST(frames_of_blocked_tensors_are_watched)
{
    struct ab_blocked b, c;
    char why[128];
    struct ab_halo halo = {1, 2, 3, 4};
    CHECK(ab_blocked_new(&b, 2, 20, 3, 5, halo, AB_SIDE_RIGHT) &&
              ab_blocked_new(&c, 2, 20, 3, 5, (struct ab_halo){0}, AB_SIDE_LEFT),
          "out of memory");
    float nchw[2 * 20 * 3 * 5], back[2 * 20 * 3 * 5];
    struct ab_rng r = ab_rng_new(1, 2);
    ab_fill_floats(nchw, 600, AB_FILL_NORMAL, &r, NULL, 0);
    struct ab_range all = ab_blocked_range(&b), part = {1, 2, 1, 2, 1, 3};
    ab_blocked_from_nchw(&b, nchw);
    ab_blocked_from_nchw(&c, nchw);
    ab_blocked_to_nchw(&b, back);
    CHECK(memcmp(nchw, back, sizeof nchw) == 0, "values changed on their way");
    CHECK(ab_blocked_check_frame(&b, &all, why, sizeof why), "%s", why);
    CHECK(ab_blocked_check_same(&b, &c, &all, why, sizeof why), "%s", why);
    CHECK(!ab_blocked_check_frame(&b, &part, why, sizeof why), "all was written, not the part");
    *ab_blocked_at(&c, 0, 19, 2, 4) += 1.0f;
    CHECK(!ab_blocked_check_same(&b, &c, &all, why, sizeof why), "a difference was not seen");
    CHECK(ab_blocked_check_same(&b, &c, &part, why, sizeof why), "%s", why);
    *ab_blocked_at(&b, 1, 20, 0, 0) = -0.0f;
    CHECK(!ab_blocked_check_frame(&b, &all, why, sizeof why), "-0 in a padding lane");
    *ab_blocked_at(&b, 1, 20, 0, 0) = 0.0f;
    *ab_blocked_at(&b, 1, 3, -1, -2) = 1e-30f;
    CHECK(!ab_blocked_check_frame(&b, &all, why, sizeof why), "the halo was written");
    ab_blocked_poison(&b);
    CHECK(ab_blocked_check_frame(&b, &(struct ab_range){0}, why, sizeof why), "%s", why);
    ab_blocked_free(&b);
    ab_blocked_free(&c);
}

TEST(fills_are_what_they_are_called)
{
    enum { N = 4000 };
    static float p[N], again[N];
    const float file[3] = {1.5f, -2.0f, 3.0f};
    for (int f = 0; f < AB_FILLS; f++) {
        enum ab_fill fill = (enum ab_fill)f;
        context("fill %s", ab_fill_name(fill));
        struct ab_rng r = ab_rng_new(3, 4), s = r;
        ab_fill_floats(p, N, fill, &r, file, 3);
        ab_fill_floats(again, N, fill, &s, file, 3);
        CHECK(memcmp(p, again, sizeof p) == 0, "another time, other values");
        int zeros = 0, signs = 0, strange = 0, subnormal = 0, integers = 0;
        double sum = 0, magnitude = 0, most = 0;
        for (int i = 0; i < N; i++) {
            zeros += p[i] == 0.0f;
            signs += signbit(p[i]) != 0;
            strange += !isfinite(p[i]);
            subnormal += fpclassify(p[i]) == FP_SUBNORMAL;
            integers += p[i] == rintf(p[i]);
            sum += (double)p[i], magnitude += fabs((double)p[i]);
            most = fmax(most, fabs((double)p[i]));
        }
        bool single = fill == AB_FILL_NAN || fill == AB_FILL_INF;
        CHECK(strange == single, "%d values are not finite", strange);
        if (ab_fill_is_exact(fill)) CHECK(integers == N && most <= 251, "no small integers");
        bool unsigned_fill = fill == AB_FILL_UINT || fill == AB_FILL_RELU ||
                             fill == AB_FILL_NONNEG || fill == AB_FILL_ONEHOT ||
                             fill == AB_FILL_RAMP;
        CHECK(unsigned_fill ? signs == 0 : signs > N / 8, "%d negative values", signs);
        if (fill == AB_FILL_RELU) CHECK(zeros > N / 3 && zeros < 2 * N / 3, "%d zeros", zeros);
        if (fill == AB_FILL_CANCEL) CHECK(fabs(sum) < 1e-3 * magnitude, "sum %g", sum);
        if (fill == AB_FILL_LOGNORMAL) CHECK(most > 1000, "at most %g", most);
        if (fill == AB_FILL_ONEHOT) CHECK(zeros == N - 1 && sum == 1, "%d zeros", zeros);
        if (fill == AB_FILL_DENORMAL) CHECK(subnormal + zeros == N && !zeros, "normal numbers");
        if (fill == AB_FILL_HUGE) CHECK(most <= 0x1p60 && magnitude >= N * 0x1p59, "not huge");
        if (fill == AB_FILL_NEGZERO) CHECK(zeros > N / 3 && signs > N / 2, "%d zeros", zeros);
        if (fill == AB_FILL_FILE) CHECK(p[0] == 1.5f && p[N - 1] == 1.5f, "no file");
    }
}

/* ---- the line of a trial ---- */

static void round_trip(const struct ab_trial *trial)
{
    char line[AB_TRIAL_TEXT], again[AB_TRIAL_TEXT];
    struct ab_trial parsed;
    struct ab_error err;
    ab_trial_print(trial, line, sizeof line);
    context("%s", line);
    CHECK(strlen(line) < sizeof line - 1, "cut off");
    CHECK(ab_trial_parse(line, &parsed, &err) == AB_OK, "%s", err.text);
    ab_trial_print(&parsed, again, sizeof again);
    CHECK(strcmp(line, again) == 0, "comes back as %s", again);
    CHECK(memcmp(trial, &parsed, sizeof parsed) == 0, "another trial comes back");
}

TEST(trials_parse_and_print_back)
{
    struct ab_rng r = ab_rng_new(5, 6);
    for (int o = 0; o < AB_KERNEL_OPS; o++) {
        const struct ab_verify_op *op = ab_verify_op_of((enum ab_kernel_op)o);
        if (!op) continue;
        struct ab_trial trial;
        CHECK(strcmp(op->name, ab_kernel_op_name(op->op)) == 0, "%s is called %s",
              ab_kernel_op_name(op->op), op->name);
        for (int i = 0; memset(&trial, 0, sizeof trial), op->fixed(i, &trial); i++)
            round_trip(&trial);
        for (int i = 0; i < 500; i++) {
            memset(&trial, 0, sizeof trial);
            op->draw(&r, &trial);
            round_trip(&trial);
            struct ab_trial smaller;
            for (int k = 0; k < 5; k++) {
                memset(&smaller, 0, sizeof smaller);
                if (op->shrink(&trial, k, &smaller)) round_trip(&smaller);
            }
        }
    }
}

/* A trial that is right, and how a line goes on from its shape. */
static void first_trial(enum ab_kernel_op op, char *start, size_t size)
{
    const struct ab_verify_op *o = ab_verify_op_of(op);
    struct ab_trial trial;
    memset(&trial, 0, sizeof trial);
    CHECK(o && o->fixed(0, &trial), "no trial of %s", ab_kernel_op_name(op));
    char shape[160];
    o->shape_print(&trial, shape, sizeof shape);
    snprintf(start, size, "%s %s", o->name, shape);
}

static void refuse(const char *line, const char *expected)
{
    struct ab_trial trial;
    struct ab_error err = {""};
    context("'%s'", line);
    CHECK(ab_trial_parse(line, &trial, &err) == AB_ERR_ARG, "was taken");
    CHECK(strstr(err.text, expected), "'%s' does not say '%s'", err.text, expected);
    CHECK(!strchr(err.text, '\n'), "more than a line: %s", err.text);
}

TEST(wrong_trials_are_refused)
{
    static const char *const wrong[][2] = {
        {"fill=cansel", "did you mean 'cancel'?"},
        {"fill=", "unknown fill ''"},
        {"wmod=poss", "did you mean 'pos'?"},
        {"f=muldv", "did you mean 'muldiv'?"},
        {"exp=21", "from -20 to 20"},
        {"exp=1x", "from -20 to 20"},
        {"exp=", "from -20 to 20"},
        {"seed=-1", "from 0 to 2^64 - 1"},
        {"seed=18446744073709551616", "from 0 to 2^64 - 1"},
        {"side=top", "left, right"},
        {"offset=6", "multiple of 4"},
        {"offset=64", "multiple of 4"},
        {"with=bias,ad", "did you mean 'add'?"},
        {"with=", "unknown with ''"},
        {"with=bias,", "unknown with ''"},
        {"seed=1 seed=2", "seed is given twice"},
        {"bwd fwd", "the pass is given twice"},
        {"backward", "none of fwd, bwd"},
        {"sead=1", "did you mean 'seed'?"},
        {"fill=file", "come together"},
        {"file=x.npy", "come together"},
        {"fill=file file=", "names no file"},
    };
    refuse("", "no operation");
    refuse("densee n1", "did you mean 'dense'?");
    char start[256], line[1024];
    first_trial(AB_KERNEL_dense, start, sizeof start);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(line, sizeof line, "%s %s", start, wrong[i][0]);
        refuse(line, wrong[i][1]);
    }
    refuse("dense", "no shape");
    snprintf(line, sizeof line, "%s fill=file file=%0200d", start, 1);
    refuse(line, "longer than 127");
    struct ab_trial trial;
    struct ab_error err;
    snprintf(line, sizeof line, "  %s\tseed=18446744073709551615 fill=file file=a b=c", start);
    CHECK(ab_trial_parse(line, &trial, &err) == AB_OK, "%s", err.text);
    CHECK(trial.seed == UINT64_MAX && strcmp(trial.file, "a b=c") == 0, "read as %s", trial.file);
    static const struct {
        enum ab_kernel_op op;
        const char *word, *why;
    } has_not[] = {{AB_KERNEL_maxpool, "wmod=pos", "no weights"},
                   {AB_KERNEL_select, "f=relu", "its product"},
                   {AB_KERNEL_dense_f64, "f=relu", "no epilogue"}};
    for (size_t i = 0; i < sizeof has_not / sizeof has_not[0]; i++) {
        first_trial(has_not[i].op, start, sizeof start);
        snprintf(line, sizeof line, "%s %s", start, has_not[i].word);
        refuse(line, has_not[i].why);
    }
}

/* A file's values reach the call; without them nothing is judged. */
TEST(values_of_files_are_used)
{
    char path[] = "/tmp/ab_verify_XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0, "no temporary file");
    close(fd);
    const struct ab_verify_op *op = ab_verify_op_of(AB_KERNEL_dense);
    const struct ab_candidate ref = {.name = "dense_ref",
                                     .isa = "ref",
                                     .op = AB_KERNEL_dense,
                                     .kernel = kernel_ref(AB_KERNEL_dense)};
    char line[256];
    struct ab_trial trial;
    struct ab_error err;
    snprintf(line, sizeof line, "dense n1i20o4 fill=file file=%s", path);
    CHECK(ab_trial_parse(line, &trial, &err) == AB_OK, "%s", err.text);
    struct ab_outcome o = {0};
    op->run(&ref, &trial, &o, NULL);
    CHECK(o.kind == AB_OUTCOME_SKIPPED && strstr(o.why, path), "an empty file: %s", o.why);
    /* All zeros: the only reason why a result of real weights would be. */
    const float zeros[3] = {0.0f, 0.0f, 0.0f};
    CHECK(ab_npy_write(path, zeros, 1, (struct ab_dims){3, 1, 1}, &err) == AB_OK, "%s", err.text);
    o = (struct ab_outcome){0};
    op->run(&ref, &trial, &o, NULL);
    CHECK(o.kind == AB_OUTCOME_MISTRUSTED, "zeros: %s %s", ab_outcome_name(o.kind), o.why);
    const float values[3] = {1.0f, -2.0f, 0.5f};
    trial.seed++; /* operands of a trial are kept for the next candidate */
    CHECK(ab_npy_write(path, values, 1, (struct ab_dims){3, 1, 1}, &err) == AB_OK, "%s", err.text);
    o = (struct ab_outcome){0};
    op->run(&ref, &trial, &o, NULL);
    CHECK(o.kind == AB_OUTCOME_PASS, "values: %s %s", ab_outcome_name(o.kind), o.why);
    unlink(path);
}

/* ---- processes ---- */

enum { JOBS = 60 };

struct seen {
    int times[JOBS], reports, stop_after;
    struct ab_outcome outcomes[JOBS];
    double seconds[JOBS];
};

static bool note(void *user, long job, const struct ab_outcome *outcome, double seconds)
{
    struct seen *s = user;
    s->times[job]++;
    s->outcomes[job] = *outcome;
    s->seconds[job] = seconds;
    return ++s->reports != s->stop_after;
}

static void sleep_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    nanosleep(&t, NULL);
}

static int children(void)
{
    return waitpid(-1, NULL, WNOHANG) >= 0;
}

static int open_files(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) count++;
    if (dir) closedir(dir);
    return count;
}

static enum ab_status isolate(void (*run)(void *, long, struct ab_outcome *), struct seen *seen,
                              int workers, double timeout)
{
    struct ab_isolated jobs = {.count = JOBS,
                               .run = run,
                               .report = note,
                               .user = seen,
                               .workers = workers,
                               .timeout = timeout};
    struct ab_error err = {""};
    int files = open_files();
    enum ab_status status = ab_isolate(&jobs, &err);
    CHECK(files == open_files(), "%d files were open, now %d", files, open_files());
    CHECK(!children(), "a process was left behind");
    CHECK(status == AB_OK || err.text[0], "a failure without a message");
    return status;
}

/* Every way to end but the right one. */
static void misbehave(void *user, long job, struct ab_outcome *outcome)
{
    (void)user;
    static volatile int zero;
    struct ab_guarded g;
    volatile float *p;
    outcome->elements = job + 1;
    switch (job) {
    case 3: raise(SIGILL); break;
    case 4: abort();
    case 5: exit(0);
    case 6: _exit(9);
    case 7: sleep_for(30); break;
    case 8: raise(SIGFPE); break;
    case 9: ab_outcome_fail(outcome, AB_CHECK_bits, "one wrong bit"); break;
    case 10: raise(SIGKILL); break;
    case 11:
        if (ab_guarded_new(&g, 400, 4, 0, AB_SIDE_RIGHT)) p = g.data, p[100 + zero] = 1;
        break;
    case 12:
        if (ab_guarded_new(&g, 400, 4, 0, AB_SIDE_LEFT)) p = g.data, p[zero - 2] = 1;
        break;
    case 13: raise(SIGINT); break; /* ignored: as Ctrl-C, it is the parent's */
    case 14:
        if (fork() == 0) sleep_for(2), _exit(0); /* holds the pipe open for longer than it lives */
        _exit(3);
    }
}

TEST(processes_contain_every_end)
{
    static const struct {
        int job;
        enum ab_check check;
        const char *why;
    } bad[] = {
        {3, AB_CHECK_crash, "SIGILL"},
        {4, AB_CHECK_crash, "SIGABRT"},
        {5, AB_CHECK_crash, "exit status 0"},
        {6, AB_CHECK_crash, "exit status 9"},
        {7, AB_CHECK_hang, "no result after"},
        {8, AB_CHECK_crash, "SIGFPE"},
        {9, AB_CHECK_bits, "one wrong bit"},
        {10, AB_CHECK_crash, "SIGKILL"},
        {11, AB_CHECK_crash, "0 bytes after the end of a buffer of 400 bytes"},
        {12, AB_CHECK_crash, "8 bytes before a buffer of 400 bytes"},
        {14, AB_CHECK_crash, "exit status 3"},
    };
    for (int workers = 1; workers <= 3; workers += 2) {
        static struct seen seen;
        seen = (struct seen){0};
        CHECK(isolate(misbehave, &seen, workers, 0.6) == AB_OK, "failed");
        CHECK(seen.reports == JOBS, "%d reports", seen.reports);
        size_t k = 0;
        for (int i = 0; i < JOBS; i++) {
            context("job %d of %d workers", i, workers);
            const struct ab_outcome *o = &seen.outcomes[i];
            CHECK(seen.times[i] == 1, "%d reports", seen.times[i]);
            if (k < sizeof bad / sizeof bad[0] && bad[k].job == i) {
                CHECK(o->kind == AB_OUTCOME_FAIL && o->check == bad[k].check, "%s: %s",
                      ab_check_name(o->check), o->why);
                CHECK(strstr(o->why, bad[k].why), "%s", o->why);
                k++;
            } else {
                CHECK(o->kind == AB_OUTCOME_PASS && o->elements == i + 1, "%s", o->why);
            }
        }
    }
}

static void quick(void *user, long job, struct ab_outcome *outcome)
{
    (void)user, (void)job, (void)outcome;
    sleep_for(0.005);
}

static bool at_once(void *user)
{
    const struct seen *s = user;
    return s->reports >= 5;
}

TEST(a_report_or_the_caller_stops_all)
{
    static struct seen seen;
    seen = (struct seen){.stop_after = 10};
    CHECK(isolate(quick, &seen, 2, 10) == AB_OK, "failed");
    CHECK(seen.reports == 10, "%d reports after a stop at 10", seen.reports);
    seen = (struct seen){0};
    struct ab_isolated jobs = {
        .count = JOBS, .run = quick, .report = note, .user = &seen, .workers = 1, .stop = at_once};
    struct ab_error err;
    CHECK(ab_isolate(&jobs, &err) == AB_OK, "%s", err.text);
    CHECK(seen.reports >= 5 && seen.reports < JOBS, "%d reports", seen.reports);
    CHECK(!children(), "a process was left behind");
}

TEST(no_workers_are_refused_and_no_jobs_are_done)
{
    static struct seen seen;
    seen = (struct seen){0};
    CHECK(isolate(quick, &seen, 0, 1) == AB_ERR_ARG, "no worker did it");
    struct ab_isolated none = {.run = quick, .report = note, .user = &seen, .workers = 2};
    struct ab_error err;
    CHECK(ab_isolate(&none, &err) == AB_OK && seen.reports == 0, "%s", err.text);
}

/* Jobs end close to their timeout: whatever the race between the two, each is reported once, and
 * none fails that had its time. */
static void race(void *user, long job, struct ab_outcome *outcome)
{
    (void)user, (void)outcome;
    sleep_for(job % 3 ? 0.0005 : 0.0498 + 0.0001 * (double)(job % 8));
}

TEST(results_at_the_last_moment_count)
{
    static struct seen seen;
    seen = (struct seen){0};
    CHECK(isolate(race, &seen, 4, 0.05) == AB_OK, "failed");
    for (int i = 0; i < JOBS; i++) {
        CHECK(seen.times[i] == 1, "job %d: %d reports", i, seen.times[i]);
        CHECK(seen.outcomes[i].kind == AB_OUTCOME_PASS || seen.seconds[i] > 0.045,
              "job %d after %g s: %s", i, seen.seconds[i], seen.outcomes[i].why);
    }
}

static const struct test_case cases[] = {
    CASE(buffers_lie_at_their_guard_page),
    CASE(slack_and_inputs_are_watched),
    CASE(frames_of_blocked_tensors_are_watched),
    CASE(fills_are_what_they_are_called),
    CASE(trials_parse_and_print_back),
    CASE(wrong_trials_are_refused),
    CASE(values_of_files_are_used),
    CASE(processes_contain_every_end),
    CASE(a_report_or_the_caller_stops_all),
    CASE(no_workers_are_refused_and_no_jobs_are_done),
    CASE(results_at_the_last_moment_count),
};
TEST_MAIN("verify_engine", cases)
