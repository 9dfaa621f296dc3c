// SPDX-License-Identifier: Apache-2.0
// Rows of two sides: matched by their keys, judged, looked at again.
#include "compare.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Looks are judged when there are so many, each time with a quarter of what may go wrong. */
static const int stops[] = {10, 16, 22, AB_COMPARE_LOOKS};
enum { STOPS = sizeof stops / sizeof *stops, SETTLED_LOOKS = 8 };
static const double LOOKS_ALPHA = 0.01 / STOPS;

static const double none = (double)NAN;

/* ---- ownership ---- */

void ab_compare_side_free(struct ab_compare_side *side)
{
    json_decref(side->context);
    ab_db_rows_free(side->rows, side->count);
    *side = (struct ab_compare_side){.count = 0};
}

void ab_comparison_free(struct ab_comparison *c)
{
    ab_compare_side_free(&c->a);
    ab_compare_side_free(&c->b);
    for (int i = 0; i < c->n_missing; i++) {
        free(c->missing[i].text);
        free(c->missing[i].why);
    }
    free(c->missing);
    free(c->rows);
    free(c->only[0]);
    free(c->only[1]);
    *c = (struct ab_comparison){.count = 0};
}

/* ---- what a record says ---- */

static const char *text(const struct ab_db_row *row, const char *field)
{
    const char *value = json_string_value(json_object_get(row->record, field));
    return value ? value : "";
}

static double number(const struct ab_db_row *row, const char *field)
{
    const json_t *value = json_object_get(row->record, field);
    return json_is_number(value) ? json_number_value(value) : none;
}

static struct ab_samples samples(const struct ab_db_row *row)
{
    return (struct ab_samples){row->ns, row->disturbed, row->count};
}

/* ---- judging ---- */

static struct ab_decide_options options_of(const struct ab_comparison *c,
                                           const struct ab_compare_row *r)
{
    return (struct ab_decide_options){.paired = c->paired,
                                      .rows = c->timed,
                                      .user = c->options.max_slowdown,
                                      .floor = r->floor,
                                      .least_ns = c->options.least_ns};
}

static bool is_judged(const struct ab_db_row *row)
{
    const char *verdict = text(row, "verdict");
    return *verdict && strcmp(verdict, "skipped") != 0;
}

static void judge_error(struct ab_compare_row *r)
{
    const bool agreed = !strcmp(text(r->a, "verdict"), "agree"),
               agrees = !strcmp(text(r->b, "verdict"), "agree");
    r->a_error = number(r->a, "rel_l2");
    r->b_error = number(r->b, "rel_l2");
    r->judged = is_judged(r->a) && is_judged(r->b);
    r->error = ab_decide_error(r->a_error, r->b_error);
    if (agreed && !strcmp(text(r->b, "verdict"), "disagree")) {
        char grew[64] = "";
        if (r->error == AB_CHANGE_REGRESSION)
            snprintf(grew, sizeof grew, " (its error grew from %.2g to %.2g)", r->a_error,
                     r->b_error);
        r->error = AB_CHANGE_REGRESSION;
        snprintf(r->why, sizeof r->why, "no longer agrees with the reference%s: %.80s", grew,
                 text(r->b, "verdict_reason"));
    } else if (agrees && !strcmp(text(r->a, "verdict"), "disagree")) {
        r->error = AB_CHANGE_IMPROVEMENT;
    } else if (r->error == AB_CHANGE_REGRESSION) {
        snprintf(r->why, sizeof r->why, "its error grew from %.2g to %.2g", r->a_error, r->b_error);
    }
}

/* Regressions first, then what is not known. */
static enum ab_change worse(enum ab_change a, enum ab_change b)
{
    static const int rank[] = {[AB_CHANGE_SAME] = 0,
                               [AB_CHANGE_IMPROVEMENT] = 1,
                               [AB_CHANGE_INCONCLUSIVE] = 2,
                               [AB_CHANGE_REGRESSION] = 3};
    return rank[a] > rank[b] ? a : b;
}

static bool changed(enum ab_change c)
{
    return c == AB_CHANGE_REGRESSION || c == AB_CHANGE_IMPROVEMENT;
}

/* The row's change, from its looks and its errors. */
static void settle(struct ab_compare_row *r)
{
    enum ab_change time = r->timed ? r->time.change : AB_CHANGE_SAME;
    if (r->second == AB_SECOND_CLEARED) time = AB_CHANGE_SAME;
    r->change = worse(time, r->error);
    /* What was undecided at first may be decided now. */
    if (r->error != AB_CHANGE_REGRESSION) *r->why = '\0';
    if (r->change != AB_CHANGE_INCONCLUSIVE) return;
    if (changed(r->first.change))
        snprintf(r->why, sizeof r->why, "%s at first; then %.150s", ab_change_name(r->first.change),
                 r->time.why);
    else
        snprintf(r->why, sizeof r->why, "%s", r->time.why);
}

static void judge_time(const struct ab_comparison *c, struct ab_compare_row *r)
{
    const struct ab_samples a = samples(r->a), b = samples(r->b);
    const struct ab_decide_options o = options_of(c, r);
    if (r->timed) {
        ab_decide(&a, &b, &o, &r->first);
        r->time = r->first;
    } else if (a.count) {
        /* It had a time, and has none now. */
        const char *why = text(r->b, "error");
        r->error = AB_CHANGE_REGRESSION;
        snprintf(r->why, sizeof r->why, "B has no time: %.160s", *why ? why : "not measured");
    }
    settle(r);
}

/* Steps have no errors of their own: their case's are theirs. */
static void count_by_time(struct ab_comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        const struct ab_compare_row *r = &c->rows[i];
        if (r->judged || !strcmp(text(r->b, "kind"), "step")) continue;
        const bool by_a = !is_judged(r->a);
        const char *why = text(by_a ? r->a : r->b, "verdict_reason");
        if (!c->by_time++)
            snprintf(c->by_time_why, sizeof c->by_time_why, "%s%.240s",
                     !*why  ? ""
                     : by_a ? "A: "
                            : "B: ",
                     *why ? why : "--no-agree");
    }
}

static void count_changes(struct ab_comparison *c)
{
    memset(c->of, 0, sizeof c->of);
    for (int i = 0; i < c->count; i++) c->of[c->rows[i].change]++;
}

/* ---- further looks ---- */

void ab_compare_look(struct ab_comparison *c, int index, const struct ab_db_row *a,
                     const struct ab_db_row *b)
{
    struct ab_compare_row *r = &c->rows[index];
    const struct ab_samples sa = samples(a), sb = samples(b);
    const struct ab_decide_options o = options_of(c, r);
    struct ab_ruling d;
    ab_decide(&sa, &sb, &o, &d);
    /* The low quantiles of all samples: nothing but a point is asked of one look, and it scatters
     * half as much as the median of groups on a machine whose cores are wanted by eight each. */
    if (isfinite(d.ratio) && r->n_looks < AB_COMPARE_LOOKS)
        r->looks[r->n_looks++] = d.b_ns / d.a_ns;
}

/* Rows that the first look did not decide. */
static int undecided(const struct ab_comparison *c)
{
    int count = 0;
    for (int i = 0; i < c->count; i++)
        count += c->rows[i].timed && c->rows[i].first.change == AB_CHANGE_INCONCLUSIVE;
    return count;
}

/* A row that was suspected has been chosen from all rows already, by what one process showed:
 * whether others show it is asked of it alone. Undecided rows are many chances for chance. */
static void judge_looks(const struct ab_comparison *c, const struct ab_compare_row *r,
                        struct ab_ruling *d)
{
    struct ab_decide_options o = options_of(c, r);
    o.alpha = LOOKS_ALPHA;
    o.rows = changed(r->first.change) ? 1 : undecided(c);
    ab_decide_looks(r->looks, r->n_looks, &o, r->first.a_ns, d);
}

static bool certain(const struct ab_comparison *c, const struct ab_compare_row *r)
{
    struct ab_ruling d;
    for (int i = 0; i < STOPS; i++) {
        if (r->n_looks != stops[i]) continue;
        judge_looks(c, r, &d);
        return changed(d.change);
    }
    return false;
}

/* Whether what the looks say in the middle is no change. */
static bool within(const struct ab_ruling *d)
{
    return fabs(log(d->ratio)) <= log1p(d->threshold);
}

/* Whether it is not worth while to look on. */
static bool settled(const struct ab_comparison *c, const struct ab_compare_row *r)
{
    struct ab_ruling d;
    if (r->n_looks < SETTLED_LOOKS) return false;
    judge_looks(c, r, &d);
    return within(&d);
}

bool ab_compare_open(const struct ab_comparison *c, const struct ab_compare_row *r)
{
    return r->timed && r->first.change != AB_CHANGE_SAME && r->n_looks < AB_COMPARE_LOOKS &&
           !settled(c, r) && !certain(c, r);
}

/* Looks that do not make a change certain clear the row if there are enough of them and what they
 * say in the middle is none: fewer are left of an interruption, or of workers that died. */
static void conclude_row(const struct ab_comparison *c, struct ab_compare_row *r)
{
    judge_looks(c, r, &r->time);
    if (changed(r->time.change))
        r->second = AB_SECOND_CONFIRMED;
    else
        r->second =
            r->n_looks >= SETTLED_LOOKS && within(&r->time) ? AB_SECOND_CLEARED : AB_SECOND_OPEN;
    settle(r);
}

void ab_compare_conclude(struct ab_comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        struct ab_compare_row *r = &c->rows[i];
        if (r->timed && r->first.change != AB_CHANGE_SAME) conclude_row(c, r);
    }
    count_changes(c);
}

const char *ab_second_name(enum ab_second second)
{
    static const char *const names[] = {"none", "confirmed", "cleared", "open"};
    return names[second];
}

/* ---- matching ---- */

struct named {
    const char *key;
    int index;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->key, ((const struct named *)b)->key);
}

/* The side's keys in order; NULL: out of memory. */
static struct named *names_of(const struct ab_compare_side *side)
{
    struct named *names = malloc(((size_t)side->count + 1) * sizeof *names);
    for (int i = 0; names && i < side->count; i++) names[i] = (struct named){side->rows[i].key, i};
    if (names) qsort(names, (size_t)side->count, sizeof *names, by_key);
    return names;
}

static const struct named *look_up(const struct named *names, int count, const char *key)
{
    const struct named wanted = {key, 0};
    return bsearch(&wanted, names, (size_t)count, sizeof *names, by_key);
}

static bool wanted(const struct ab_comparison *c, const char *key)
{
    return !c->options.only || fnmatch(c->options.only, key, 0) == 0;
}

/* Whether the two rows can say anything of each other. */
static bool comparable(const struct ab_db_row *a, const struct ab_db_row *b)
{
    return a->count || (isfinite(number(a, "rel_l2")) && isfinite(number(b, "rel_l2")));
}

static bool pair(struct ab_comparison *c, const struct named *a, const struct named *b)
{
    c->rows = calloc((size_t)c->b.count + 1, sizeof *c->rows);
    c->only[0] = calloc((size_t)c->a.count + 1, sizeof *c->only[0]);
    c->only[1] = calloc((size_t)c->b.count + 1, sizeof *c->only[1]);
    if (!c->rows || !c->only[0] || !c->only[1]) return false;
    for (int i = 0; i < c->a.count; i++) {
        const char *key = c->a.rows[i].key;
        if (wanted(c, key) && !look_up(b, c->b.count, key)) c->only[0][c->n_only[0]++] = key;
    }
    for (int i = 0; i < c->b.count; i++) {
        const struct ab_db_row *now = &c->b.rows[i];
        const struct named *then = look_up(a, c->a.count, now->key);
        if (!wanted(c, now->key)) continue;
        if (!then) c->only[1][c->n_only[1]++] = now->key;
        if (!then || !comparable(&c->a.rows[then->index], now)) continue;
        struct ab_compare_row *r = &c->rows[c->count++];
        *r = (struct ab_compare_row){.a = &c->a.rows[then->index], .b = now};
        r->timed = r->a->count > 0 && now->count > 0;
        c->timed += r->timed;
    }
    return true;
}

static void list_keys(const struct ab_compare_side *side, char *list, size_t size)
{
    size_t used = 0;
    *list = '\0';
    for (int i = 0; i < side->count && i < 3 && used < size; i++)
        used += (size_t)snprintf(list + used, size - used, "%s'%.60s'", i ? ", " : "",
                                 side->rows[i].key);
    if (used < size && side->count > 3) snprintf(list + used, size - used, ", ...");
}

static enum ab_status nothing_common(const struct ab_comparison *c, struct ab_error *err)
{
    char a[240], b[240], only[120] = "";
    list_keys(&c->a, a, sizeof a);
    list_keys(&c->b, b, sizeof b);
    if (c->options.only) snprintf(only, sizeof only, " like '%.90s'", c->options.only);
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "no row%s is in both: %.60s has %d (%s), %.60s has %d (%s); measure the same "
                   "models, methods and kernels",
                   only, c->a.name, c->a.count, a, c->b.name, c->b.count, b);
}

/* Lines to one line, "; " between them. */
static void join_lines(const char *lines, char *text_out, size_t size)
{
    size_t used = 0;
    for (; *lines && used + 3 < size; lines++) {
        if (*lines == '\n') text_out[used++] = ';';
        text_out[used++] = *lines == '\n' ? ' ' : *lines;
    }
    text_out[used] = '\0';
}

/* Builds that are measured now are on one machine by themselves. */
static enum ab_status check_machines(struct ab_comparison *c, struct ab_error *err)
{
    char fields[420];
    if (!ab_fingerprint_differs(c->a.context, c->b.context, c->crossed, sizeof c->crossed) ||
        c->paired || c->options.cross)
        return AB_OK;
    join_lines(c->crossed, fields, sizeof fields);
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "%.80s and %.80s are not comparable (%s); --cross compares them all the same",
                   c->a.name, c->b.name, fields);
}

static void judge_all(struct ab_comparison *c, struct ab_db *db)
{
    char fingerprint[32];
    ab_fingerprint(c->b.context, fingerprint);
    for (int i = 0; i < c->count; i++) {
        struct ab_compare_row *r = &c->rows[i];
        r->floor =
            db ? ab_db_floor_of(db, fingerprint, text(r->b, "op"), text(r->b, "kind"), !c->paired)
               : none;
        judge_error(r);
        judge_time(c, r);
    }
    if (c->paired) count_by_time(c);
    count_changes(c);
}

enum ab_status ab_compare_judge(struct ab_comparison *c, struct ab_error *err)
{
    struct ab_db *db = NULL;
    enum ab_status status = check_machines(c, err);
    if (status != AB_OK) return status;
    struct named *a = names_of(&c->a), *b = names_of(&c->b);
    if (!a || !b || !pair(c, a, b))
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for rows; compare fewer");
    free(a);
    free(b);
    if (status == AB_OK && !c->count) status = nothing_common(c, err);
    if (status == AB_OK && c->options.db) status = ab_db_open(c->options.db, AB_DB_READ, &db, err);
    if (status == AB_OK) judge_all(c, db);
    ab_db_close(&db);
    return status;
}

/* ---- the whole ---- */

bool ab_compare_undecided(const struct ab_comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        const struct ab_compare_row *r = &c->rows[i];
        if (r->change == AB_CHANGE_INCONCLUSIVE && r->first.change == AB_CHANGE_REGRESSION)
            return true;
    }
    const int undecided = c->of[AB_CHANGE_INCONCLUSIVE];
    return c->options.strict ? undecided > 0 : 5 * undecided > c->count;
}

int ab_compare_verdict(const struct ab_comparison *c)
{
    if (c->of[AB_CHANGE_REGRESSION]) return AB_EXIT_REGRESSION;
    if (c->broken) return AB_EXIT_ERROR;
    if (!c->count) return AB_EXIT_NOTHING;
    return ab_compare_undecided(c) ? AB_EXIT_INCONCLUSIVE : AB_EXIT_OK;
}

int ab_compare_exit(const struct ab_comparison *c)
{
    return c->interrupted ? AB_EXIT_INTERRUPTED : ab_compare_verdict(c);
}
