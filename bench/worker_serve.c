// SPDX-License-Identifier: Apache-2.0
// attrbench worker: the far side of worker.h's protocol.
#include "worker.h"

#include "command.h"
#include "pin.h"
#include "record.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests are shorter: a case and two words. */
enum { LINE = AB_CASE_KEY + 64 };

struct server {
    struct ab_machine machine;
    struct ab_pin *pin;
    int threads;    /* bound now; 0: none */
    char where[64]; /* and to what */
    struct ab_case *open;
    struct ab_side side;
    const char *slow, *wrong; /* ATTRBENCH_TEST_SLOW, ATTRBENCH_TEST_WRONG, or NULL */
};

/* ---- slowed and wrong on purpose ---- */

static const char SLOW[] = "ATTRBENCH_TEST_SLOW", WRONG[] = "ATTRBENCH_TEST_WRONG";

/* "PATTERN=SHARE" in text[0, length). */
static bool read_rule(const char *text, size_t length, char *pattern, size_t size, double *share)
{
    const char *equals = memchr(text, '=', length);
    char number[32], *end;
    if (!equals || equals == text || (size_t)(equals - text) >= size) return false;
    snprintf(pattern, size, "%.*s", (int)(equals - text), text);
    const size_t digits = length - (size_t)(equals - text) - 1;
    if (digits == 0 || digits >= sizeof number) return false;
    snprintf(number, sizeof number, "%.*s", (int)digits, equals + 1);
    *share = strtod(number, &end);
    return *number >= '.' && *number <= '9' && !*end && *share > 0 && *share <= 10;
}

enum ab_status ab_worker_share(const char *variable, const char *text, const char *name,
                               double *share, struct ab_error *err)
{
    char pattern[96];
    *share = 0;
    for (const char *rule = text; rule; rule = strchr(rule, ',') ? strchr(rule, ',') + 1 : NULL) {
        double value;
        if (!read_rule(rule, strcspn(rule, ","), pattern, sizeof pattern, &value))
            return ab_fail(err, AB_ERR_ARG,
                           "%s: '%.80s' will not do; give PATTERN=SHARE[,...], shares above 0 up "
                           "to 10 (0.03: 3 %%), or unset it",
                           variable, text);
        if (*share <= 0 && fnmatch(pattern, name, 0) == 0) *share = value;
    }
    return AB_OK;
}

/* Makes the open case what the environment wants it to be. */
static enum ab_status spoil(const struct server *s, struct ab_error *err)
{
    double slow, wrong;
    const char *name = ab_case_name(s->open);
    enum ab_status status = ab_worker_share(SLOW, s->slow, name, &slow, err);
    if (status == AB_OK) status = ab_worker_share(WRONG, s->wrong, name, &wrong, err);
    if (status != AB_OK) return status;
    ab_case_slow(s->open, slow);
    ab_case_wrong(s->open, wrong);
    return AB_OK;
}

/* What the variable says, NULL if nothing. */
static enum ab_status read_variable(const char *name, const char **text, struct ab_error *err)
{
    double share;
    *text = getenv(name);
    if (*text && !**text) *text = NULL;
    return ab_worker_share(name, *text, "", &share, err);
}

/* ---- answers ---- */

static const char *status_word(enum ab_status status)
{
    switch (status) {
    case AB_ERR_ARG: return "arg";
    case AB_ERR_UNSUPPORTED: return "unsupported";
    case AB_ERR_MEMORY: return "memory";
    case AB_ERR_IO: return "io";
    case AB_ERR_FORMAT: return "format";
    default: return "internal";
    }
}

static void refuse(enum ab_status status, const struct ab_error *err)
{
    printf("error %s %.*s\n", status_word(status), (int)strcspn(err->text, "\r\n"), err->text);
}

static void answer_json(json_t *value)
{
    fputs("ok ", stdout);
    if (!value || json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) != 0)
        fputs("null", stdout);
    fputc('\n', stdout);
    json_decref(value);
}

static void answer_context(const struct server *s)
{
    json_t *context = ab_context_json(&s->machine);
    if (context && s->slow) json_object_set_new(context, "test_slow", json_string(s->slow));
    if (context && s->wrong) json_object_set_new(context, "test_wrong", json_string(s->wrong));
    answer_json(context);
}

static void bind_threads(struct server *s, int threads)
{
    if (threads == s->threads) return;
    ab_pin_threads(s->pin, threads, s->where, sizeof s->where);
    s->threads = threads;
}

static json_t *rows_of(const struct server *s)
{
    const struct ab_case *c = s->open;
    json_t *rows = json_array();
    char key[AB_CASE_KEY];
    for (int i = 0; i < ab_case_rows(c); i++) {
        json_t *row = ab_case_record(c, i);
        ab_case_key(c, i, key);
        json_object_set_new(row, "key", json_string(key));
        json_object_set_new(row, "pinned", json_string(s->where));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void answer_open(struct server *s, const char *rest)
{
    struct ab_error err;
    const bool cold = !strncmp(rest, "cold ", 5);
    ab_case_close(&s->open);
    enum ab_status status = AB_OK;
    if (!cold && strncmp(rest, "hot ", 4) != 0)
        status = ab_fail(&err, AB_ERR_ARG, "open: write 'open hot CASE' or 'open cold CASE'");
    if (status == AB_OK) status = ab_case_open(rest + (cold ? 5 : 4), &s->open, &err);
    if (status == AB_OK) status = spoil(s, &err);
    if (status != AB_OK) {
        refuse(status, &err);
        return;
    }
    bind_threads(s, ab_case_threads(s->open));
    s->side = ab_case_side(s->open, cold ? AB_CACHE_COLD : AB_CACHE_HOT);
    answer_json(rows_of(s));
}

static void answer_slice(struct server *s, const char *rest)
{
    struct ab_error err;
    struct ab_slice slice = {0};
    char *end;
    const long calls = strtol(rest, &end, 10);
    enum ab_status status = AB_OK;
    if (!s->open)
        status = ab_fail(&err, AB_ERR_INTERNAL, "slice: no case is open");
    else if (*rest < '1' || *rest > '9' || *end || calls > 1000000000)
        status = ab_fail(&err, AB_ERR_ARG, "slice '%.40s': give a number of calls", rest);
    else
        status = s->side.slice(s->side.user, (int)calls, &slice, &err);
    if (status != AB_OK) {
        refuse(status, &err);
        return;
    }
    printf("ok %.17g %d", slice.ns, slice.disturbed);
    for (int i = 0; i < slice.n_parts; i++) printf(" %.17g", slice.parts[i]);
    putchar('\n');
}

/* The reference takes all cores; slices that follow find theirs again. */
static void answer_judge(struct server *s)
{
    struct ab_error err;
    struct ab_agreement agreement;
    enum ab_status status = AB_OK;
    if (!s->open) {
        status = ab_fail(&err, AB_ERR_INTERNAL, "judge: no case is open");
    } else {
        ab_pin_release(s->pin);
        status = ab_case_judge(s->open, s->machine.cores, &agreement, &err);
        s->threads = 0;
        bind_threads(s, ab_case_threads(s->open));
    }
    if (status != AB_OK) {
        refuse(status, &err);
        return;
    }
    json_t *said = json_object();
    if (said) ab_agreement_put(said, &agreement);
    answer_json(said);
}

/* False: no more. */
static bool answer(struct server *s, const char *line)
{
    struct ab_error err;
    if (!strcmp(line, "quit")) return false;
    if (!strcmp(line, "context")) {
        answer_context(s);
    } else if (!strncmp(line, "open ", 5)) {
        answer_open(s, line + 5);
    } else if (!strncmp(line, "slice ", 6)) {
        answer_slice(s, line + 6);
    } else if (!strcmp(line, "judge")) {
        answer_judge(s);
    } else {
        ab_fail(&err, AB_ERR_ARG, "'%.40s' is no request: context, open, slice, judge, quit", line);
        refuse(AB_ERR_ARG, &err);
    }
    return fflush(stdout) == 0;
}

/* A line without its end; false at the end of input. One that is too long is cut, which makes it no
 * request of any kind. */
static bool read_line(char line[LINE])
{
    int length = 0, c = getchar();
    if (c == EOF) return false;
    for (; c != EOF && c != '\n'; c = getchar()) {
        if (length == LINE - 1) line[0] = '?';
        if (length < LINE - 1) line[length++] = c ? (char)c : '?';
    }
    line[length] = '\0';
    return true;
}

int ab_worker_serve(void)
{
    char line[LINE];
    struct ab_error err;
    struct server s = {.threads = 0};
    if (read_variable(SLOW, &s.slow, &err) != AB_OK ||
        read_variable(WRONG, &s.wrong, &err) != AB_OK)
        return ab_complain_status(AB_ERR_ARG, &err);
    /* Whoever started this one decides when it ends: a Ctrl-C at the terminal is theirs. */
    signal(SIGINT, SIG_IGN);
    s.pin = ab_pin_create(&s.machine);
    bind_threads(&s, 1);
    printf("attrbench worker %d\n", AB_WORKER_VERSION);
    for (bool more = fflush(stdout) == 0; more;) more = read_line(line) && answer(&s, line);
    ab_case_close(&s.open);
    ab_pin_destroy(&s.pin);
    return AB_EXIT_OK;
}

static int run_command(void *settings, int argc, char **argv)
{
    (void)settings;
    (void)argc;
    (void)argv;
    return ab_worker_serve();
}

const struct ab_command ab_command_worker = {
    .name = "worker",
    .summary = "internal: times cases for `compare` and `gate`, told by lines on standard input",
    .usage = "",
    .more =
        "Started by other commands, of this build or of another. Requests, each answered by a line "
        "that\nbegins with ok or error:\n"
        "  context            what is measured on, as JSON\n"
        "  open hot CASE      sets a case up (cold: caches are emptied before each call); its rows "
        "as JSON\n"
        "  slice CALLS        ns of one call out of so many in a row, 1 if they were disturbed, ns "
        "of parts\n"
        "  judge              how right what the case computes is, as JSON\n"
        "  quit               or end of input\n\n"
        "A CASE is `kernel NAME TRIAL`, the trial as `attrbench verify` prints it, or\n"
        "`method MODEL SPEC BACKEND THREADS BATCH`.\n\n"
        "For tests of what judges times: ATTRBENCH_TEST_SLOW='PATTERN=SHARE[,PATTERN=SHARE]...' in "
        "the\nenvironment makes kernels and methods whose names fit a shell pattern slower by that "
        "share\n('conv2d_avx2*=0.03': 3 % slower), by waiting. ATTRBENCH_TEST_WRONG, of the same "
        "form, makes what they\ncompute larger by that share before it is judged. Whatever is "
        "measured so says so in its context.",
    .run = run_command,
};
