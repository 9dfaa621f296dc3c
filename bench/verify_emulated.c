// SPDX-License-Identifier: Apache-2.0
// Kernels of AArch64 on other machines: attrbench-verify, cross-built, under qemu.
#include "verify_inside.h"

#include "run.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char ROW[] = "neon", EMULATOR[] = "qemu-aarch64";

/* What one core emulates in about a second, and how long all of it may take. */
static const char MOST[] = "most=3000000";
enum { SECONDS = 55 };

bool ab_verify_is_emulated(const char *candidate)
{
#ifdef __aarch64__
    (void)candidate;
    return false;
#else
    return strstr(candidate, "_neon") != NULL;
#endif
}

/* ---- where the program is ---- */

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    while (path && *path) {
        const size_t length = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)length, path, program);
        if (length && access(file, X_OK) == 0) return true;
        path += length + (path[length] == ':');
    }
    return false;
}

/* AB_VERIFY_AARCH64, or beside this program: where the build puts it. */
static bool find_tool(char path[PATH_MAX])
{
    static const char *const places[] = {"arm64/attrbench-verify", "attrbench-verify-aarch64"};
    const char *given = getenv("AB_VERIFY_AARCH64");
    char self[PATH_MAX];
    if (given && *given) {
        snprintf(path, PATH_MAX, "%s", given);
        return access(path, R_OK) == 0;
    }
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) return false;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int n = snprintf(path, PATH_MAX, "%s/%s", self, places[i]);
        if (n < PATH_MAX && access(path, R_OK) == 0) return true;
    }
    return false;
}

/* NULL, or why it cannot be started. */
static const char *missing(char tool[PATH_MAX])
{
    if (!in_path(EMULATOR)) return "qemu-aarch64 is not installed (Debian: qemu-user)";
    if (access("/usr/aarch64-linux-gnu/lib", X_OK) != 0)
        return "no libraries of AArch64 (Debian: libc6-dev-arm64-cross)";
    if (!find_tool(tool))
        return "attrbench-verify for AArch64 is not built: cmake --build DIR --target verify_arm64";
    return NULL;
}

/* ---- its lines ---- */

struct reading {
    struct ab_verify_session *session;
    long jobs, reported;
    bool done;
    struct ab_outcome last; /* of the last outcome */
    struct ab_error error;
};

static int field_count(char *line, char *fields[], int most)
{
    int n = 0;
    for (char *p = line; n < most;) {
        fields[n++] = p;
        p = strchr(p, '\t');
        if (!p) break;
        *p++ = '\0';
    }
    return n;
}

static bool parse_outcome(char *const f[], struct ab_outcome *o)
{
    char *end[4];
    *o = (struct ab_outcome){.kind = AB_OUTCOME_KINDS, .check = AB_CHECKS};
    for (int k = 0; k < AB_OUTCOME_KINDS; k++)
        if (!strcmp(f[2], ab_outcome_name((enum ab_outcome_kind)k)))
            o->kind = (enum ab_outcome_kind)k;
    for (int k = 0; k < AB_CHECKS; k++)
        if (!strcmp(f[3], ab_check_name((enum ab_check)k))) o->check = (enum ab_check)k;
    o->ratio = strtod(f[4], &end[0]);
    o->sharp = strtod(f[5], &end[1]);
    o->elements = strtol(f[6], &end[2], 10);
    o->undetermined = strtol(f[7], &end[3], 10);
    snprintf(o->why, sizeof o->why, "%s", f[9]);
    for (int i = 0; i < 4; i++)
        if (*end[i]) return false;
    return o->kind != AB_OUTCOME_KINDS && o->check != AB_CHECKS;
}

static struct ab_verify_row *row_named(struct ab_tally *t, const char *name)
{
    for (int i = 0; i < t->count; i++)
        if (!strcmp(t->rows[i].name, name)) return &t->rows[i];
    return NULL;
}

static bool take_line(struct reading *r, char *line)
{
    char *f[10];
    line[strcspn(line, "\n")] = '\0';
    const int n = field_count(line, f, 10);
    struct ab_tally *tally = &r->session->tally;
    if (n == 4 && !strcmp(f[0], "candidate")) return ab_tally_row(tally, f[1], f[2], f[3]) != NULL;
    if (n == 2 && !strcmp(f[0], "done")) return r->done = true;
    if (n == 2 && !strcmp(f[0], "jobs")) {
        r->jobs = strtol(f[1], NULL, 10);
        ab_progress_start((double)(r->jobs ? r->jobs : 1), false);
        ab_progress_step(0, "%ld cases under %s", r->jobs, EMULATOR);
        return true;
    }
    struct ab_verify_row *row = n == 10 ? row_named(tally, f[1]) : NULL;
    if (!row || strcmp(f[0], "outcome") != 0 || !parse_outcome(f, &r->last)) return false;
    ab_tally_add(row, f[8], &r->last);
    r->reported++;
    ab_progress_step(1, "%ld of %ld cases, %s under %s", r->reported, r->jobs, f[1], EMULATOR);
    if (r->last.kind == AB_OUTCOME_FAIL && r->session->settings->fail_fast)
        r->session->stopped = true;
    return true;
}

static bool read_lines(struct reading *r, FILE *f)
{
    char line[2048];
    while (!ab_interrupted && !r->session->stopped && fgets(line, sizeof line, f))
        if (!take_line(r, line)) {
            ab_fail(&r->error, AB_ERR_FORMAT,
                    "%s: attrbench-verify says what nobody expects: "
                    "'%.80s'; build target verify_arm64 anew",
                    ROW, line);
            return false;
        }
    return true;
}

/* ---- the process ---- */

static pid_t start(char *const argv[], int *out)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0) return -1;
    int bad = posix_spawn_file_actions_init(&actions);
    if (!bad) {
        bad = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (!bad) bad = posix_spawn_file_actions_addclose(&actions, ends[0]);
        if (!bad) bad = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    *out = ends[0];
    if (!bad) return pid;
    close(ends[0]);
    errno = bad;
    return -1;
}

/* Runs the program with `words` and reads all it says. */
static enum ab_status converse(struct reading *r, char *const words[], struct ab_error *err)
{
    int out, status = 0;
    const pid_t pid = start(words, &out);
    if (pid < 0)
        return ab_fail(err, AB_ERR_IO, "%s: cannot be started: %s", words[0], strerror(errno));
    FILE *f = fdopen(out, "r");
    const bool good = f && read_lines(r, f);
    ab_progress_end();
    if (!r->done) kill(pid, SIGTERM);
    if (f)
        fclose(f);
    else
        close(out);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (ab_interrupted || r->session->stopped) return AB_OK;
    if (!good)
        return ab_fail(err, AB_ERR_FORMAT, "%s",
                       *r->error.text ? r->error.text : "out of memory for what qemu says");
    if (r->done && WIFEXITED(status) && WEXITSTATUS(status) == 0) return AB_OK;
    return ab_fail(err, AB_ERR_IO, "%s: attrbench-verify stopped after %ld of %ld cases", ROW,
                   r->reported, r->jobs);
}

/* ---- requests ---- */

enum { MOST_WORDS = 256, WORD = 200 };

struct words {
    char text[MOST_WORDS][WORD];
    char *argv[MOST_WORDS + 1];
    int count;
    bool overflow;
};

static void add(struct words *w, const char *key, const char *value)
{
    w->overflow = w->overflow || w->count == MOST_WORDS || strlen(key) + strlen(value) >= WORD;
    if (w->overflow) return;
    snprintf(w->text[w->count], WORD, "%s%s", key, value);
    w->argv[w->count] = w->text[w->count];
    w->argv[++w->count] = NULL;
}

static void add_number(struct words *w, const char *key, long long value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    add(w, key, text);
}

static void start_words(struct words *w, char *tool)
{
    static const char *const start[] = {EMULATOR, "-cpu", "cortex-a72", "-L",
                                        "/usr/aarch64-linux-gnu"};
    for (size_t i = 0; i < sizeof start / sizeof *start; i++) add(w, start[i], "");
    w->argv[w->count] = tool;
    w->argv[++w->count] = NULL;
}

static void fill_words(struct words *w, const struct ab_verify_session *s)
{
    const struct ab_verify_request *r = &s->request;
    add(w, "run", "");
    add(w, "isa=", "neon");
    add(w, MOST, "");
    add_number(w, "workers=", s->workers);
    add_number(w, "seconds=", SECONDS);
    for (int i = 0; i < r->ops.count; i++) add(w, "op=", r->ops.items[i]);
    for (int i = 0; i < r->shapes.count; i++) add(w, "shape=", r->shapes.items[i]);
    if (r->fill == AB_FILL_FILE) add(w, "fill=", r->file);
    if (r->fill >= 0 && r->fill != AB_FILL_FILE)
        add(w, "fill=", ab_fill_name((enum ab_fill)r->fill));
    if (r->has_exponent) add_number(w, "exponent=", r->exponent);
    if (r->has_seed) add_number(w, "seed=", (long long)r->seed);
}

enum ab_status ab_verify_emulated(struct ab_verify_session *s, struct ab_error *err)
{
    char tool[PATH_MAX];
    const char *why = missing(tool);
    if (why)
        return ab_tally_skip(&s->tally, ROW, why)
                   ? AB_OK
                   : ab_fail(err, AB_ERR_MEMORY, "out of memory for the table");
    struct words *w = calloc(1, sizeof *w);
    if (!w) return ab_fail(err, AB_ERR_MEMORY, "out of memory for what qemu is told");
    struct reading r = {.session = s};
    start_words(w, tool);
    fill_words(w, s);
    const enum ab_status status =
        w->overflow ? ab_fail(err, AB_ERR_ARG,
                              "verify: --isa: at most %d shapes and patterns of %d "
                              "characters under %s; ask for fewer at a time",
                              MOST_WORDS - 32, WORD - 8, EMULATOR)
                    : converse(&r, w->argv, err);
    s->left_out += r.jobs - r.reported;
    free(w);
    return status;
}

int ab_verify_repro_emulated(struct ab_verify_session *s, const char *line)
{
    char tool[PATH_MAX], name[96], *words[12];
    char dump[PATH_MAX];
    const char *why = missing(tool);
    struct ab_error err;
    if (why) return ab_complain(AB_EXIT_ERROR, "--repro: %s", why);
    const size_t length = strcspn(line, " ");
    snprintf(name, sizeof name, "%.*s", (int)length, line);
    char *trial = strdup(line + length + strspn(line + length, " "));
    struct words *w = calloc(1, sizeof *w);
    int code = AB_EXIT_ERROR;
    if (trial && w) {
        int n = 0;
        start_words(w, tool);
        for (; w->argv[n]; n++) words[n] = w->argv[n];
        words[n++] = "repro";
        words[n++] = name;
        words[n++] = trial;
        snprintf(dump, sizeof dump, "dump=%s", s->settings->dump ? s->settings->dump : "");
        if (s->settings->dump) words[n++] = dump;
        words[n] = NULL;
        struct reading r = {.session = s};
        if (converse(&r, words, &err) != AB_OK)
            ab_complain(code, "%s", err.text);
        else
            ab_verify_tell(s->talk, &r.last, s->settings->dump),
                code = r.last.kind == AB_OUTCOME_FAIL ? AB_EXIT_DISAGREE : AB_EXIT_OK;
    } else
        ab_complain(code, "out of memory for what qemu is told");
    free(trial);
    free(w);
    return code;
}
