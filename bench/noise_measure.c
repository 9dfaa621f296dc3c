// SPDX-License-Identifier: Apache-2.0
// A/A across processes: pairs of fresh workers of this program that race each other on every case.
#include "noise.h"

#include "decide.h"
#include "simd/kernels.h"
#include "stats.h"
#include "worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cases of an operation, and of methods, that stand for all. */
enum { OF_EACH = 2 };

/* Samples of a case: of the first process of the pair before, they are those of a process that ran
 * apart from the second of this pair. */
struct past {
    double *ns; /* [rows][rounds] */
    bool *disturbed;
    int rows, rounds;
};

struct aa {
    const struct ab_noise_options *o;
    struct ab_noise *noise;
    struct ab_cases cases;
    struct past *before; /* [cases] */
    struct ab_worker *workers[2];
    double began;
    char *notes;
};

static const struct ab_kernel *kernel_of(const char *text)
{
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    if (strncmp(text, "kernel ", 7) != 0) return NULL;
    size_t length = strcspn(text + 7, " ");
    for (int i = 0; i < count; i++)
        if (strlen(k[i].name) == length && !strncmp(k[i].name, text + 7, length)) return &k[i];
    return NULL;
}

/* Some cases of every operation in its widest instruction set, and some methods. */
static bool choose(const struct ab_cases *all, struct ab_cases *some)
{
    enum { METHODS = AB_KERNEL_OPS };
    int widest[AB_KERNEL_OPS + 1] = {0}, taken[AB_KERNEL_OPS + 1] = {0};
    for (int i = 0; i < all->count; i++) {
        const struct ab_kernel *k = kernel_of(all->texts[i]);
        if (k && (int)k->isa > widest[k->op]) widest[k->op] = (int)k->isa;
    }
    for (int i = 0; i < all->count; i++) {
        const struct ab_kernel *k = kernel_of(all->texts[i]);
        int class = k ? (int)k->op : METHODS;
        if ((k && (int)k->isa != widest[class]) || taken[class] == OF_EACH) continue;
        taken[class]++;
        if (!ab_cases_add(some, all->texts[i])) return false;
    }
    return true;
}

static enum ab_status gather(struct aa *a, struct ab_error *err)
{
    struct ab_cases all = {0};
    enum ab_status status = ab_cases_usual(a->o->kernels, &all, err);
    if (status == AB_OK && a->o->kernels) {
        a->cases = all;
        return AB_OK;
    }
    if (status == AB_OK && !choose(&all, &a->cases))
        status = ab_fail(err, AB_ERR_MEMORY, "doctor: out of memory; close something else");
    ab_cases_free(&all);
    return status;
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text ? text : "";
}

/* Counts for the row's kind and, of a kernel, for its operation. */
static bool count(struct ab_noise *n, const json_t *record, enum ab_noise_way way, double ratio)
{
    const char *kind = text_of(record, "kind"), *op = text_of(record, "op");
    if (*kind && !ab_noise_add(n, kind, way, ratio)) return false;
    return strcmp(kind, "kernel") != 0 || !*op || ab_noise_add(n, op, way, ratio);
}

/* Row 0 is the whole, the others are its parts. */
static bool samples_of(const struct ab_series *s, int rows, struct past *p)
{
    size_t rounds = (size_t)s->rounds;
    *p = (struct past){malloc((size_t)rows * rounds * sizeof *p->ns + 1),
                       malloc(rounds * sizeof *p->disturbed + 1), rows, s->rounds};
    if (!p->ns || !p->disturbed) return false;
    for (size_t i = 0; i < rounds; i++) {
        p->disturbed[i] = s->disturbed[i];
        p->ns[i] = s->ns[i];
        for (size_t row = 1; row < (size_t)rows; row++)
            p->ns[row * rounds + i] = s->parts[i * (size_t)s->n_parts + row - 1];
    }
    return true;
}

static void forget(struct past *p)
{
    free(p->ns), free(p->disturbed);
    *p = (struct past){0};
}

/* B's time over A's as comparisons judge it. */
static double ratio_of(const struct past *a, const struct past *b, int row, bool paired)
{
    struct ab_decide_options o = {.paired = paired, .rows = 1, .floor = (double)NAN};
    struct ab_ruling d;
    struct ab_samples x = {a->ns + (size_t)row * (size_t)a->rounds, a->disturbed, a->rounds};
    struct ab_samples y = {b->ns + (size_t)row * (size_t)b->rounds, b->disturbed, b->rounds};
    ab_decide(&x, &y, &o, &d);
    return d.ratio;
}

/* All rows of a case; the first process's samples stay for the next pair. */
static bool judge(struct aa *a, int c, const json_t *records, const struct ab_series series[2])
{
    struct past two[2] = {{0}, {0}}, *old = &a->before[c];
    int rows = (int)json_array_size(records);
    if (rows > 1 + series[0].n_parts) rows = 1 + series[0].n_parts;
    bool good = samples_of(&series[0], rows, &two[0]) && samples_of(&series[1], rows, &two[1]);
    for (int row = 0; row < rows && good; row++) {
        const json_t *record = json_array_get(records, (size_t)row);
        good = count(a->noise, record, AB_NOISE_TURNS, ratio_of(&two[0], &two[1], row, true));
        if (good && row < old->rows)
            good = count(a->noise, record, AB_NOISE_APART, ratio_of(old, &two[1], row, false));
    }
    forget(old);
    *old = two[0];
    forget(&two[1]);
    return good;
}

/* A case that this pair cannot run is noted; only a lack of memory ends everything. */
static enum ab_status note(struct aa *a, const char *text, enum ab_status status,
                           const struct ab_error *err)
{
    if (status == AB_ERR_MEMORY) return status;
    if (!*a->notes) snprintf(a->notes, 256, "%.100s: %.140s", text, err->text);
    return AB_OK;
}

static enum ab_status race_case(struct aa *a, int c, struct ab_error *err)
{
    const char *text = a->cases.texts[c];
    struct ab_race_options o = {.seconds = a->o->seconds, .min_rounds = 20, .max_rounds = 4000};
    struct ab_series series[2] = {{0}, {0}};
    struct ab_side sides[2];
    json_t *rows = NULL, *same = NULL;
    int calls;
    enum ab_status status = ab_worker_open(a->workers[0], text, AB_CACHE_HOT, &rows, err);
    if (status == AB_OK) status = ab_worker_open(a->workers[1], text, AB_CACHE_HOT, &same, err);
    if (status != AB_OK) goto done;
    sides[0] = ab_worker_side(a->workers[0], "A");
    sides[1] = ab_worker_side(a->workers[1], "B");
    status = ab_race(sides, 2, &o, series, &calls, err);
    for (int i = 0; i < 2 && status == AB_OK; i++)
        if (series[i].status != AB_OK) status = series[i].status, *err = series[i].err;
    if (status == AB_OK && !judge(a, c, rows, series))
        status = ab_fail(err, AB_ERR_MEMORY, "doctor: out of memory; close something else");
    if (status == AB_OK) a->noise->cases++;

done:
    json_decref(rows);
    json_decref(same);
    ab_series_free(&series[0]);
    ab_series_free(&series[1]);
    return status == AB_OK ? AB_OK : note(a, text, status, err);
}

static bool time_is_over(const struct aa *a)
{
    return (a->o->stop && a->o->stop()) ||
           (a->o->most > 0 && ab_now_ns() - a->began > a->o->most * 1e9);
}

static bool both_live(const struct aa *a)
{
    return ab_worker_lives(a->workers[0]) && ab_worker_lives(a->workers[1]);
}

/* Odd pairs go through the cases backwards, so that time that runs out does not always spare the
 * same ones. */
static enum ab_status race_pair(struct aa *a, int pair, int pairs, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < 2 && status == AB_OK; i++)
        status = ab_worker_start(NULL, &a->workers[i], err);
    if (status == AB_OK) a->noise->processes += 2;
    for (int i = 0; i < a->cases.count && status == AB_OK && both_live(a) && !time_is_over(a);
         i++) {
        int c = pair % 2 ? a->cases.count - 1 - i : i;
        if (a->o->progress) a->o->progress(1.0 / (pairs * a->cases.count), a->cases.texts[c]);
        status = race_case(a, c, err);
    }
    for (int i = 0; i < 2; i++) ab_worker_stop(&a->workers[i]);
    return status;
}

enum ab_status ab_noise_measure(const struct ab_noise_options *o, struct ab_noise *n,
                                char notes[256], struct ab_error *err)
{
    struct aa a = {.o = o, .noise = n, .began = ab_now_ns(), .notes = notes};
    int pairs = o->processes / 2;
    notes[0] = '\0';
    enum ab_status status = gather(&a, err);
    a.before = calloc((size_t)a.cases.count + 1, sizeof *a.before);
    if (status == AB_OK && !a.before)
        status = ab_fail(err, AB_ERR_MEMORY, "doctor: out of memory; close something else");
    for (int p = 0; p < pairs && status == AB_OK && !time_is_over(&a); p++)
        status = race_pair(&a, p, pairs, err);
    n->seconds = (ab_now_ns() - a.began) / 1e9;
    for (int c = 0; a.before && c < a.cases.count; c++) forget(&a.before[c]);
    free(a.before);
    ab_cases_free(&a.cases);
    return status;
}
