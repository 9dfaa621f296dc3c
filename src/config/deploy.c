// SPDX-License-Identifier: Apache-2.0
// Knobs: which values can be, and making a thread an instance.
#include "config/inside.h"

#include "plan/plan.h"

#include <errno.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ab_algo_words[2] = {"auto", "direct"};
const char *const ab_memory_words[2] = {"fast", "lean"};
const char *const ab_pages_words[2] = {"huge", "small"};
const char *const ab_denormals_words[2] = {"keep", "flush"};
const char *const ab_place_words[3] = {"cores", "smt", "free"};

const char *ab_place_name(enum ab_place place)
{
    return ab_place_words[place];
}

/* ---- values ---- */

static enum ab_status check_words(const struct ab_deploy *d, struct ab_error *err)
{
    const struct {
        const char *name;
        int value, count;
    } words[] = {{"algo", (int)d->algo, 2},
                 {"memory", (int)d->memory, 2},
                 {"pages", (int)d->pages, 2},
                 {"denormals", (int)d->denormals, 2},
                 {"place", (int)d->place, 3}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].value < 0 || words[i].value >= words[i].count)
            return ab_fail(err, AB_ERR_ARG, "%s: %d is none of its %d values", words[i].name,
                           words[i].value, words[i].count);
    return AB_OK;
}

static enum ab_status check_counts(const struct ab_deploy *d, struct ab_error *err)
{
    const struct {
        const char *name;
        int value, most;
    } counts[] = {{"threads", d->threads, AB_DEPLOY_MAX_CPUS},
                  {"instances", d->instances, AB_DEPLOY_MAX_CPUS},
                  {"batch", d->batch, AB_DEPLOY_MAX_BATCH}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].value < 1 || counts[i].value > counts[i].most)
            return ab_fail(err, AB_ERR_ARG, "%s: %d is outside 1..%d", counts[i].name,
                           counts[i].value, counts[i].most);
    if (d->threads * d->instances > AB_DEPLOY_MAX_CPUS)
        return ab_fail(err, AB_ERR_ARG, "threads: %d for each of %d instances are more than %d",
                       d->threads, d->instances, AB_DEPLOY_MAX_CPUS);
    return AB_OK;
}

static enum ab_status check_cpus(const struct ab_deploy *d, struct ab_error *err)
{
    bool taken[CPU_SETSIZE] = {false};
    if (d->place == AB_PLACE_FREE) {
        if (!d->cpus) return AB_OK;
        return ab_fail(err, AB_ERR_ARG, "cpus: place=free binds to none; leave them out");
    }
    if (!d->cpus)
        return ab_fail(err, AB_ERR_ARG, "cpus: place=%s needs one for each thread",
                       ab_place_words[d->place]);
    for (int i = 0; i < d->threads * d->instances; i++) {
        const int cpu = d->cpus[i];
        if (cpu < 0 || cpu >= CPU_SETSIZE)
            return ab_fail(err, AB_ERR_ARG, "cpus: %d is outside 0..%d", cpu, CPU_SETSIZE - 1);
        if (taken[cpu])
            return ab_fail(err, AB_ERR_ARG, "cpus: %d is there twice; each thread needs its own",
                           cpu);
        taken[cpu] = true;
    }
    return AB_OK;
}

enum ab_status ab_deploy_check_values(const struct ab_deploy *d, struct ab_error *err)
{
    if (!memchr(d->backend, '\0', sizeof d->backend) || !d->backend[0])
        return ab_fail(err, AB_ERR_ARG, "backend: is no name");
    enum ab_status status = check_words(d, err);
    if (!status) status = check_counts(d, err);
    if (!status) status = check_cpus(d, err);
    return status;
}

enum ab_status ab_deploy_check(const struct ab_deploy *d, struct ab_error *err)
{
    struct ab_error why = {""};
    enum ab_status status = ab_deploy_check_values(d, err);
    if (status) return status;
    status = ab_backend_known(d->backend, &why);
    if (status) return ab_fail(err, status, "backend: %s", why.text);
    if (d->place == AB_PLACE_FREE) return AB_OK;
    for (int i = 0; i < d->threads * d->instances; i++) {
        char list[128];
        if (ab_cpu_allowed(d->cpus[i])) continue;
        ab_cpu_list(list, sizeof list);
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "cpus: this process may not use CPU %d, only %s; start it without that "
                       "limit (taskset, cgroup), or choose among these",
                       d->cpus[i], list);
    }
    return AB_OK;
}

void ab_deploy_text(const struct ab_deploy *d, char text[AB_DEPLOY_TEXT])
{
    snprintf(text, AB_DEPLOY_TEXT, "%s %s %s %dx%d batch=%d %s %s %s", d->backend,
             ab_algo_words[d->algo], ab_memory_words[d->memory], d->threads, d->instances, d->batch,
             ab_place_words[d->place], ab_pages_words[d->pages], ab_denormals_words[d->denormals]);
}

struct ab_plan_options ab_deploy_options(const struct ab_deploy *d)
{
    return (struct ab_plan_options){.backend = d->backend,
                                    .batch = d->batch,
                                    .threads = d->threads,
                                    .algo = d->algo,
                                    .memory = d->memory,
                                    .pages = d->pages};
}

bool ab_deploy_copy(const struct ab_deploy *d, struct ab_deploy *copy)
{
    *copy = *d;
    if (!d->cpus) return true;
    const size_t bytes = (size_t)d->threads * (size_t)d->instances * sizeof *d->cpus;
    copy->cpus = malloc(bytes);
    if (copy->cpus) memcpy(copy->cpus, d->cpus, bytes);
    return copy->cpus;
}

void ab_deploy_free(struct ab_deploy *d)
{
    free(d->cpus);
    d->cpus = NULL;
}

/* ---- entering ---- */

/* 0, or why the calling thread cannot be bound. */
static int bind_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

/* Binds the team; each worker itself, since the runtime hands the same ones to all later regions of
 * this size that the thread begins. */
static enum ab_status bind_team(const int *cpus, int threads, struct ab_error *err)
{
    int bound = 0, failed = -1, why = 0;
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(+ : bound)                    \
    reduction(max : failed, why)
    {
        const int cpu = cpus[omp_get_thread_num()];
        why = bind_to(cpu);
        bound += !why;
        if (why) failed = cpu;
    }
    if (why)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "CPU %d: a thread cannot be bound to it: %s; it may be offline, or not this "
                       "container's",
                       failed, strerror(why));
    if (bound < threads)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "OpenMP gives %d of %d threads; unset OMP_THREAD_LIMIT and OMP_DYNAMIC",
                       bound, threads);
    return AB_OK;
}

enum ab_status ab_deploy_enter(const struct ab_deploy *d, int instance, struct ab_error *err)
{
    if (instance < 0 || instance >= d->instances)
        return ab_fail(err, AB_ERR_ARG, "instance %d: the configuration has %d, from 0", instance,
                       d->instances);
    ab_cpu_allowed(0); /* before threads are bound */
    if (d->place != AB_PLACE_FREE) {
        const enum ab_status status =
            bind_team(d->cpus + (size_t)instance * (size_t)d->threads, d->threads, err);
        if (status) return status;
    }
    ab_denormals_set_all(d->denormals, d->threads);
    return AB_OK;
}
