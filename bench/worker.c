// SPDX-License-Identifier: Apache-2.0
// Workers from the side of those that start them. Nothing that a worker does may harm: it may be
// another program, die, hang, or talk without end.
#include "worker.h"

#include "child.h"
#include "command.h"
#include "run.h"
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The longest answer: records of a thousand steps are 1 MB. */
static const size_t LONGEST = (size_t)16 << 20;
static const double FIRST_SECONDS = 20, LATER_SECONDS = 300;
/* The reference of a large network takes minutes; some of its methods take it a hundred times. */
static const double JUDGED_TIMES = 6;
/* How long an answer may take once the user has lost patience. */
static const double INTERRUPTED_SECONDS = 2;

struct ab_worker {
    struct ab_child child;
    char doing[96]; /* the request at hand */
    bool dead;
    char why[sizeof((struct ab_error *)0)->text];
    double first_seconds, later_seconds;
    char *text; /* what has been read: [from, to) is not consumed yet */
    size_t from, to, size;
    json_t *context;
    double *parts;
    int n_parts, most_parts;
};

/* ---- its end ---- */

/* Its last words: what is said from now on, whatever is asked. */
__attribute__((format(printf, 3, 4))) static enum ab_status die(struct ab_worker *w,
                                                                struct ab_error *err,
                                                                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof w->why, format, args);
    va_end(args);
    w->dead = true;
    ab_child_kill(&w->child);
    return ab_fail(err, AB_ERR_INTERNAL, "%s", w->why);
}

/* End of its output. */
static enum ab_status tell_end(struct ab_worker *w, struct ab_error *err)
{
    char said[200];
    int status = 0;
    const bool ended = ab_child_reap(&w->child, 1, &status);
    ab_child_complaint(&w->child, said, sizeof said);
    const char *colon = *said ? ": " : "";
    if (ended && WIFSIGNALED(status))
        return die(w, err, "%s worker: killed by signal %d (%s) while it was to %s%s%s",
                   w->child.program, WTERMSIG(status), strsignal(WTERMSIG(status)), w->doing, colon,
                   said);
    if (ended)
        return die(w, err, "%s worker: ended with code %d while it was to %s%s%s", w->child.program,
                   WEXITSTATUS(status), w->doing, colon, said);
    return die(w, err, "%s worker: closed its output while it was to %s%s%s", w->child.program,
               w->doing, colon, said);
}

/* ---- lines ---- */

static bool grow(struct ab_worker *w)
{
    if (w->from) {
        memmove(w->text, w->text + w->from, w->to - w->from);
        w->to -= w->from;
        w->from = 0;
    }
    if (w->size - w->to >= 4096) return true;
    const size_t size = w->size ? 2 * w->size : (size_t)1 << 16;
    char *grown = size <= 2 * LONGEST ? realloc(w->text, size) : NULL;
    if (!grown) return false;
    w->text = grown;
    w->size = size;
    return true;
}

/* Reads on until there is a line, which ends with '\0' in its buffer. */
static enum ab_status read_line(struct ab_worker *w, double seconds, char **line,
                                struct ab_error *err)
{
    double until = ab_now_ns() + seconds * 1e9;
    size_t seen = w->from;
    bool hurried = false;
    for (;;) {
        char *end = w->to > seen ? memchr(w->text + seen, '\n', w->to - seen) : NULL;
        if (end) {
            *end = '\0';
            *line = w->text + w->from;
            w->from = (size_t)(end - w->text) + 1;
            return AB_OK;
        }
        if (w->to - w->from > LONGEST || !grow(w))
            return die(w, err, "%s worker: a line without end while it was to %s", w->child.program,
                       w->doing);
        seen = w->to;
        if (ab_interrupted && !hurried) {
            until = fmin(until, ab_now_ns() + INTERRUPTED_SECONDS * 1e9);
            hurried = true;
        }
        const double left = (until - ab_now_ns()) / 1e6;
        struct pollfd ready = {.fd = w->child.stream, .events = POLLIN};
        const int count = left > 0 ? poll(&ready, 1, (int)fmin(left + 1, 1000)) : 0;
        if (left <= 0)
            return die(w, err, "%s worker: silent for %.3g s while it was to %s", w->child.program,
                       hurried ? INTERRUPTED_SECONDS : seconds, w->doing);
        if (count <= 0) continue;
        const ssize_t got = read(w->child.stream, w->text + w->to, w->size - w->to);
        if (got > 0)
            w->to += (size_t)got;
        else if (got == 0 || (errno != EINTR && errno != EAGAIN))
            return tell_end(w, err);
    }
}

/* Sends a request and reads the answer: what follows "ok ". */
static enum ab_status ask(struct ab_worker *w, double seconds, const char *request, char **answer,
                          struct ab_error *err)
{
    char line[AB_CASE_KEY + 64];
    if (w->dead) return ab_fail(err, AB_ERR_INTERNAL, "%s", w->why);
    snprintf(w->doing, sizeof w->doing, "%.90s", request);
    const int length = snprintf(line, sizeof line, "%s\n", request);
    if (length >= (int)sizeof line)
        return ab_fail(err, AB_ERR_ARG, "case '%.60s...': longer than %d characters", request + 5,
                       AB_CASE_KEY - 1);
    for (int sent = 0; sent < length;) {
        const ssize_t now =
            send(w->child.stream, line + sent, (size_t)(length - sent), MSG_NOSIGNAL);
        if (now < 0 && errno == EINTR) continue;
        if (now <= 0) return tell_end(w, err);
        sent += (int)now;
    }
    const enum ab_status status = read_line(w, seconds, answer, err);
    if (status != AB_OK) return status;
    if (!strncmp(*answer, "ok ", 3)) return *answer += 3, AB_OK;
    if (strncmp(*answer, "error ", 6) != 0)
        return die(w, err, "%s worker: answered '%.60s' to '%.60s'", w->child.program, *answer,
                   w->doing);
    static const struct {
        const char *word;
        enum ab_status status;
    } words[] = {{"arg ", AB_ERR_ARG},
                 {"unsupported ", AB_ERR_UNSUPPORTED},
                 {"memory ", AB_ERR_MEMORY},
                 {"io ", AB_ERR_IO},
                 {"format ", AB_ERR_FORMAT}};
    const char *said = *answer + 6;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(said, words[i].word, strlen(words[i].word)))
            return ab_fail(err, words[i].status, "%s", said + strlen(words[i].word));
    return ab_fail(err, AB_ERR_INTERNAL, "%s", said);
}

/* ---- starting ---- */

static enum ab_status read_timeouts(struct ab_worker *w, struct ab_error *err)
{
    const char *text = getenv("ATTRBENCH_WORKER_TIMEOUT");
    w->first_seconds = FIRST_SECONDS;
    w->later_seconds = LATER_SECONDS;
    if (!text || !*text) return AB_OK;
    if (!ab_parse_seconds(text, &w->first_seconds))
        return ab_fail(err, AB_ERR_ARG,
                       "ATTRBENCH_WORKER_TIMEOUT: '%.40s' will not do; give a duration, such as "
                       "60s, or unset it",
                       text);
    w->later_seconds = w->first_seconds;
    return AB_OK;
}

static enum ab_status greet(struct ab_worker *w, struct ab_error *err)
{
    static const char hello[] = "attrbench worker ";
    char *line, said[200];
    int code = 0;
    snprintf(w->doing, sizeof w->doing, "say its version");
    const enum ab_status status = read_line(w, w->first_seconds, &line, err);
    if (status == AB_OK && !strncmp(line, hello, sizeof hello - 1)) {
        char *end;
        const long version = strtol(line + sizeof hello - 1, &end, 10);
        if (version == AB_WORKER_VERSION && !*end) return AB_OK;
        return die(w, err,
                   "%s worker: its protocol is '%.40s', this attrbench's is %d; build both from "
                   "sources that are closer",
                   w->child.program, line + sizeof hello - 1, AB_WORKER_VERSION);
    }
    if (status == AB_OK)
        return die(w, err, "%s: no attrbench: it says '%.60s'; give the path of one",
                   w->child.program, line);
    ab_child_complaint(&w->child, said, sizeof said);
    if (sscanf(w->why + strlen(w->child.program), " worker: ended with code %d", &code) == 1 &&
        code == AB_EXIT_USAGE && strstr(said, "unknown command 'worker'"))
        return die(w, err,
                   "%s: too old to be compared so: it has no workers; save a run of each "
                   "and compare those",
                   w->child.program);
    return status;
}

static enum ab_status read_context(struct ab_worker *w, struct ab_error *err)
{
    char *answer;
    const enum ab_status status = ask(w, w->first_seconds, "context", &answer, err);
    if (status != AB_OK) return status;
    w->context = json_loads(answer, 0, NULL);
    if (json_is_object(w->context)) return AB_OK;
    return die(w, err, "%s worker: its context is no JSON object", w->child.program);
}

static enum ab_status set_up(struct ab_worker *w, const char *program, struct ab_error *err)
{
    const enum ab_status status = read_timeouts(w, err);
    if (status != AB_OK) return status;
    return ab_child_start(&w->child, program, "worker", err);
}

enum ab_status ab_worker_start(const char *program, struct ab_worker **out, struct ab_error *err)
{
    struct ab_worker *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a worker");
    w->child = (struct ab_child){.stream = -1, .errors = -1};
    enum ab_status status = set_up(w, program, err);
    if (status == AB_OK) status = greet(w, err);
    if (status == AB_OK) status = read_context(w, err);
    if (status != AB_OK) {
        ab_worker_stop(&w);
        return status;
    }
    *out = w;
    return AB_OK;
}

void ab_worker_stop(struct ab_worker **w)
{
    if (!*w) return;
    ab_child_close(&(*w)->child);
    json_decref((*w)->context);
    free((*w)->parts);
    free((*w)->text);
    free(*w);
    *w = NULL;
}

const json_t *ab_worker_context(const struct ab_worker *w)
{
    return w->context;
}

bool ab_worker_lives(const struct ab_worker *w)
{
    return !w->dead;
}

/* ---- cases ---- */

static bool has_keys(const json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!json_is_string(json_object_get(json_array_get(rows, i), "key"))) return false;
    return json_array_size(rows) > 0;
}

enum ab_status ab_worker_open(struct ab_worker *w, const char *text, enum ab_cache cache,
                              json_t **rows, struct ab_error *err)
{
    char request[2 * AB_CASE_KEY], *answer;
    *rows = NULL;
    if (strpbrk(text, "\t\r\n"))
        return ab_fail(err, AB_ERR_ARG, "case '%.60s': tabs and line breaks will not do", text);
    snprintf(request, sizeof request, "open %s %s", cache == AB_CACHE_COLD ? "cold" : "hot", text);
    const enum ab_status status = ask(w, w->later_seconds, request, &answer, err);
    if (status != AB_OK) return status;
    *rows = json_loads(answer, 0, NULL);
    w->n_parts = (int)json_array_size(*rows) - 1;
    double *parts =
        has_keys(*rows) ? realloc(w->parts, ((size_t)w->n_parts + 1) * sizeof *parts) : NULL;
    if (parts) {
        w->parts = parts;
        return AB_OK;
    }
    const bool memory = has_keys(*rows);
    json_decref(*rows);
    *rows = NULL;
    if (memory) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the steps of '%.60s'", text);
    return die(w, err, "%s worker: its rows of '%.80s' are none", w->child.program, text);
}

enum ab_status ab_worker_judge(struct ab_worker *w, json_t **agreement, struct ab_error *err)
{
    char *answer;
    *agreement = NULL;
    const enum ab_status status = ask(w, JUDGED_TIMES * w->later_seconds, "judge", &answer, err);
    if (status != AB_OK) return status;
    *agreement = json_loads(answer, 0, NULL);
    if (json_is_string(json_object_get(*agreement, "verdict"))) return AB_OK;
    json_decref(*agreement);
    *agreement = NULL;
    return die(w, err, "%s worker: answered 'ok %.60s' to 'judge'", w->child.program, answer);
}

/* A number that a time can be; moves *text behind it. */
static bool read_time(char **text, double *ns)
{
    char *end;
    *ns = strtod(*text, &end);
    const bool good = end > *text && isfinite(*ns) && *ns >= 0;
    *text = end;
    return good;
}

static bool read_slice(const struct ab_worker *w, char *text, struct ab_slice *slice)
{
    double disturbed;
    *slice = (struct ab_slice){.parts = w->n_parts ? w->parts : NULL, .n_parts = w->n_parts};
    bool good = read_time(&text, &slice->ns) && slice->ns > 0 && read_time(&text, &disturbed);
    for (int i = 0; i < w->n_parts && good; i++) good = read_time(&text, &w->parts[i]);
    if (!good || *text) return false;
    slice->disturbed = disturbed > 0;
    return true;
}

static enum ab_status take(void *user, int calls, struct ab_slice *slice, struct ab_error *err)
{
    struct ab_worker *w = user;
    char request[40], *answer;
    snprintf(request, sizeof request, "slice %d", calls);
    const enum ab_status status = ask(w, w->later_seconds, request, &answer, err);
    if (status != AB_OK) return status;
    if (read_slice(w, answer, slice)) return AB_OK;
    return die(w, err, "%s worker: answered 'ok %.60s' to '%s'", w->child.program, answer, request);
}

struct ab_side ab_worker_side(struct ab_worker *w, const char *name)
{
    return (struct ab_side){.name = name, .slice = take, .user = w};
}
