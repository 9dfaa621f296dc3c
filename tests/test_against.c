// SPDX-License-Identifier: Apache-2.0
// One build against another: pairs of rows, what is missing and why, and where programs come from.
#include "bench/against.h"
#include "bench/record.h"
#include "bench/run.h"
#include "bench/source.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char KERNEL[] = "kernel dense_plain dense n1i100o100",
                  STEPS[] = "method digits gradient native 1 16";

/* ---- files ---- */

static char work[256]; /* a folder of this test's own */

static void clean_up(void)
{
    char line[300];
    snprintf(line, sizeof line, "rm -rf -- '%s'", work);
    if (*work && system(line) != 0) fprintf(stderr, "%s cannot be removed\n", work);
}

static void set_up(void)
{
    const char *folder = getenv("TMPDIR");
    if (*work) return;
    snprintf(work, sizeof work, "%.200s/ab-against-XXXXXX", folder && *folder ? folder : "/tmp");
    CHECK(mkdtemp(work), "%s cannot be made", work);
    atexit(clean_up);
}

/* A file below the folder, a program if `body` begins with "#!"; its path. */
static const char *file(const char *name, const char *body)
{
    static char path[4][400];
    static int next;
    char *p = path[next++ % 4];
    set_up();
    snprintf(p, sizeof path[0], "%s/%s", work, name);
    FILE *f = fopen(p, "w");
    CHECK(f, "%s cannot be written", p);
    fputs(body, f);
    fclose(f);
    CHECK(chmod(p, !strncmp(body, "#!", 2) ? 0755 : 0644) == 0, "%s", p);
    return p;
}

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char line[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    CHECK(system(line) == 0, "failed: %s", line);
}

/* NULL where attrbench is not there to be started. */
static const char *command(void)
{
    const char *program = getenv("AB_COMMAND");
    return program && access(program, X_OK) == 0 ? program : NULL;
}

/* ---- measuring ---- */

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Over turns. */
static double median_ratio(const struct ab_db_row *over, const struct ab_db_row *under)
{
    double *ratios = malloc((size_t)over->count * sizeof *ratios);
    CHECK(ratios && over->count > 0 && over->count == under->count, "no samples");
    for (int i = 0; i < over->count; i++) ratios[i] = over->ns[i] / under->ns[i];
    qsort(ratios, (size_t)over->count, sizeof *ratios, by_size);
    const double ratio = ratios[over->count / 2];
    free(ratios);
    return ratio;
}

static struct ab_against ran(const char *a, const char *b, const char *const *texts, int count,
                             const struct ab_against_options *more)
{
    struct ab_against_options o = *more;
    struct ab_against result = {.count = 0};
    struct ab_cases cases = {.count = 0};
    struct ab_error err;
    o.programs[0] = a;
    o.programs[1] = b;
    for (int i = 0; i < count; i++) CHECK(ab_cases_add(&cases, texts[i]), "out of memory");
    CHECK(ab_against_run(&cases, &o, &result, &err) == AB_OK, "%s", err.text);
    ab_cases_free(&cases);
    return result;
}

static void check_pairs(const struct ab_against *r)
{
    CHECK(json_is_object(r->context[0]) && json_is_object(r->context[1]), "contexts");
    for (int i = 0; i < r->count; i++) {
        const struct ab_db_row *a = &r->rows[0][i], *b = &r->rows[1][i];
        context("%s", a->key);
        CHECK(!strcmp(a->key, b->key), "with '%s'", b->key);
        CHECK(a->count == b->count && a->count > 0 && a->calls == b->calls && a->calls > 0,
              "%d and %d samples", a->count, b->count);
        CHECK(json_is_object(a->record) && json_is_object(b->record), "records");
        for (int j = 0; j < a->count; j++)
            CHECK(a->ns[j] > 0 && b->ns[j] > 0 && isfinite(a->ns[j]) && isfinite(b->ns[j]),
                  "sample %d: %g, %g ns", j, a->ns[j], b->ns[j]);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(r->rows[0][j].key, a->key) != 0, "twice: rows %d and %d", j, i);
    }
}

static int progressed;
static void progress(void *user, int i, int count, const char *text)
{
    CHECK(user == &progressed && i == progressed++ && count == 3 && *text, "%d of %d: %s", i, count,
          text);
}

TEST(pairs)
{
    static const char *const texts[] = {KERNEL, STEPS, "kernel dense_plain dense n1i4"};
    const struct ab_against_options o = {
        .seconds = 0.05, .progress = progress, .user = &progressed};
    if (!command()) return;
    struct ab_against r = ran(command(), command(), texts, 3, &o);
    check_pairs(&r);
    CHECK(progressed == 3, "%d cases told", progressed);
    CHECK(r.count > 2, "%d rows", r.count);
    CHECK(!strncmp(r.rows[0][0].key, KERNEL, strlen(KERNEL)), "'%s'", r.rows[0][0].key);
    CHECK(!strcmp(r.rows[0][1].key, STEPS), "'%s'", r.rows[0][1].key);
    for (int i = 2; i < r.count; i++) {
        CHECK(!strncmp(r.rows[0][i].key, "step digits gradient", 20), "'%s'", r.rows[0][i].key);
        CHECK(median_ratio(&r.rows[0][i], &r.rows[0][1]) < 1, "step %d takes longer than all", i);
    }
    CHECK(r.n_missing == 1 && !strcmp(r.missing[0].text, texts[2]) &&
              !strncmp(r.missing[0].why, "A: ", 3),
          "%d missing", r.n_missing);
    ab_against_free(&r);
    CHECK(r.count == 0 && !r.rows[0] && !r.missing, "freed");
}

/* B by a script, which makes it slower, or another program. */
static const char *wrapper(const char *name, const char *before)
{
    char body[1000];
    snprintf(body, sizeof body, "#!/bin/sh\n%s\nexec '%s' \"$@\"\n", before, command());
    return file(name, body);
}

TEST(a_slower_build)
{
    static const char *const texts[] = {KERNEL};
    const struct ab_against_options o = {.seconds = 0.2, .processes = 2};
    if (!command()) return;
    const char *slow = wrapper("slow", "export ATTRBENCH_TEST_SLOW='dense*=0.5'");
    struct ab_against r = ran(command(), slow, texts, 1, &o);
    check_pairs(&r);
    CHECK(r.count == 1 && r.n_missing == 0, "%d rows, %d missing", r.count, r.n_missing);
    const double ratio = median_ratio(&r.rows[1][0], &r.rows[0][0]);
    CHECK(ratio > 1.35 && ratio < 1.7, "%.3f times slower instead of 1.5", ratio);
    CHECK(!json_object_get(r.context[0], "test_slow") && json_object_get(r.context[1], "test_slow"),
          "contexts");
    ab_against_free(&r);
}

static const char *verdict_of(const struct ab_db_row *row)
{
    const char *verdict = json_string_value(json_object_get(row->record, "verdict"));
    return verdict ? verdict : "none";
}

/* Each build says once how right a case is; one that dies of the question has its times. */
TEST(judged)
{
    static const char *const texts[] = {KERNEL, STEPS};
    const struct ab_against_options o = {.seconds = 0.05, .judge = true, .processes = 2};
    char body[600];
    if (!command()) return;
    const char *wrong = wrapper("wrong", "export ATTRBENCH_TEST_WRONG='gradient=0.5'");
    struct ab_against r = ran(command(), wrong, texts, 2, &o);
    check_pairs(&r);
    CHECK(r.count > 2 && r.n_missing == 0, "%d rows, %d missing", r.count, r.n_missing);
    for (int i = 0; i < r.count; i++) {
        context("%s", r.rows[0][i].key);
        const char *want[2] = {i > 1 ? "none" : "agree", i > 1   ? "none"
                                                         : i > 0 ? "disagree"
                                                                 : "agree"};
        for (int side = 0; side < 2; side++)
            CHECK(!strcmp(verdict_of(&r.rows[side][i]), want[side]), "side %d: %s", side,
                  verdict_of(&r.rows[side][i]));
    }
    ab_against_free(&r);

    snprintf(body, sizeof body, "#!/bin/sh\nsed -u '/^judge$/Q' | '%s' \"$@\"\n", command());
    r = ran(command(), file("deaf", body), texts, 1, &o);
    check_pairs(&r);
    CHECK(r.count == 1 && !strcmp(verdict_of(&r.rows[0][0]), "agree") &&
              !strcmp(verdict_of(&r.rows[1][0]), "none"),
          "%d rows", r.count);
    CHECK(r.n_missing == 1 && r.missing[0].broke && strstr(r.missing[0].why, "to judge"), "%s",
          r.n_missing ? r.missing[0].why : "nothing is missing");
    const json_t *reason = json_object_get(r.rows[1][0].record, "verdict_reason");
    CHECK(reason && strstr(json_string_value(reason), "to judge"), "%s",
          reason ? json_string_value(reason) : "no reason");
    CHECK(!json_object_get(r.rows[0][0].record, "verdict_reason") ||
              !*json_string_value(json_object_get(r.rows[0][0].record, "verdict_reason")),
          "a reason of A, which was judged");
    ab_against_free(&r);
}

TEST(cold)
{
    static const char *const texts[] = {KERNEL};
    const struct ab_against_options o = {.seconds = 0.1, .cache = AB_CACHE_COLD};
    if (!command()) return;
    struct ab_against r = ran(command(), command(), texts, 1, &o);
    check_pairs(&r);
    CHECK(r.count == 1 && r.rows[0][0].calls == 1, "%d rows", r.count);
    CHECK(!strcmp(json_string_value(json_object_get(r.rows[1][0].record, "cache")), "cold"),
          "cache");
    ab_against_free(&r);
}

/* A worker that lacks a case, and one that dies at it: the next case is measured all the same. */
TEST(missing)
{
    static const char *const texts[] = {"kernel new dense n1i4o4", KERNEL};
    const struct ab_against_options o = {.seconds = 0.02};
    if (!command()) return;
    struct ab_against r = ran(command(), command(), texts, 2, &o);
    check_pairs(&r);
    CHECK(r.count == 1 && r.n_missing == 1 && strstr(r.missing[0].why, "not in this build"),
          "%d rows, %d missing", r.count, r.n_missing);
    ab_against_free(&r);

    /* The first process of B dies at its first slice, the second is sound. */
    char before[600];
    set_up();
    snprintf(before, sizeof before,
             "if mkdir '%s/once' 2>/dev/null; then echo attrbench worker 1; read a; echo 'ok {}'\n"
             "read a; echo 'ok [{\"key\": \"k\"}]'; read a; kill -SEGV $$; fi",
             work);
    static const char *const two[] = {STEPS, KERNEL};
    const char *dying = wrapper("dying", before);
    r = ran(command(), dying, two, 2, &o);
    check_pairs(&r);
    CHECK(r.count == 1 && !strncmp(r.rows[1][0].key, KERNEL, strlen(KERNEL)), "%d rows", r.count);
    bool told = false;
    for (int i = 0; i < r.n_missing; i++)
        told = told || (!strcmp(r.missing[i].text, STEPS) && strstr(r.missing[i].why, "B: ") &&
                        strstr(r.missing[i].why, "signal 11"));
    CHECK(told, "%d missing, none of them told", r.n_missing);
    ab_against_free(&r);
}

TEST(cannot_start)
{
    struct ab_against r = {.count = 0};
    struct ab_cases cases = {.count = 0};
    struct ab_error err;
    struct ab_against_options o = {.programs = {command(), "/nonexistent/attrbench"}};
    if (!command()) return;
    CHECK(ab_cases_add(&cases, KERNEL), "out of memory");
    CHECK(ab_against_run(&cases, &o, &r, &err) == AB_ERR_ARG && !strncmp(err.text, "B: ", 3) &&
              strstr(err.text, "/nonexistent/attrbench"),
          "%s", err.text);
    ab_against_free(&r);
    ab_cases_free(&cases);
}

TEST(interrupted)
{
    static const char *const texts[] = {KERNEL, STEPS};
    const struct ab_against_options o = {.seconds = 0.02};
    if (!command()) return;
    ab_interrupted = 1;
    struct ab_against r = ran(command(), command(), texts, 2, &o);
    ab_interrupted = 0;
    CHECK(r.count == 0 && r.n_missing == 0, "%d rows, %d missing", r.count, r.n_missing);
    ab_against_free(&r);
}

/* ---- programs ---- */

static void found(const char *text, const char *ending)
{
    char program[1024];
    struct ab_error err;
    context("%s", text);
    CHECK(ab_against_program(text, program, sizeof program, &err) == AB_OK, "%s", err.text);
    const size_t length = strlen(program), tail = strlen(ending);
    CHECK(length >= tail && !strcmp(program + length - tail, ending), "'%s'", program);
    CHECK(strchr(program, '/'), "'%s' would be looked for", program);
}

static void not_found(const char *text, enum ab_status status, const char *word)
{
    char program[1024];
    struct ab_error err;
    context("%s", text);
    CHECK(ab_against_program(text, program, sizeof program, &err) == status, "%s", err.text);
    CHECK(strstr(err.text, word), "'%s' is not in: %s", word, err.text);
    CHECK(!strchr(err.text, '\n'), "more than a line: %s", err.text);
}

TEST(paths)
{
    char before[1024], text[2000];
    CHECK(getcwd(before, sizeof before), "no current folder");
    set_up();
    shell("mkdir -p '%s/tree/build/release' '%s/bare' '%s/installed/bin'", work, work, work);
    file("tree/build/release/attrbench", "#!/bin/sh\n");
    file("installed/bin/attrbench", "#!/bin/sh\n");
    file("plain", "no program");
    CHECK(chdir(work) == 0, "%s", work);
    found("tree", "tree/build/release/attrbench");
    found("tree/build/release", "tree/build/release/attrbench");
    found("./tree/build/release/attrbench", "tree/build/release/attrbench");
    found("installed", "installed/bin/attrbench");
    not_found("bare", AB_ERR_ARG, "no attrbench in this folder");
    not_found("plain", AB_ERR_ARG, "cannot be run");
    not_found("./none", AB_ERR_ARG, "no such file");
    not_found("/nonexistent/a", AB_ERR_ARG, "no such file");
    not_found("--upload-pack=x", AB_ERR_ARG, "no such file");
    not_found("", AB_ERR_ARG, "no build given");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    not_found(text, AB_ERR_ARG, "too long");
    CHECK(chdir(before) == 0, "%s", before);
}

/* A repository that looks like attrbench's; its build copies a file. */
static void make_repository(void)
{
    shell("mkdir -p '%s/repo/simd'", work);
    file("repo/simd/kernels.def", "");
    file("repo/program", "#!/bin/sh\necho first\n");
    file("repo/CMakePresets.json",
         "{\"version\": 6, \"configurePresets\": [{\"name\": \"release\",\n"
         "\"binaryDir\": \"${sourceDir}/build/${presetName}\"}]}\n");
    file("repo/one.txt", "cmake_minimum_required(VERSION 3.25)\nproject(none NONE)\n"
                         "add_custom_target(attrbench_command COMMAND ${CMAKE_COMMAND} -E copy\n"
                         "    ${PROJECT_SOURCE_DIR}/program ${PROJECT_BINARY_DIR}/attrbench)\n");
    file("repo/two.txt", "broken\n");
    file("repo/slow.txt", "cmake_minimum_required(VERSION 3.25)\nproject(none NONE)\n"
                          "add_custom_target(attrbench_command COMMAND sleep 98)\n");
    shell("cd '%s/repo' && export GIT_CONFIG_GLOBAL=/dev/null && git init -q && git config "
          "user.email a@b.c && git config user.name a && for tag in one slow two; do cp $tag.txt "
          "CMakeLists.txt && git add . && git commit -qm $tag && git tag $tag || exit 1; done",
          work);
}

/* Of a shell line, `work` its argument: the folders of all builds. */
#define BUILDS "'%s/cache/attrbench/builds/'*"

/* A process that builds a revision whose build takes long is interrupted, which is what it ends
 * with; what it started held a lock, which is free when all of that has ended. What an earlier
 * build was ready with is not what this one leaves. */
static void interrupt_a_build(bool by_command)
{
    struct ab_error err;
    char program[1024];
    if (by_command)
        shell("for b in " BUILDS "; do touch \"$b/ready\"; rm \"$b/build.log\"; done", work);
    const pid_t pid = fork();
    int status;
    CHECK(pid >= 0, "no process");
    if (pid == 0 && by_command) {
        execl(command(), "attrbench", "compare", "--against", "slow", "--case", KERNEL, NULL);
        _exit(1);
    }
    if (pid == 0) {
        const enum ab_status got = ab_against_program("slow", program, sizeof program, &err);
        _exit(got == AB_ERR_INTERNAL && strstr(err.text, "interrupted") ? AB_EXIT_INTERRUPTED : 1);
    }
    /* Once it builds: before, it would be the test that is interrupted. */
    shell("for i in $(seq 400); do grep -qs 'building it' " BUILDS "/build.log && exit 0; sleep "
          "0.05; done; exit 1",
          work);
    kill(pid, by_command ? SIGTERM : SIGINT);
    CHECK(waitpid(pid, &status, 0) == pid, "it does not end");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == AB_EXIT_INTERRUPTED, "it ended with %#x",
          (unsigned)status);
    shell("! ls " BUILDS "/ready 2>/dev/null", work);
    if (system("command -v flock >/dev/null") != 0) return;
    shell("for l in " BUILDS "/lock; do flock -w 5 \"$l\" true || exit 1; done", work);
}

TEST(revisions)
{
    char before[1024], cache[300], program[1024];
    struct ab_error err;
    CHECK(getcwd(before, sizeof before), "no current folder");
    set_up();
    if (system("git --version >/dev/null 2>&1 && cmake --version >/dev/null 2>&1") != 0) return;
    make_repository();
    snprintf(cache, sizeof cache, "%s/cache", work);
    setenv("XDG_CACHE_HOME", cache, 1);
    snprintf(program, sizeof program, "%s/repo/simd", work);
    CHECK(chdir(program) == 0, "%s", program);
    interrupt_a_build(false);
    if (command()) interrupt_a_build(true);
    shell("rm -rf '%s/cache'", work);
    /* As in a hook of that repository, whose own checkout stays as it is. */
    snprintf(program, sizeof program, "%s/repo/.git", work);
    setenv("GIT_DIR", program, 1);
    found("one", "/src/build/release/attrbench");
    unsetenv("GIT_DIR");
    shell("cd '%s/repo' && test \"$(git rev-parse HEAD)\" = \"$(git rev-parse two)\"", work);
    CHECK(ab_against_program("one", program, sizeof program, &err) == AB_OK, "%s", err.text);
    shell("test \"$('%s')\" = first", program);
    /* The second time it is there: what was built is not made again. */
    file("mark", "");
    shell("echo '#!/bin/sh' >'%s'", program);
    found("one", "/src/build/release/attrbench");
    shell("! grep -q first '%s'", program);
    /* Unless it was not finished. */
    shell("rm '%s/cache/attrbench/builds/'*/ready", work);
    found("HEAD~2", "/src/build/release/attrbench");
    shell("grep -q first '%s'", program);
    not_found("two", AB_ERR_INTERNAL, "build.log");
    not_found("two", AB_ERR_INTERNAL, "configuring");
    not_found("three", AB_ERR_ARG, "no commit of");
    not_found("one:program", AB_ERR_ARG, "no commit of");
    unsetenv("XDG_CACHE_HOME");
    char *home = strdup(getenv("HOME") ? getenv("HOME") : "");
    unsetenv("HOME");
    not_found("one", AB_ERR_ARG, "XDG_CACHE_HOME");
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    not_found("one", AB_ERR_ARG, "XDG_CACHE_HOME");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", home, 1);
    free(home);
    CHECK(chdir(before) == 0, "%s", before);
}

/* Below folders that are not there yet; no folder is made of a name that was cut. */
TEST(cache_folder)
{
    char deep[400], wanted[420], path[500], *home = strdup(getenv("HOME") ? getenv("HOME") : "");
    set_up();
    snprintf(deep, sizeof deep, "%s/deep/er/still", work);
    snprintf(wanted, sizeof wanted, "%s/attrbench", deep);
    setenv("XDG_CACHE_HOME", deep, 1);
    CHECK(!ab_cache_folder(path, strlen(wanted)) && !*path, "cut: '%s'", path);
    shell("! ls '%s/deep' 2>/dev/null", work);
    CHECK(ab_cache_folder(path, strlen(wanted) + 1) && !strcmp(path, wanted), "'%s'", path);
    shell("test -d '%s' && test -w '%s'", wanted, wanted);
    CHECK(ab_cache_folder(path, sizeof path) && !strcmp(path, wanted), "again: '%s'", path);
    unsetenv("XDG_CACHE_HOME");
    snprintf(deep, sizeof deep, "%s/no/home", work);
    setenv("HOME", deep, 1);
    CHECK(ab_cache_folder(path, sizeof path) && strstr(path, "/no/home/.cache/attrbench"), "'%s'",
          path);
    snprintf(deep, sizeof deep, "%s/deep/er/file", work);
    fclose(fopen(deep, "w"));
    setenv("XDG_CACHE_HOME", deep, 1);
    CHECK(!ab_cache_folder(path, sizeof path) && !*path, "below a file: '%s'", path);
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", home, 1);
    free(home);
    char longer[1200];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    CHECK(!ab_make_folders(longer) && errno == ENAMETOOLONG, "a name that is too long");
}

static const struct test_case cases[] = {
    CASE(pairs),        CASE(a_slower_build), CASE(judged), CASE(cold),      CASE(missing),
    CASE(cannot_start), CASE(interrupted),    CASE(paths),  CASE(revisions), CASE(cache_folder)};
TEST_MAIN("one build against another", cases)
