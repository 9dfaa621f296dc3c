// SPDX-License-Identifier: Apache-2.0
// Visits from the side that asks for them: loads in words, and the process that serves.
#include "visit_inside.h"

#include "child.h"
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
#include <unistd.h>

static const double PATIENCE = 300;
/* How long a document may take once the user has lost patience. */
static const double INTERRUPTED_SECONDS = 2;
/* Two million times of at most twenty digits are less. */
static const size_t LONGEST = (size_t)64 << 20;
enum { MOST_STREAMS = 100000 };

/* ---- loads ---- */

static enum ab_status parse_streams(const char *text, const char *count, struct ab_load_shape *load,
                                    struct ab_error *err)
{
    const size_t digits = strspn(count, "0123456789");
    const long streams = digits && digits <= 6 && !count[digits] ? strtol(count, NULL, 10) : 0;
    if (streams < 1 || streams > MOST_STREAMS)
        return ab_fail(err, AB_ERR_ARG,
                       "load '%.40s': '%.20s' is no number of clients: 1 to %d, such as closed:4",
                       text, count, MOST_STREAMS);
    *load = (struct ab_load_shape){.kind = AB_LOAD_CLOSED, .streams = (int)streams};
    return AB_OK;
}

static enum ab_status parse_rate(const char *text, const char *count, struct ab_load_shape *load,
                                 struct ab_error *err)
{
    char *end;
    const double rate =
        *count >= '.' && *count <= '9' && !strpbrk(count, "xX") ? strtod(count, &end) : (double)NAN;
    if (!(rate >= 1e-3 && rate <= 1e6) || *end)
        return ab_fail(err, AB_ERR_ARG,
                       "load '%.40s': '%.20s' is no number of images a second: 0.001 to 1000000, "
                       "such as poisson:20",
                       text, count);
    *load = (struct ab_load_shape){.kind = AB_LOAD_POISSON, .rate = rate};
    return AB_OK;
}

enum ab_status ab_load_shape_parse(const char *text, struct ab_load_shape *load,
                                   struct ab_error *err)
{
    if (!strcmp(text, "closed")) {
        *load = (struct ab_load_shape){.kind = AB_LOAD_CLOSED};
        return AB_OK;
    }
    if (!strncmp(text, "closed:", 7)) return parse_streams(text, text + 7, load, err);
    if (!strncmp(text, "poisson:", 8)) return parse_rate(text, text + 8, load, err);
    return ab_fail(err, AB_ERR_ARG,
                   "load '%.40s': write closed, closed:N (N clients that each wait for their map) "
                   "or poisson:R (R images a second arrive at random)",
                   text);
}

void ab_load_shape_text(const struct ab_load_shape *load, char *text, size_t size)
{
    if (load->kind == AB_LOAD_POISSON)
        snprintf(text, size, "poisson:%.9g", load->rate);
    else if (load->streams)
        snprintf(text, size, "closed:%d", load->streams);
    else
        snprintf(text, size, "closed");
}

/* ---- the process ---- */

struct call {
    struct ab_child child;
    char what[200]; /* for messages */
    char *text;
    size_t length, size;
    bool hurried;
};

static enum ab_status send_options(struct call *c, const struct ab_visit_options *o, double born_ns,
                                   struct ab_error *err)
{
    json_t *json = ab_visit_options_json(o, born_ns);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(json);
    if (!text)
        return ab_fail(err, AB_ERR_ARG, "%s: its names are no UTF-8 text, or there is no memory",
                       c->what);
    const size_t length = strlen(text);
    for (size_t sent = 0; sent < length;) {
        const ssize_t now = send(c->child.stream, text + sent, length - sent, MSG_NOSIGNAL);
        if (now < 0 && errno == EINTR) continue;
        /* Why it does not listen is told by how it ended. */
        if (now <= 0) break;
        sent += (size_t)now;
    }
    free(text);
    shutdown(c->child.stream, SHUT_WR);
    return AB_OK;
}

static bool make_room(struct call *c)
{
    if (c->size - c->length > 65536) return true;
    const size_t size = c->size ? 2 * c->size : (size_t)1 << 18;
    char *grown = size <= LONGEST ? realloc(c->text, size) : NULL;
    if (!grown) return false;
    c->text = grown;
    c->size = size;
    return true;
}

/* Asks it, once, to end with what there is. */
static void hurry(struct call *c, double *until)
{
    if (c->hurried || !ab_interrupted) return;
    c->hurried = true;
    kill(c->child.pid, SIGTERM);
    *until = ab_now_ns() + INTERRUPTED_SECONDS * 1e9;
}

/* Everything that it says, up to the end of its output. */
static enum ab_status listen_to(struct call *c, double patience, struct ab_error *err)
{
    double until = ab_now_ns() + patience * 1e9;
    for (;;) {
        if (!make_room(c))
            return ab_fail(err, AB_ERR_INTERNAL, "%s: it talks without end, or there is no memory",
                           c->what);
        hurry(c, &until);
        const double left = (until - ab_now_ns()) / 1e6;
        if (left <= 0)
            return ab_fail(err, AB_ERR_INTERNAL,
                           "%s: no sign of life for %.3g s; give it longer, or fewer images a plan",
                           c->what, patience);
        struct pollfd ready = {.fd = c->child.stream, .events = POLLIN};
        if (poll(&ready, 1, (int)fmin(left + 1, 100)) <= 0) continue;
        const ssize_t got = read(c->child.stream, c->text + c->length, c->size - c->length - 1);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) break;
        if (got > 0) c->length += (size_t)got;
        if (got > 0 && !c->hurried) until = ab_now_ns() + patience * 1e9;
    }
    c->text[c->length] = '\0';
    return AB_OK;
}

/* It left no document. */
static enum ab_status tell_end(struct call *c, struct ab_error *err)
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

static enum ab_status read_document(struct call *c, struct ab_visit *v, struct ab_error *err)
{
    json_t *json = json_loads(c->text, 0, NULL);
    const json_t *error = json_object_get(json, "error");
    const json_int_t status = json_integer_value(json_object_get(error, "status"));
    const char *text = json_string_value(json_object_get(error, "text"));
    const char *bad = error || !json ? NULL : ab_visit_read(json, v);
    enum ab_status result = AB_OK;
    if (text && status > AB_OK && status <= AB_ERR_INTERNAL)
        result = ab_fail(err, (enum ab_status)status, "%s: %s", c->what, text);
    else if (!json || error)
        result = tell_end(c, err);
    else if (bad)
        result = ab_fail(err, AB_ERR_INTERNAL, "%s: '%s' of its document is missing or wrong",
                         c->what, bad);
    json_decref(json);
    return result;
}

static enum ab_status ask(struct call *c, const struct ab_visit_options *o, struct ab_visit *v,
                          struct ab_error *err)
{
    const double born_ns = ab_now_ns();
    enum ab_status status = ab_child_start(&c->child, o->program, "serve", err);
    if (status == AB_OK) status = send_options(c, o, born_ns, err);
    if (status == AB_OK) status = listen_to(c, o->patience > 0 ? o->patience : PATIENCE, err);
    if (status == AB_OK) status = read_document(c, v, err);
    return status;
}

enum ab_status ab_visit(const struct ab_visit_options *o, struct ab_visit *v, struct ab_error *err)
{
    struct call c = {.child = {.stream = -1, .errors = -1}};
    char text[AB_DEPLOY_TEXT];
    const double start = ab_now_ns();
    *v = (struct ab_visit){0};
    enum ab_status status = ab_deploy_check(o->deploy, err);
    if (status != AB_OK) return status;
    ab_deploy_text(o->deploy, text);
    snprintf(c.what, sizeof c.what, "serving %.60s by %.100s", o->model, text);
    if (!ab_interrupted) status = ask(&c, o, v, err);
    if (status != AB_OK) ab_child_kill(&c.child);
    ab_child_close(&c.child);
    free(c.text);
    if (status != AB_OK) ab_visit_free(v);
    /* Killed while it had nothing to tell yet. */
    if (ab_interrupted) status = AB_OK;
    v->wall_s = (ab_now_ns() - start) / 1e9 - v->judge_s;
    return status;
}

uint64_t ab_maps_hash(const float *maps, size_t floats, int batch, int images)
{
    const int distinct = batch < images ? batch : images;
    bool alike = true;
    for (int i = distinct; i < batch && alike; i++)
        alike = !memcmp(maps + (size_t)i * floats, maps + (size_t)(i % images) * floats,
                        floats * sizeof *maps);
    const int count = alike ? distinct : batch;
    return ab_hash((uint64_t)count, maps, (size_t)count * floats * sizeof *maps);
}

void ab_visit_free(struct ab_visit *v)
{
    free(v->latency_ns);
    free(v->service_ns);
    *v = (struct ab_visit){0};
}
