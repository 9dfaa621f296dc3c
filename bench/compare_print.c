// SPDX-License-Identifier: Apache-2.0
// A comparison as a table and as JSON.
#include "compare.h"

#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- order, classes ---- */

static int rank_of(const struct ab_compare_row *r)
{
    static const int rank[] = {[AB_CHANGE_REGRESSION] = 0,
                               [AB_CHANGE_INCONCLUSIVE] = 1,
                               [AB_CHANGE_IMPROVEMENT] = 2,
                               [AB_CHANGE_SAME] = 3};
    return rank[r->change];
}

/* How far the row stands out among those of its change. */
static double weight_of(const struct ab_compare_row *r)
{
    if (r->error == AB_CHANGE_REGRESSION) return INFINITY;
    if (!r->timed || !isfinite(r->time.ratio)) return -INFINITY;
    const double change = log(r->time.ratio);
    return r->change == AB_CHANGE_SAME          ? fabs(change)
           : r->change == AB_CHANGE_IMPROVEMENT ? -change
                                                : change;
}

static int by_importance(const void *a, const void *b)
{
    const struct ab_compare_row *x = *(const struct ab_compare_row *const *)a,
                                *y = *(const struct ab_compare_row *const *)b;
    if (rank_of(x) != rank_of(y)) return rank_of(x) - rank_of(y);
    const double p = weight_of(x), q = weight_of(y);
    if (p < q || p > q) return p < q ? 1 : -1;
    return strcmp(x->b->key, y->b->key);
}

const struct ab_compare_row **ab_compare_sorted(const struct ab_comparison *c)
{
    const struct ab_compare_row **rows = malloc(((size_t)c->count + 1) * sizeof *rows);
    if (!rows) return NULL;
    for (int i = 0; i < c->count; i++) rows[i] = &c->rows[i];
    qsort(rows, (size_t)c->count, sizeof *rows, by_importance);
    return rows;
}

/* "kernel conv2d fwd", "step", "method". */
static void class_of(const struct ab_compare_row *r, char *name, size_t size)
{
    const char *kind = json_string_value(json_object_get(r->b->record, "kind"));
    const char *op = json_string_value(json_object_get(r->b->record, "op"));
    const bool kernel = kind && op && !strcmp(kind, "kernel");
    snprintf(name, size, "%s%s%s", kind ? kind : "row", kernel ? " " : "", kernel ? op : "");
}

int ab_compare_classes(const struct ab_comparison *c, struct ab_compare_class *classes)
{
    int count = 0;
    for (int i = 0; i < c->count; i++) {
        const struct ab_compare_row *r = &c->rows[i];
        char name[64];
        int at = 0;
        if (!r->timed || !isfinite(r->time.ratio)) continue;
        class_of(r, name, sizeof name);
        while (at < count && strcmp(classes[at].name, name) != 0) at++;
        if (at == AB_COMPARE_CLASSES) continue;
        if (at == count) {
            classes[count] = (struct ab_compare_class){.rows = 0};
            snprintf(classes[count++].name, sizeof name, "%s", name);
        }
        classes[at].rows++;
        classes[at].geomean += log(r->time.ratio);
    }
    for (int i = 0; i < count; i++) classes[i].geomean = exp(classes[i].geomean / classes[i].rows);
    return count;
}

void ab_compare_percent(double ratio, char *text, size_t size)
{
    if (isfinite(ratio) && ratio < 10)
        snprintf(text, size, "%+.1f %%", 100 * (ratio - 1));
    else if (isfinite(ratio))
        snprintf(text, size, "%.0fx", ratio);
    else
        snprintf(text, size, "-");
}

/* ---- the table ---- */

void ab_compare_words(const struct ab_compare_row *row, struct ab_compare_texts *t)
{
    *t = (struct ab_compare_texts){.a = "-", .b = "-"};
    ab_compare_percent(row->timed ? row->time.ratio : (double)NAN, t->ratio, sizeof t->ratio);
    ab_compare_percent(row->timed ? row->time.low : (double)NAN, t->low, sizeof t->low);
    ab_compare_percent(row->timed ? row->time.high : (double)NAN, t->high, sizeof t->high);
    if (!row->timed || !isfinite(row->time.a_ns)) return;
    ab_time_text(row->time.a_ns, t->a, sizeof t->a);
    ab_time_text(row->time.b_ns, t->b, sizeof t->b);
}

static void print_row(FILE *f, const struct ab_compare_row *r)
{
    struct ab_compare_texts t;
    ab_compare_words(r, &t);
    fprintf(f, "%-13s%9s%9s%9s%9s%9s  %s%s%s\n", ab_change_name(r->change), t.ratio, t.low, t.high,
            t.a, t.b, r->b->key, r->second == AB_SECOND_NONE ? "" : ", ",
            r->second == AB_SECOND_NONE ? "" : ab_second_name(r->second));
    if (*r->why && r->change != AB_CHANGE_SAME) fprintf(f, "%13s%s\n", "", r->why);
}

static void print_only(FILE *f, const char *name, const char *const *keys, int count)
{
    if (!count) return;
    fprintf(f, "only in %s: %d row%s (", name, count, count == 1 ? "" : "s");
    for (int i = 0; i < count && i < 3; i++) fprintf(f, "%s%s", i ? ", " : "", keys[i]);
    fprintf(f, "%s)\n", count > 3 ? ", ..." : "");
}

static double threshold_most(const struct ab_comparison *c)
{
    double most = 0;
    for (int i = 0; i < c->count; i++)
        if (c->rows[i].timed) most = fmax(most, c->rows[i].time.threshold);
    return most;
}

static double threshold_least(const struct ab_comparison *c)
{
    double least = INFINITY;
    for (int i = 0; i < c->count; i++)
        if (c->rows[i].timed) least = fmin(least, c->rows[i].time.threshold);
    return least;
}

static void print_counts(FILE *f, const struct ab_comparison *c)
{
    int confirmed = 0, cleared = 0;
    for (int i = 0; i < c->count; i++) {
        confirmed += c->rows[i].second == AB_SECOND_CONFIRMED;
        cleared += c->rows[i].second == AB_SECOND_CLEARED;
    }
    fprintf(f, "%d row%s: %d regression%s, %d improvement%s, %d same, %d inconclusive", c->count,
            c->count == 1 ? "" : "s", c->of[AB_CHANGE_REGRESSION],
            c->of[AB_CHANGE_REGRESSION] == 1 ? "" : "s", c->of[AB_CHANGE_IMPROVEMENT],
            c->of[AB_CHANGE_IMPROVEMENT] == 1 ? "" : "s", c->of[AB_CHANGE_SAME],
            c->of[AB_CHANGE_INCONCLUSIVE]);
    if (c->paired) fprintf(f, "; by further looks %d confirmed, %d cleared", confirmed, cleared);
    fprintf(f, "\n");
    if (c->by_time)
        fprintf(f, "by time alone, not by error: %d row%s (%s)\n", c->by_time,
                c->by_time == 1 ? "" : "s", c->by_time_why);
    if (c->interrupted) fprintf(f, "interrupted: the rest was not measured\n");
    if (!c->timed) return;
    const double least = threshold_least(c), most = threshold_most(c);
    fprintf(f, "threshold: %.2g %%", 100 * least);
    if (most > least * 1.01) fprintf(f, " to %.2g %%", 100 * most);
    fprintf(f,
            "; the interval of each row holds with a confidence of %.4g %%, all of them with "
            "99 %%\n",
            100 * (1 - 0.01 / c->timed));
}

void ab_compare_print(FILE *f, const struct ab_comparison *c, bool all)
{
    const struct ab_compare_row **rows = ab_compare_sorted(c);
    struct ab_compare_class classes[AB_COMPARE_CLASSES];
    fprintf(f, "A: %s\nB: %s\n", c->a.name, c->b.name);
    if (*c->crossed)
        fprintf(f, "%s:\n%s\n",
                c->paired ? "the builds differ" : "compared across what makes times differ",
                c->crossed);
    for (int i = 0, shown = 0; rows && i < c->count; i++) {
        if (rows[i]->change == AB_CHANGE_SAME && !all) break;
        if (!shown++)
            fprintf(f, "\n%-13s%9s%9s%9s%9s%9s  %s\n", "verdict", "B over A", "from", "to", "A",
                    "B", "row");
        print_row(f, rows[i]);
    }
    free(rows);
    fprintf(f, "\n");
    const int n = ab_compare_classes(c, classes);
    for (int i = 0; i < n; i++) {
        char mean[32];
        ab_compare_percent(classes[i].geomean, mean, sizeof mean);
        fprintf(f, "%s%s %s (%d)", i ? ", " : "geometric means: ", classes[i].name, mean,
                classes[i].rows);
    }
    if (n) fprintf(f, "\n");
    print_counts(f, c);
    print_only(f, c->a.name, c->only[0], c->n_only[0]);
    print_only(f, c->b.name, c->only[1], c->n_only[1]);
    for (int i = 0; i < c->n_missing; i++)
        fprintf(f, "not compared: %s: %s\n", c->missing[i].text, c->missing[i].why);
    if (!ab_compare_undecided(c) && c->of[AB_CHANGE_INCONCLUSIVE])
        fprintf(f, "rows that are inconclusive are a fifth or less of all: the rest decides "
                   "(--strict: they do not)\n");
}

/* ---- JSON ---- */

static json_t *real_of(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *decision_json(const struct ab_ruling *d)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s}", "change",
                     ab_change_name(d->change), "ratio", real_of(d->ratio), "low", real_of(d->low),
                     "high", real_of(d->high), "threshold", real_of(d->threshold), "a_ns",
                     real_of(d->a_ns), "b_ns", real_of(d->b_ns), "groups", d->groups, "why",
                     d->why);
}

static json_t *row_json(const struct ab_compare_row *r)
{
    json_t *looks = json_array();
    for (int i = 0; i < r->n_looks; i++) json_array_append_new(looks, json_real(r->looks[i]));
    json_t *row = json_pack("{s:s, s:s, s:s, s:o, s:s, s:{s:s, s:o, s:o}, s:o}", "key", r->b->key,
                            "change", ab_change_name(r->change), "second",
                            ab_second_name(r->second), "looks", looks, "why", r->why, "error",
                            "change", ab_change_name(r->error), "a_rel_l2", real_of(r->a_error),
                            "b_rel_l2", real_of(r->b_error), "noise_floor", real_of(r->floor));
    json_t *error = json_object_get(row, "error");
    if (error) {
        json_object_set(error, "a_verdict", json_object_get(r->a->record, "verdict"));
        json_object_set(error, "b_verdict", json_object_get(r->b->record, "verdict"));
    }
    if (row && r->timed) {
        json_object_set_new(row, "first", decision_json(&r->first));
        json_object_set_new(row, "time", decision_json(&r->time));
    }
    return row;
}

static json_t *side_json(const struct ab_compare_side *side)
{
    char fingerprint[32];
    ab_fingerprint(side->context, fingerprint);
    json_t *build = json_object_get(side->context, "build");
    json_t *revision = json_object_get(build, "git_revision");
    return json_pack("{s:s, s:s, s:O?, s:i}", "name", side->name, "fingerprint", fingerprint,
                     "revision", revision, "rows", side->count);
}

static json_t *texts_json(const char *const *texts, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(list, json_string(texts[i]));
    return list;
}

json_t *ab_compare_json(const struct ab_comparison *c)
{
    struct ab_compare_class classes[AB_COMPARE_CLASSES];
    json_t *rows = json_array(), *means = json_object(), *missing = json_array();
    const struct ab_compare_row **sorted = ab_compare_sorted(c);
    for (int i = 0; sorted && i < c->count; i++) json_array_append_new(rows, row_json(sorted[i]));
    free(sorted);
    for (int i = 0, n = ab_compare_classes(c, classes); i < n; i++)
        json_object_set_new(means, classes[i].name, json_real(classes[i].geomean));
    for (int i = 0; i < c->n_missing; i++)
        json_array_append_new(
            missing, json_pack("{s:s, s:s}", "case", c->missing[i].text, "why", c->missing[i].why));
    return json_pack("{s:o, s:o, s:b, s:b, s:i, s:s, s:{s:i, s:i, s:i, s:i}, s:i, s:o, s:o, s:o, "
                     "s:o, s:o}",
                     "a", side_json(&c->a), "b", side_json(&c->b), "by_turns", c->paired,
                     "interrupted", c->interrupted, "by_time_alone", c->by_time,
                     "fingerprints_differ", c->crossed, "counts", "same", c->of[AB_CHANGE_SAME],
                     "regression", c->of[AB_CHANGE_REGRESSION], "improvement",
                     c->of[AB_CHANGE_IMPROVEMENT], "inconclusive", c->of[AB_CHANGE_INCONCLUSIVE],
                     "exit_code", ab_compare_exit(c), "geometric_means", means, "rows", rows,
                     "only_a", texts_json(c->only[0], c->n_only[0]), "only_b",
                     texts_json(c->only[1], c->n_only[1]), "not_compared", missing);
}
