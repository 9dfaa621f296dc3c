// SPDX-License-Identifier: Apache-2.0
// What a point's value is expected to be, from those of other points: ridge least squares of the
// logarithm on main effects of the knobs and interactions of two, in the dual form, which also
// tells how sure the expectation is (Rasmussen and Williams, Gaussian Processes for Machine
// Learning, 2006, algorithm 2.1; left-out residuals: equations 5.10 to 5.12).
#include "tune_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Standard deviations of what a knob does, as logarithms: what is usual of plans on CPUs. They
 * decide how soon the model believes in an effect, not whether it does. */
static const double usual[AB_KNOBS] = {0.6, 0.3, 0.3, 0.3, 0.15, 0.15, 0.05, 0.05};
/* An interaction, as a share of the geometric mean of its knobs. */
static const double together = 0.35;
/* For each doubling of threads, instances or batch, and what engines differ in that. */
static const double doubling = 0.5, doubling_of_engine = 0.15;
/* What is in no effect and no interaction of two. */
static const double own = 0.015;
/* Neighbouring shapes and batches are more alike than far ones: by doublings. */
static const double reach = 1.5, alike = 0.7;

struct ab_tune_model {
    const struct ab_space *space;
    double *effect[AB_KNOBS]; /* [levels][levels]: usual times how alike */
    double threads[AB_KNOB_VALUES], instances[AB_KNOB_VALUES], batch[AB_KNOB_VALUES]; /* log2 */
    int n, room;
    int *point;
    double *y, *variance, *factor, *inverse, *weight, *column; /* factor: Cholesky's, lower */
    double middle;
};

/* ---- how alike points are ---- */

static double near(double a, double b)
{
    return exp(-0.5 * (a - b) * (a - b) / (reach * reach));
}

static void fill_numbers(struct ab_tune_model *m)
{
    const struct ab_space *space = m->space;
    for (int i = 0; i < space->n_points; i++) {
        const struct ab_point *p = &space->points[i];
        m->threads[p->level[AB_KNOB_SHAPE]] = log2(p->deploy.threads);
        m->instances[p->level[AB_KNOB_SHAPE]] = log2(p->deploy.instances);
        m->batch[p->level[AB_KNOB_BATCH]] = log2(p->deploy.batch);
    }
}

static double likeness(const struct ab_tune_model *m, int knob, int a, int b)
{
    if (a == b) return 1;
    if (knob == AB_KNOB_BATCH) return alike * near(m->batch[a], m->batch[b]);
    if (knob == AB_KNOB_SHAPE)
        return alike * near(m->threads[a], m->threads[b]) * near(m->instances[a], m->instances[b]);
    return 0;
}

static bool fill_effects(struct ab_tune_model *m)
{
    for (int k = 0; k < AB_KNOBS; k++) {
        const int levels = m->space->knobs[k].count;
        m->effect[k] = malloc((size_t)(levels * levels) * sizeof *m->effect[k]);
        if (!m->effect[k]) return false;
        for (int a = 0; a < levels; a++)
            for (int b = 0; b < levels; b++)
                m->effect[k][a * levels + b] = usual[k] * likeness(m, k, a, b);
    }
    return true;
}

/* The covariance of the logarithms at two points, without what is their own. */
static double covariance(const struct ab_tune_model *m, int i, int j)
{
    const int *a = m->space->points[i].level, *b = m->space->points[j].level;
    double sum = 0, squares = 0, main = 0;
    for (int k = 0; k < AB_KNOBS; k++) {
        const double u = m->effect[k][a[k] * m->space->knobs[k].count + b[k]];
        sum += u;
        squares += u * u;
        main += usual[k] * u;
    }
    const int s = AB_KNOB_SHAPE, n = AB_KNOB_BATCH;
    const double slope = m->threads[a[s]] * m->threads[b[s]] +
                         m->instances[a[s]] * m->instances[b[s]] + m->batch[a[n]] * m->batch[b[n]];
    const bool same_engine = a[AB_KNOB_ENGINE] == b[AB_KNOB_ENGINE];
    /* The sum over pairs of knobs of the products of their parts. */
    const double pairs = 0.5 * (sum * sum - squares);
    return 1 + main + together * together * pairs +
           slope *
               (doubling * doubling + (same_engine ? doubling_of_engine * doubling_of_engine : 0));
}

/* ---- life ---- */

struct ab_tune_model *ab_tune_model_create(const struct ab_space *space)
{
    struct ab_tune_model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->space = space;
    fill_numbers(m);
    if (!fill_effects(m)) ab_tune_model_destroy(&m);
    return m;
}

static void free_rows(struct ab_tune_model *m)
{
    free(m->point);
    free(m->y);
    free(m->variance);
    free(m->factor);
    free(m->inverse);
    free(m->weight);
    free(m->column);
}

void ab_tune_model_destroy(struct ab_tune_model **model)
{
    if (!*model) return;
    for (int k = 0; k < AB_KNOBS; k++) free((*model)->effect[k]);
    free_rows(*model);
    free(*model);
    *model = NULL;
}

bool ab_tune_model_reserve(struct ab_tune_model *m, int n)
{
    if (n <= m->room) return true;
    const size_t room = (size_t)n + 64;
    free_rows(m);
    m->n = 0;
    m->point = malloc(room * sizeof *m->point);
    m->y = malloc(room * sizeof *m->y);
    m->variance = malloc(room * sizeof *m->variance);
    m->factor = malloc(room * room * sizeof *m->factor);
    m->inverse = malloc(room * sizeof *m->inverse);
    m->weight = malloc(room * sizeof *m->weight);
    m->column = malloc(room * sizeof *m->column);
    const bool good =
        m->point && m->y && m->variance && m->factor && m->inverse && m->weight && m->column;
    m->room = good ? (int)room : 0;
    return good;
}

/* ---- fitting ---- */

/* Of the covariances of what was seen. Variances keep it positive definite. */
static void factorise(struct ab_tune_model *m)
{
    const int n = m->n;
    for (int i = 0; i < n; i++) {
        double *row = m->factor + (size_t)i * (size_t)n;
        for (int j = 0; j <= i; j++) {
            const double *other = m->factor + (size_t)j * (size_t)n;
            double sum = covariance(m, m->point[i], m->point[j]);
            if (i == j) sum += own * own + m->variance[i];
            for (int k = 0; k < j; k++) sum -= row[k] * other[k];
            row[j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / other[j];
        }
    }
}

/* x: factor^-1 x. */
static void forward(const struct ab_tune_model *m, double *x)
{
    for (int i = 0; i < m->n; i++) {
        const double *row = m->factor + (size_t)i * (size_t)m->n;
        double sum = x[i];
        for (int k = 0; k < i; k++) sum -= row[k] * x[k];
        x[i] = sum / row[i];
    }
}

/* x: factor^-T x. */
static void backward(const struct ab_tune_model *m, double *x)
{
    for (int i = m->n - 1; i >= 0; i--) {
        const double *row = m->factor + (size_t)i * (size_t)m->n;
        x[i] /= row[i];
        for (int k = 0; k < i; k++) x[k] -= row[k] * x[i];
    }
}

/* The diagonal of the inverse covariance. */
static void invert_diagonal(struct ab_tune_model *m)
{
    const size_t n = (size_t)m->n;
    for (size_t j = 0; j < n; j++) {
        memset(m->column, 0, n * sizeof *m->column);
        m->column[j] = 1;
        double sum = 0;
        for (size_t i = j; i < n; i++) {
            const double *row = m->factor + i * n;
            double x = m->column[i];
            for (size_t k = j; k < i; k++) x -= row[k] * m->column[k];
            m->column[i] = x / row[i];
            sum += m->column[i] * m->column[i];
        }
        m->inverse[j] = sum;
    }
}

static void solve(struct ab_tune_model *m)
{
    factorise(m);
    for (int i = 0; i < m->n; i++) m->weight[i] = m->y[i] - m->middle;
    forward(m, m->weight);
    backward(m, m->weight);
}

/* Visits that fall behind what all others let expect, by more than chance does, may have been
 * disturbed: as far as they fall behind they say nothing. True: there were such. */
static bool doubt(struct ab_tune_model *m, const struct ab_seen *seen)
{
    enum { SURE = 5 }; /* times the variance: 2.2 standard deviations */
    bool any = false;
    for (int i = 0; i < m->n; i++) {
        const double residual = m->weight[i] / m->inverse[i]; /* left out, it is expected so much
                                                                 lower */
        if (!seen[i].doubtful || residual > 0) continue;
        if (residual * residual < SURE / m->inverse[i]) continue;
        m->variance[i] += residual * residual;
        any = true;
    }
    return any;
}

void ab_tune_model_fit(struct ab_tune_model *m, const struct ab_seen *seen, int n)
{
    m->n = n;
    m->middle = 0;
    for (int i = 0; i < n; i++) {
        m->point[i] = seen[i].point;
        m->y[i] = seen[i].y;
        m->variance[i] = seen[i].variance;
        m->middle += seen[i].y / n;
    }
    solve(m);
    invert_diagonal(m);
    for (int again = 0; again < 2 && doubt(m, seen); again++) {
        solve(m);
        invert_diagonal(m);
    }
}

/* ---- expecting ---- */

static double covariance_to(const struct ab_tune_model *m, int point, int row)
{
    return covariance(m, point, m->point[row]) + (m->point[row] == point ? own * own : 0);
}

double ab_tune_model_mean(const struct ab_tune_model *m, int point)
{
    double sum = m->middle;
    for (int i = 0; i < m->n; i++) sum += covariance_to(m, point, i) * m->weight[i];
    return sum;
}

double ab_tune_model_sd(struct ab_tune_model *m, int point)
{
    double left = covariance(m, point, point) + own * own;
    for (int i = 0; i < m->n; i++) m->column[i] = covariance_to(m, point, i);
    forward(m, m->column);
    for (int i = 0; i < m->n; i++) left -= m->column[i] * m->column[i];
    return sqrt(fmax(left, 0));
}

bool ab_tune_model_without(const struct ab_tune_model *m, int point, double *mean, double *sd)
{
    int i = 0;
    while (i < m->n && m->point[i] != point) i++;
    if (i == m->n) return false;
    *mean = m->y[i] - m->weight[i] / m->inverse[i];
    *sd = sqrt(fmax(1 / m->inverse[i] - m->variance[i], 0));
    return true;
}
