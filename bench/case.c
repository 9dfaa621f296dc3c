// SPDX-License-Identifier: Apache-2.0
// Cases: what kernels (case_kernel.c) and methods (case_method.c) have in common.
#include "case_inside.h"

#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ab_case_kind *const kinds[] = {&ab_case_kernel, &ab_case_method};

/* What caches hold is decided within a small part of such a call. */
static const double LONG_NS = 20e6;

/* ---- slices ---- */

static long last_level_bytes(void)
{
#ifdef _SC_LEVEL3_CACHE_SIZE
    const long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return l3 > 0 ? l3 : 0;
#else
    return 0;
#endif
}

/* Time during which the thread ran: what another one took in between does not count, as it does not
 * count in slices either. */
static void busy_wait(double ns)
{
    const double LOST_NS = 2000;
    double last = ab_now_ns();
    while (ns > 0) {
        const double now = ab_now_ns();
        if (now - last < LOST_NS) ns -= now - last;
        last = now;
    }
}

static bool times_parts(const struct ab_case *c)
{
    return c->n_parts && c->calls == 1;
}

/* Of several calls in a row no parts are timed: they are too short for clocks in between. */
static enum ab_status call(void *user, struct ab_error *err)
{
    struct ab_case *c = user;
    if (c->slow > 0 && c->done == 0) c->began_ns = ab_now_ns();
    const enum ab_status status =
        times_parts(c) ? c->kind->call_parts(c, err) : c->kind->call(c, err);
    if (++c->done == c->calls && c->slow > 0) busy_wait(c->slow * (ab_now_ns() - c->began_ns));
    return status;
}

/* Untimed, before a slice: caches are emptied, or filled by a call, which a long one does not need.
 * What is wrong with the call shows when it is timed. */
static void before(void *user)
{
    struct ab_case *c = user;
    if (c->cache == AB_CACHE_COLD)
        ab_cache_evict(c->l3, c->threads);
    else if (c->last_ns < LONG_NS)
        c->kind->call(c, NULL);
    c->done = 0;
}

/* Cold calls are slices of their own, and their mean is the slice. */
static enum ab_status cold_slice(struct ab_case *c, int calls, struct ab_slice *slice,
                                 struct ab_error *err)
{
    enum ab_status status = AB_OK;
    struct ab_slice sum = {0};
    for (int i = 0; i < calls && status == AB_OK; i++) {
        status = ab_local_slice(&c->local, 1, slice, err);
        sum.ns += slice->ns / calls;
        sum.disturbed = sum.disturbed || slice->disturbed;
    }
    *slice = sum;
    return status;
}

static enum ab_status take(void *user, int calls, struct ab_slice *slice, struct ab_error *err)
{
    struct ab_case *c = user;
    const bool cold = c->cache == AB_CACHE_COLD;
    c->calls = cold ? 1 : calls;
    c->turn++;
    enum ab_status status =
        cold ? cold_slice(c, calls, slice, err) : ab_local_slice(&c->local, calls, slice, err);
    if (status == AB_OK && c->n_parts && !times_parts(c)) status = c->kind->call_parts(c, err);
    c->last_ns = status == AB_OK ? slice->ns : 0;
    slice->parts = c->n_parts ? c->parts : NULL;
    slice->n_parts = c->n_parts;
    return status;
}

struct ab_side ab_case_side(struct ab_case *c, enum ab_cache cache)
{
    c->cache = cache;
    c->l3 = cache == AB_CACHE_COLD ? last_level_bytes() : 0;
    c->local = (struct ab_local){.run = call, .user = c, .before = before, .threads = c->threads};
    return (struct ab_side){.name = c->text, .slice = take, .user = c};
}

int ab_case_threads(const struct ab_case *c)
{
    return c->threads;
}

void ab_case_slow(struct ab_case *c, double share)
{
    c->slow = share;
}

void ab_case_wrong(struct ab_case *c, double share)
{
    c->wrong = share;
}

const char *ab_case_name(const struct ab_case *c)
{
    return c->name;
}

/* ---- opening and closing ---- */

enum ab_status ab_case_open(const char *text, struct ab_case **out, struct ab_error *err)
{
    const size_t first = strcspn(text, " ");
    const struct ab_case_kind *kind = NULL;
    *out = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i]->word) == first && !strncmp(kinds[i]->word, text, first))
            kind = kinds[i];
    if (!kind)
        return ab_fail(err, AB_ERR_ARG,
                       "case '%.80s': begin with 'kernel NAME TRIAL' or 'method MODEL SPEC BACKEND "
                       "THREADS BATCH'",
                       text);
    if (strlen(text) >= AB_CASE_KEY)
        return ab_fail(err, AB_ERR_ARG, "case '%.60s...': longer than %d characters", text,
                       AB_CASE_KEY - 1);
    if (strpbrk(text, "\t\r\n"))
        return ab_fail(err, AB_ERR_ARG, "case '%.60s': tabs and line breaks will not do", text);
    struct ab_case *c = calloc(1, sizeof *c);
    if (!c) return ab_fail(err, AB_ERR_MEMORY, "out of memory for a case");
    c->kind = kind;
    c->threads = 1;
    const enum ab_status status = kind->open(c, text + first + strspn(text + first, " "), err);
    if (status != AB_OK) {
        ab_case_close(&c);
        return status;
    }
    *out = c;
    return AB_OK;
}

void ab_case_close(struct ab_case **c)
{
    if (!*c) return;
    (*c)->kind->close(*c);
    free((*c)->parts);
    free(*c);
    *c = NULL;
}

enum ab_status ab_case_judge(struct ab_case *c, int threads, struct ab_agreement *result,
                             struct ab_error *err)
{
    ab_agreement_init(result);
    return c->kind->judge(c, threads, result, err);
}

/* ---- rows ---- */

int ab_case_rows(const struct ab_case *c)
{
    return 1 + c->n_parts;
}

void ab_case_key(const struct ab_case *c, int row, char key[AB_CASE_KEY])
{
    c->kind->key(c, row, key);
}

/* What samples say, which are not here. */
static const char *const of_samples[] = {"ns_min",
                                         "ns_p10",
                                         "ns_median",
                                         "ns_p90",
                                         "ns_p99",
                                         "samples",
                                         "samples_ns",
                                         "repetition",
                                         "images_per_second",
                                         "gflops",
                                         "peak_share",
                                         "gflops_best",
                                         "peak_share_best",
                                         "ratio",
                                         "rel_l2",
                                         "max_err",
                                         "err_over_bound",
                                         "cosine",
                                         "pearson",
                                         "spearman",
                                         "ssim",
                                         "iou1",
                                         "iou5",
                                         "flips",
                                         "illegal_flips",
                                         "verdict",
                                         "verdict_reason",
                                         "setup_ns",
                                         "first_ns",
                                         "peak_bytes",
                                         "pinned",
                                         "picked",
                                         "times",
                                         "onednn_isa"};

json_t *ab_case_record(const struct ab_case *c, int row)
{
    struct ab_record r;
    char reason[64];
    ab_record_init(&r);
    snprintf(r.repro, sizeof r.repro, "attrbench compare --against BUILD --case '%s'", c->text);
    r.threads = c->threads;
    c->kind->record(c, row, &r);
    json_t *json = ab_record_json(&r);
    ab_record_free(&r);
    for (size_t i = 0; json && i < sizeof of_samples / sizeof *of_samples; i++) {
        snprintf(reason, sizeof reason, "%s_reason", of_samples[i]);
        json_object_del(json, of_samples[i]);
        json_object_del(json, reason);
    }
    if (!json) return NULL;
    json_object_set_new(json, "case", json_string(c->text));
    json_object_set_new(json, "cache", json_string(c->cache == AB_CACHE_COLD ? "cold" : "hot"));
    return json;
}
