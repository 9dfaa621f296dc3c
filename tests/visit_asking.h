// SPDX-License-Identifier: Apache-2.0
// Visits as tests ask for them: of `digits`, by attrbench itself or by a script in its place.
#ifndef AB_TESTS_VISIT_ASKING_H
#define AB_TESTS_VISIT_ASKING_H

#include "bench/visit_inside.h"
#include "first_child.h"
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether it is there to be started. */
static inline const char *command(void)
{
    const char *program = getenv("AB_COMMAND");
    return program && access(program, X_OK) == 0 ? program : NULL;
}

static const struct ab_deploy usual = {
    .backend = "native", .place = AB_PLACE_FREE, .threads = 1, .instances = 1, .batch = 1};

/* `digits` with one thread for a fifth of a second; what is left to say is the load. */
static inline struct ab_visit_options asking(const struct ab_deploy *deploy, const char *load)
{
    struct ab_visit_options o = {.program = command(),
                                 .model = "digits",
                                 .method = "lrp-zplus",
                                 .deploy = deploy,
                                 .seconds = 0.2,
                                 .confidence = 0.99,
                                 .seed = 11,
                                 .patience = 60};
    struct ab_error err;
    CHECK(ab_load_shape_parse(load, &o.load, &err) == AB_OK, "%s", err.text);
    return o;
}

static inline struct ab_visit visited(const struct ab_visit_options *o)
{
    struct ab_visit v;
    struct ab_error err;
    char load[64], deploy[AB_DEPLOY_TEXT];
    ab_load_shape_text(&o->load, load, sizeof load);
    ab_deploy_text(o->deploy, deploy);
    context("%s %s", deploy, load);
    CHECK(ab_visit(o, &v, &err) == AB_OK, "%s", err.text);
    return v;
}

static inline void check_facts(const struct ab_visit *v)
{
    CHECK(v->requests > 0 && v->executions > 0 && v->images_per_s > 0, "%d requests, %d executions",
          v->requests, v->executions);
    for (int i = 0; i < v->requests; i++) CHECK(v->latency_ns[i] > 0, "latency %d", i);
    for (int i = 0; i < v->executions; i++) CHECK(v->service_ns[i] > 0, "service %d", i);
    CHECK(v->load_ns > 0 && v->setup_ns > 0 && v->first_ns > 0, "parts of the start");
    CHECK(v->start_ns >= v->load_ns + v->setup_ns + v->first_ns, "a start of %g", v->start_ns);
    CHECK(v->wall_s * 1e9 > v->start_ns + v->seconds * 1e9, "%g s in all", v->wall_s);
    CHECK(v->resident_bytes > 1e6 && v->peak_bytes >= v->resident_bytes, "%g of %g bytes",
          v->resident_bytes, v->peak_bytes);
    CHECK(v->planned_bytes > 1e3 && v->planned_bytes < v->peak_bytes, "%g planned",
          v->planned_bytes);
    CHECK(v->map_hash && !v->unequal && v->subnormals >= 0, "maps");
}

static inline void refused(const struct ab_visit_options *o, const char *word)
{
    struct ab_visit v;
    struct ab_error err;
    context("%s %s, for '%s'", o->model, o->method, word);
    CHECK(ab_visit(o, &v, &err) != AB_OK, "visited");
    CHECK(strstr(err.text, word) && !strchr(err.text, '\n'), "'%s' is not in: %s", word, err.text);
    CHECK(!v.latency_ns && !v.requests, "it leaves latencies");
}

/* ---- in its place ---- */

static char path[96];
static int scripts;

static inline void name_script(int number)
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.60s/ab-serve-%d-%d", folder && *folder ? folder : "/tmp",
             (int)getpid(), number);
}

static inline void remove_scripts(void)
{
    for (int i = 0; i < scripts; i++) {
        name_script(i);
        unlink(path);
    }
}

/* A script that serves in its own way. Its name is good until the next. */
static inline const char *script(const char *body)
{
    if (!scripts) atexit(remove_scripts);
    name_script(scripts++);
    FILE *f = fopen(path, "w");
    CHECK(f, "%s cannot be written", path);
    fprintf(f, "#!/bin/sh\n%s\n", body);
    fclose(f);
    CHECK(chmod(path, 0755) == 0, "%s cannot be made a program", path);
    return path;
}

/* ---- ends ---- */

/* What a thread does to the process that serves, a second and a half after it was started. */
static int signal_to_send;

static inline void *interfere(void *user)
{
    const int child = first_child();
    usleep(1500000);
    if (signal_to_send && child) kill(child, signal_to_send);
    /* By the thread that looks whether it was interrupted, as there is but one in the command. */
    if (!signal_to_send) pthread_kill(*(const pthread_t *)user, SIGINT);
    return NULL;
}

#endif
