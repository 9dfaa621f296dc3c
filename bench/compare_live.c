// SPDX-License-Identifier: Apache-2.0
// Comparisons of builds that are here: measured by turns, and again where that says something.
#include "compare.h"

#include "against.h"
#include "run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A further look takes a part of the first one's time; there are a dozen of them, since where
 * memory happens to lie in one process can make a kernel slower there and nowhere else. */
static const double FIRST_SECONDS = 0.5, LOOK_SHARE = 0.4;

struct look {
    const struct ab_compare_live *live;
    char programs[2][PATH_MAX];
    const char *what; /* for the progress */
};

static void progress(void *user, int i, int count, const char *text)
{
    const struct look *look = user;
    ab_progress_step(i ? 1 : 0, "%s, %d of %d: %s", look->what, i + 1, count, text);
}

static enum ab_status measure(struct look *look, const struct ab_cases *cases, bool again,
                              struct ab_against *result, struct ab_error *err)
{
    const struct ab_compare_live *live = look->live;
    const double seconds = live->seconds > 0 ? live->seconds : FIRST_SECONDS;
    const struct ab_against_options o = {
        .programs = {look->programs[0], live->b ? look->programs[1] : NULL},
        .cache = (enum ab_cache)live->cache,
        .seconds = again ? LOOK_SHARE * seconds : seconds,
        .judge = !again && !live->no_agree,
        .progress = progress,
        .user = look};
    ab_progress_start(cases->count, live->quiet);
    const enum ab_status status = ab_against_run(cases, &o, result, err);
    ab_progress_end();
    return status;
}

/* ---- the first look ---- */

static void take_rows(struct ab_against *from, struct ab_comparison *c)
{
    struct ab_compare_side *const sides[2] = {&c->a, &c->b};
    for (int i = 0; i < 2; i++) {
        sides[i]->rows = from->rows[i];
        sides[i]->count = from->count;
        sides[i]->context = json_incref(from->context[i]);
        from->rows[i] = NULL;
    }
    from->count = 0;
}

static bool has_missing(const struct ab_comparison *c, const char *text)
{
    for (int i = 0; i < c->n_missing; i++)
        if (!strcmp(c->missing[i].text, text)) return true;
    return false;
}

/* A further look adds what failed in it, each case once; what is not there was told by the first.
 */
static enum ab_status take_missing(const struct ab_against *from, int look, struct ab_comparison *c,
                                   struct ab_error *err)
{
    const size_t most = (size_t)c->n_missing + (size_t)from->n_missing + 1;
    struct ab_compare_missing *grown = realloc(c->missing, most * sizeof *grown);
    if (!grown) return ab_fail(err, AB_ERR_MEMORY, "out of memory for cases");
    c->missing = grown;
    for (int i = 0; i < from->n_missing; i++) {
        const struct ab_against_missing *m = &from->missing[i];
        char why[700];
        if (look && (!m->broke || has_missing(c, m->text))) continue;
        snprintf(why, sizeof why, "%.640s", m->why);
        if (look) snprintf(why, sizeof why, "%.640s (in further look %d)", m->why, look);
        struct ab_compare_missing *to = &grown[c->n_missing++];
        *to = (struct ab_compare_missing){strdup(m->text), strdup(why)};
        if (!to->text || !to->why) return ab_fail(err, AB_ERR_MEMORY, "out of memory for cases");
        c->broken = c->broken || m->broke;
    }
    return AB_OK;
}

static enum ab_status first_look(struct look *look, struct ab_comparison *c, struct ab_error *err)
{
    struct ab_against result = {.count = 0};
    look->what = "measuring";
    enum ab_status status = measure(look, look->live->cases, false, &result, err);
    if (status == AB_OK) status = take_missing(&result, 0, c, err);
    if (status == AB_OK && !result.count) {
        const char *why = result.n_missing ? result.missing[0].why
                          : ab_interrupted ? "interrupted"
                                           : "none is left";
        status = ab_fail(err, AB_ERR_UNSUPPORTED, "no case was measured: %.300s%s", why,
                         ab_interrupted && result.n_missing ? "; then interrupted" : "");
    }
    if (status == AB_OK) {
        take_rows(&result, c);
        status = ab_compare_judge(c, err);
    }
    ab_against_free(&result);
    return status;
}

/* ---- further looks, each in fresh processes ---- */

static bool has_case(const struct ab_cases *cases, const char *text)
{
    for (int i = 0; i < cases->count; i++)
        if (!strcmp(cases->texts[i], text)) return true;
    return false;
}

/* The cases behind rows that need another look. */
static bool open_cases(const struct ab_comparison *c, struct ab_cases *cases)
{
    for (int i = 0; i < c->count; i++) {
        if (!ab_compare_open(c, &c->rows[i])) continue;
        const char *text = json_string_value(json_object_get(c->rows[i].b->record, "case"));
        if (text && !has_case(cases, text) && !ab_cases_add(cases, text)) return false;
    }
    return true;
}

static void look_at(struct ab_comparison *c, const struct ab_against *result)
{
    for (int i = 0; i < c->count; i++) {
        if (!ab_compare_open(c, &c->rows[i])) continue;
        int at = 0;
        while (at < result->count && strcmp(result->rows[0][at].key, c->rows[i].b->key) != 0) at++;
        if (at < result->count) ab_compare_look(c, i, &result->rows[0][at], &result->rows[1][at]);
    }
}

static enum ab_status further_looks(struct look *look, struct ab_comparison *c,
                                    struct ab_error *err)
{
    enum ab_status status = AB_OK;
    char what[64];
    look->what = what;
    bool more = true;
    for (int i = 0; i < AB_COMPARE_LOOKS && more && status == AB_OK && !ab_interrupted; i++) {
        struct ab_cases cases = {0};
        struct ab_against result = {.count = 0};
        snprintf(what, sizeof what, "look %d of at most %d", i + 1, AB_COMPARE_LOOKS);
        if (!open_cases(c, &cases)) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for cases");
        more = cases.count > 0;
        if (status == AB_OK && more) status = measure(look, &cases, true, &result, err);
        if (status == AB_OK) status = take_missing(&result, i + 1, c, err);
        if (status == AB_OK) look_at(c, &result);
        ab_against_free(&result);
        ab_cases_free(&cases);
    }
    if (status == AB_OK) ab_compare_conclude(c);
    return status;
}

enum ab_status ab_compare_measure(const struct ab_compare_live *live, struct ab_comparison *c,
                                  struct ab_error *err)
{
    struct look look = {.live = live};
    c->paired = true;
    snprintf(c->a.name, sizeof c->a.name, "%s", live->a);
    snprintf(c->b.name, sizeof c->b.name, "%s", live->b ? live->b : "this build");
    ab_interrupt_catch();
    enum ab_status status =
        ab_against_program(live->a, look.programs[0], sizeof look.programs[0], err);
    if (status == AB_OK && live->b)
        status = ab_against_program(live->b, look.programs[1], sizeof look.programs[1], err);
    if (status == AB_OK) status = first_look(&look, c, err);
    if (status == AB_OK) status = further_looks(&look, c, err);
    c->interrupted = ab_interrupted != 0;
    return status;
}
