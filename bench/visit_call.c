// SPDX-License-Identifier: Apache-2.0
// The process that serves a visit, from the side that asks: started, told, listened to, ended.
#include "visit_inside.h"

#include "run.h"
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const double PATIENCE = 300;
/* How long a document may take once the user has lost patience. */
static const double INTERRUPTED_SECONDS = 2;
/* Two million times of at most twenty digits are less. */
static const size_t LONGEST = (size_t)64 << 20;
/* What it says about a turn is less by far. */
static const size_t LONGEST_LINE = (size_t)1 << 20;

/* ---- telling ---- */

static void say(struct ab_call *c, const char *text)
{
    const size_t length = strlen(text);
    for (size_t sent = 0; sent < length;) {
        const ssize_t now = send(c->child.stream, text + sent, length - sent, MSG_NOSIGNAL);
        if (now < 0 && errno == EINTR) continue;
        /* Why it does not listen is told by how it ended. */
        if (now <= 0) return;
        sent += (size_t)now;
    }
}

enum ab_status ab_call_start(struct ab_call *c, const struct ab_visit_options *o,
                             struct ab_error *err)
{
    char deploy[AB_DEPLOY_TEXT];
    const double born_ns = ab_now_ns();
    *c = (struct ab_call){.child = {.stream = -1, .errors = -1}};
    c->patience = o->patience > 0 ? o->patience : PATIENCE;
    ab_deploy_text(o->deploy, deploy);
    snprintf(c->what, sizeof c->what, "serving %.60s by %.100s", o->model, deploy);
    const enum ab_status status = ab_child_start(&c->child, o->program, "serve", err);
    if (status != AB_OK) return status;
    json_t *json = ab_visit_options_json(o, born_ns);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (!text)
        return ab_fail(err, AB_ERR_ARG, "%s: its names are no UTF-8 text, or there is no memory",
                       c->what);
    say(c, text);
    say(c, "\n");
    free(text);
    return AB_OK;
}

/* ---- listening ---- */

static bool make_room(struct ab_call *c)
{
    if (c->size - c->length > 65536) return true;
    const size_t size = c->size ? 2 * c->size : (size_t)1 << 18;
    char *grown = size <= LONGEST ? realloc(c->text, size) : NULL;
    if (!grown) return false;
    c->text = grown;
    c->text[c->length] = '\0';
    c->size = size;
    return true;
}

/* Asks it, once, to end with what there is. */
static void hurry(struct ab_call *c, double *until)
{
    if (c->hurried || !ab_interrupted) return;
    c->hurried = true;
    kill(c->child.pid, SIGTERM);
    *until = ab_now_ns() + INTERRUPTED_SECONDS * 1e9;
}

/* Of what it said: a line that says something is whole. */
static bool has_line(const struct ab_call *c)
{
    const size_t signs = c->text ? strspn(c->text, " \r\n\t") : 0;
    return c->text && strchr(c->text + signs, '\n');
}

/* Everything that it says, up to the end of its output, or of a line. */
static enum ab_status listen_to(struct ab_call *c, bool line, struct ab_error *err)
{
    double until = ab_now_ns() + (c->hurried ? INTERRUPTED_SECONDS : c->patience) * 1e9;
    while (!line || !has_line(c)) {
        if (!make_room(c) || (line && !c->hurried && c->length > LONGEST_LINE))
            return ab_fail(err, AB_ERR_INTERNAL, "%s: it talks without end, or there is no memory",
                           c->what);
        hurry(c, &until);
        const double left = (until - ab_now_ns()) / 1e6;
        if (left <= 0)
            return ab_fail(err, AB_ERR_INTERNAL,
                           "%s: no sign of life for %.3g s; give it longer, or fewer images a plan",
                           c->what, c->patience);
        struct pollfd ready = {.fd = c->child.stream, .events = POLLIN};
        if (poll(&ready, 1, (int)fmin(left + 1, 100)) <= 0) continue;
        const ssize_t got = read(c->child.stream, c->text + c->length, c->size - c->length - 1);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) break;
        if (got > 0) c->text[c->length += (size_t)got] = '\0';
        if (got > 0 && !c->hurried) until = ab_now_ns() + c->patience * 1e9;
    }
    return AB_OK;
}

/* Takes the line off that was read. */
static void drop_line(struct ab_call *c)
{
    const char *begin = c->text + strspn(c->text, " \r\n\t"), *end = strchr(begin, '\n');
    c->length = end ? c->length - (size_t)(end + 1 - c->text) : 0;
    if (end) memmove(c->text, end + 1, c->length);
    c->text[c->length] = '\0';
}

/* It left no document. */
static enum ab_status tell_end(struct ab_call *c, struct ab_error *err)
{
    char said[200];
    int status = 0;
    const bool ended = ab_child_reap(&c->child, 1, &status);
    ab_child_complaint(&c->child, said, sizeof said);
    const char *colon = *said ? ": " : "";
    const char *text = c->text + strspn(c->text, " \r\n\t");
    if (ended && WIFSIGNALED(status))
        return ab_fail(err, AB_ERR_INTERNAL, "%s: killed by signal %d (%s)%s%s%s", c->what,
                       WTERMSIG(status), strsignal(WTERMSIG(status)),
                       WTERMSIG(status) == SIGKILL ? ", as the system does when memory runs out"
                                                   : "",
                       colon, said);
    if (*text)
        return ab_fail(err, AB_ERR_INTERNAL, "%s: no document of an attrbench: '%.*s'%s%s", c->what,
                       (int)fmin(60, (double)strcspn(text, "\r\n")), text, colon, said);
    if (ended)
        return ab_fail(err, AB_ERR_INTERNAL, "%s: ended with code %d and said nothing%s%s", c->what,
                       WEXITSTATUS(status), colon, said);
    return ab_fail(err, AB_ERR_INTERNAL, "%s: closed its output and said nothing%s%s", c->what,
                   colon, said);
}

/* The error of a document, if it is one of an error. */
static enum ab_status read_error(struct ab_call *c, const json_t *json, struct ab_error *err)
{
    const json_t *error = json_object_get(json, "error");
    const json_int_t status = json_integer_value(json_object_get(error, "status"));
    const char *text = json_string_value(json_object_get(error, "text"));
    if (text && status > AB_OK && status <= AB_ERR_INTERNAL)
        return ab_fail(err, (enum ab_status)status, "%s: %s", c->what, text);
    return error || !json ? tell_end(c, err) : AB_OK;
}

static enum ab_status wrong(const struct ab_call *c, const char *key, struct ab_error *err)
{
    return ab_fail(err, AB_ERR_INTERNAL, "%s: '%s' of its document is missing or wrong", c->what,
                   key);
}

enum ab_status ab_call_turn(struct ab_call *c, struct ab_turn *turn, struct ab_error *err)
{
    *turn = (struct ab_turn){0};
    say(c, "turn\n");
    enum ab_status status = listen_to(c, true, err);
    if (status != AB_OK) return status;
    json_t *json = json_loads(c->text, JSON_DISABLE_EOF_CHECK, NULL);
    const bool told = json_object_get(json, "turn");
    const char *bad = json && !json_object_get(json, "error") ? ab_turn_read(json, turn) : NULL;
    /* What it says when it is to end is not about a turn. */
    if (told || !c->hurried) status = read_error(c, json, err);
    if (status == AB_OK && bad && (told || !c->hurried)) status = wrong(c, bad, err);
    json_decref(json);
    if (told) drop_line(c);
    return status;
}

enum ab_status ab_call_finish(struct ab_call *c, struct ab_visit *v, struct ab_error *err)
{
    shutdown(c->child.stream, SHUT_WR);
    enum ab_status status = listen_to(c, false, err);
    if (status != AB_OK) return status;
    json_t *json = json_loads(c->text, 0, NULL);
    const char *bad = json && !json_object_get(json, "error") ? ab_visit_read(json, v) : NULL;
    status = read_error(c, json, err);
    if (status == AB_OK && bad) status = wrong(c, bad, err);
    json_decref(json);
    return status;
}

void ab_call_end(struct ab_call *c, bool by_itself)
{
    if (!by_itself) ab_child_kill(&c->child);
    ab_child_close(&c->child);
    free(c->text);
    *c = (struct ab_call){.child = {.stream = -1, .errors = -1}};
}
