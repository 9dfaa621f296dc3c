// SPDX-License-Identifier: Apache-2.0
// Intervals of quantiles, and limits on them.
#include "percentile.h"

#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- order statistics ---- */

/* Where terms of Binomial(n, p) begin to count: by Bernstein's inequality all below sum to less
 * than exp(-70), whatever n and p. */
static int first_term(int n, double p)
{
    const double mean = n * p, deviation = sqrt(mean * (1 - p));
    const double first = floor(mean - 12 * deviation - 40);
    return first > 0 ? (int)first : 0;
}

/* In logarithms, since (1-p)^n is 0 in double for a thousand samples. */
int ab_order_rank(int n, double p, double tail)
{
    const double odds = log(p) - log1p(-p);
    int k = first_term(n, p);
    double term =
        lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) + (n - k) * log1p(-p);
    double sum = 0;
    for (; k < n; k++) {
        sum += exp(term);
        if (sum > tail) break;
        term += log((n - k) / (k + 1.0)) + odds;
    }
    return k;
}

struct ab_percentile ab_percentile_of_clumps(const double *sorted, int count, double clumps,
                                             double q, double confidence)
{
    struct ab_percentile p = {(double)NAN, (double)NAN, (double)NAN};
    if (count < 1) return p;
    const int n = (int)fmax(1, floor(count / clumps));
    const int low = ab_order_rank(n, q, 1 - confidence),
              high = ab_order_rank(n, 1 - q, 1 - confidence);
    p.value = ab_quantile(sorted, count, q);
    /* Of what the clump of that rank may hold, the far end. */
    if (low) p.low = sorted[(int)((low - 1) * clumps)];
    if (high) p.high = sorted[count - 1 - (int)((high - 1) * clumps)];
    return p;
}

int ab_percentile_least(double q, double confidence)
{
    const double tail = 1 - confidence;
    int n = (int)fmax(1, ceil(log(tail) / log(q)) - 1);
    while (ab_order_rank(n, 1 - q, tail) == 0) n++;
    return n;
}

/* ---- limits: the text ---- */

/* Digits with at most one point among them; nothing else that strtod takes. */
static bool read_number(const char **text, double *value)
{
    const size_t whole = strspn(*text, "0123456789");
    size_t length = whole;
    if (!whole || whole > 9) return false;
    if ((*text)[whole] == '.') {
        const size_t fraction = strspn(*text + whole + 1, "0123456789");
        if (!fraction || fraction > 9) return false;
        length += 1 + fraction;
    }
    *value = strtod(*text, NULL);
    *text += length;
    return true;
}

/* What people write where no percentile can stand. */
static const char *hint(const char *text)
{
    static const struct {
        const char *word, *hint;
    } words[] = {
        {"max", "no number of requests bounds the longest: limit p99.9 instead"},
        {"worst", "no number of requests bounds the longest: limit p99.9 instead"},
        {"mean", "a mean says nothing about single requests: limit p50, p95 or p99"},
        {"avg", "a mean says nothing about single requests: limit p50, p95 or p99"},
        {"median", "the median is p50"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(text, words[i].word, strlen(words[i].word))) return words[i].hint;
    return "write a percentile and a limit, such as p99=80ms";
}

static enum ab_status parse_quantile(const char *text, const char **rest, double *quantile,
                                     struct ab_error *err)
{
    double percent;
    *rest = text + 1;
    if (*text != 'p' || !read_number(rest, &percent) || **rest != '=')
        return ab_fail(err, AB_ERR_ARG, "SLO '%.40s': %s", text, hint(text));
    if (percent >= 100)
        return ab_fail(err, AB_ERR_ARG,
                       "SLO '%.40s': p100 is the longest of all, which no number of requests "
                       "bounds: limit p99.9 instead",
                       text);
    /* A million requests decide no more than that. */
    if (percent < 1 || percent > 99.999)
        return ab_fail(err, AB_ERR_ARG, "SLO '%.40s': percentiles go from p1 to p99.999", text);
    *rest += 1;
    *quantile = percent / 100;
    return AB_OK;
}

static enum ab_status parse_limit(const char *text, const char *limit, double *ns,
                                  struct ab_error *err)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    const char *unit = limit;
    double value, scale = 0;
    if (!read_number(&unit, &value))
        return ab_fail(err, AB_ERR_ARG,
                       "SLO '%.40s': '%.20s' is no time; write the limit as 80ms, 1.5s or 500us",
                       text, limit);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(unit, units[i].unit)) scale = units[i].ns;
    if (scale <= 0)
        return ab_fail(err, AB_ERR_ARG, "SLO '%.40s': %s%.20s%s; units are us, ms and s", text,
                       *unit ? "'" : "the limit has no unit", unit, *unit ? "' is no unit" : "");
    *ns = value * scale;
    /* A clock tells microseconds; nobody waits for an hour. */
    if (*ns < 1e3 || *ns > 3600e9)
        return ab_fail(err, AB_ERR_ARG, "SLO '%.40s': limits go from 1us to 3600s", text);
    return AB_OK;
}

enum ab_status ab_slo_parse(const char *text, struct ab_slo *slo, struct ab_error *err)
{
    const char *limit;
    struct ab_slo got;
    enum ab_status status = parse_quantile(text, &limit, &got.quantile, err);
    if (status == AB_OK) status = parse_limit(text, limit, &got.limit_ns, err);
    if (status == AB_OK) *slo = got;
    return status;
}

void ab_slo_text(const struct ab_slo *slo, char *text, size_t size)
{
    const bool s = slo->limit_ns >= 1e9, ms = !s && slo->limit_ns >= 1e6;
    snprintf(text, size, "p%.10g=%.10g%s", 100 * slo->quantile,
             slo->limit_ns / (s    ? 1e9
                              : ms ? 1e6
                                   : 1e3),
             s    ? "s"
             : ms ? "ms"
                  : "us");
}

/* ---- limits: what is known ---- */

const char *ab_slo_state_name(enum ab_slo_state state)
{
    static const char *const names[] = {"open", "held", "broken"};
    return names[state];
}

/* ---- limits: looking early ---- */

/* The level that clumps are seen at: a tenth of latencies lie above, or as many as the limit's
 * quantile leaves. Of a sample, which need not be exact. */
static double clump_level(const double *latency_ns, int count, double q)
{
    enum { SAMPLE = 1024 };
    double sample[SAMPLE];
    const int stride = 1 + (count - 1) / SAMPLE;
    int n = 0;
    for (int i = 0; i < count; i += stride) sample[n++] = latency_ns[i];
    ab_sort(sample, (size_t)n);
    return ab_quantile(sample, n, q);
}

/* Below the longest, where so few differ that the level is the longest itself. */
static double below_longest(const double *latency_ns, int count, double level)
{
    double longest = -(double)INFINITY, next = -(double)INFINITY;
    for (int i = 0; i < count; i++) longest = fmax(longest, latency_ns[i]);
    if (level < longest) return level;
    for (int i = 0; i < count; i++)
        if (latency_ns[i] < longest) next = fmax(next, latency_ns[i]);
    return isfinite(next) ? next : level;
}

void ab_clumps_add(struct ab_clumps *c, double quantile, const double *latency_ns, int count)
{
    if (count < 1) return;
    const double level =
        below_longest(latency_ns, count, clump_level(latency_ns, count, fmin(0.9, quantile)));
    c->count += count;
    for (int i = 0; i < count; i++) {
        if (!(latency_ns[i] > level)) continue;
        c->above++;
        c->runs += i == 0 || !(latency_ns[i - 1] > level);
    }
}

double ab_clumps_mean(const struct ab_clumps *c)
{
    if (!c->runs) return 1;
    /* Runs of independent ones have a mean of 1 / share below, geometrically distributed; what
     * differs from that by less than three deviations is chance. */
    const double below = 1 - (double)c->above / c->count;
    const double clumps = (double)c->above / c->runs * below;
    return clumps > 1 + 3 * sqrt((1 - below) / c->runs) ? clumps : 1;
}

double ab_slo_clumps(const struct ab_slo *slo, const double *latency_ns, int count)
{
    struct ab_clumps c = {0};
    ab_clumps_add(&c, slo->quantile, latency_ns, count);
    return ab_clumps_mean(&c);
}

/* What look number `before` + 1 of a side may be wrong with. */
static double share(double confidence, int before)
{
    return (1 - confidence) / ((before + 1.0) * (before + 2.0));
}

enum ab_slo_state ab_slo_look_at(struct ab_slo_looks *looks, const struct ab_slo *slo, double count,
                                 double beyond, double confidence)
{
    const double q = slo->quantile;
    const int n = (int)fmax(1, floor(count));
    const int low = ab_order_rank(n, q, share(confidence, looks->broken)),
              high = ab_order_rank(n, 1 - q, share(confidence, looks->held));
    /* Looks that cannot decide are free: whether they can is a matter of counts. */
    looks->broken += low > 0;
    looks->held += high > 0;
    if (high && ceil(beyond) < high) return AB_SLO_HELD;
    return low && n - floor(beyond) < low ? AB_SLO_BROKEN : AB_SLO_OPEN;
}

int ab_slo_looks_least(const struct ab_slo_looks *looks, const struct ab_slo *slo,
                       double confidence)
{
    return ab_percentile_least(slo->quantile, 1 - share(confidence, looks->held));
}

int ab_slo_beyond(const struct ab_slo *slo, const double *latency_ns, int count)
{
    int within = 0;
    for (int i = 0; i < count; i++) within += latency_ns[i] <= slo->limit_ns;
    return count - within;
}

enum ab_slo_state ab_slo_look(struct ab_slo_looks *looks, const struct ab_slo *slo,
                              const double *latency_ns, int count, double confidence, bool last)
{
    enum { FIRST = 4 };
    if (count < 1 || (!last && count < (looks->next ? looks->next : FIRST))) return AB_SLO_OPEN;
    const double clumps = ab_slo_clumps(slo, latency_ns, count);
    const double beyond = ab_slo_beyond(slo, latency_ns, count);
    const enum ab_slo_state state =
        ab_slo_look_at(looks, slo, count / clumps, beyond / clumps, confidence);
    looks->next = 2 * count;
    const int least = ab_slo_looks_least(looks, slo, confidence);
    if (count < least && least < looks->next) looks->next = least;
    return state;
}
