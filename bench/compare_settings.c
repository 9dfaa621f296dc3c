// SPDX-License-Identifier: Apache-2.0
// What `compare` and `gate` are asked for, read and done.
#include "compare.h"

#include "case.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "3%", "0.03". */
static bool parse_share(const char *text, double *share)
{
    char *end;
    *share = strtod(text, &end);
    if (*end == '%') *share /= 100, end++;
    return end != text && !*end && isfinite(*share) && *share > 0 && *share < 1;
}

static bool parse_ns(const char *text, double *ns)
{
    char *end;
    *ns = strtod(text, &end);
    return end != text && !*end && isfinite(*ns) && *ns >= 0;
}

static int options_of(const struct ab_compare_settings *s, struct ab_compare_options *o)
{
    const double reading = 10; /* less than what reading a clock once takes is nothing */
    const char *db = s->db ? s->db : ab_db_default();
    *o = (struct ab_compare_options){
        .least_ns = reading, .only = s->only, .cross = s->cross, .strict = s->strict};
    /* Noise floors are there if the store is; one that was named must be. */
    o->db = s->db || access(db, F_OK) == 0 ? db : NULL;
    if (s->max_slowdown && !parse_share(s->max_slowdown, &o->max_slowdown))
        return ab_complain(AB_EXIT_USAGE,
                           "--max-slowdown %s: not a share above 0 and below 1; write 3%% or 0.03",
                           s->max_slowdown);
    if (s->least && !parse_ns(s->least, &o->least_ns))
        return ab_complain(AB_EXIT_USAGE,
                           "--least-ns %s: not a time; write nanoseconds, such as 20", s->least);
    return 0;
}

/* Options that say what to measure say nothing of what was measured. */
static const char *measuring(const struct ab_compare_settings *s)
{
    if (s->build) return "--build";
    if (s->kernels) return "--kernels";
    if (s->cases.count) return "--case";
    if (s->cache) return "--cache";
    if (s->no_agree) return "--no-agree";
    return s->time > 0 ? "--time" : NULL;
}

/* Nothing comparable has an exit code of its own, and so has what the user broke off. */
static int complain(enum ab_status status, const struct ab_error *err)
{
    if (ab_interrupted) return ab_complain(AB_EXIT_INTERRUPTED, "%s", err->text);
    return status == AB_ERR_UNSUPPORTED ? ab_complain(AB_EXIT_NOTHING, "%s", err->text)
                                        : ab_complain_status(status, err);
}

static int do_stored(const struct ab_compare_settings *s, struct ab_comparison *c)
{
    struct ab_error err;
    const char *stray = measuring(s);
    if (s->sides.count != 2)
        return ab_complain(AB_EXIT_USAGE,
                           "%d run%s named; name two (A, then B), or a build with --against",
                           s->sides.count, s->sides.count == 1 ? " is" : "s are");
    if (stray)
        return ab_complain(AB_EXIT_USAGE, "%s: says what to measure; it goes with --against",
                           stray);
    enum ab_status status = ab_compare_load(s->sides.items[0], s->db, &c->a, &err);
    if (status == AB_OK) status = ab_compare_load(s->sides.items[1], s->db, &c->b, &err);
    if (status == AB_OK) status = ab_compare_judge(c, &err);
    return status == AB_OK ? 0 : complain(status, &err);
}

static enum ab_status cases_of(const struct ab_compare_settings *s, struct ab_cases *cases,
                               struct ab_error *err)
{
    if (!s->cases.count) return ab_cases_usual(s->kernels, cases, err);
    for (int i = 0; i < s->cases.count; i++)
        if (!ab_cases_add(cases, s->cases.items[i]))
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for cases");
    return AB_OK;
}

static int do_live(const struct ab_compare_settings *s, struct ab_comparison *c)
{
    struct ab_error err;
    struct ab_cases cases = {0};
    if (s->sides.count)
        return ab_complain(AB_EXIT_USAGE,
                           "'%s': saved runs and --against do not go together; leave one away",
                           s->sides.items[0]);
    if (s->cases.count && s->kernels)
        return ab_complain(AB_EXIT_USAGE, "--case and --kernels: leave one away");
    enum ab_status status = cases_of(s, &cases, &err);
    const struct ab_compare_live live = {.a = s->against,
                                         .b = s->build,
                                         .cases = &cases,
                                         .cache = s->cache,
                                         .seconds = s->time,
                                         .no_agree = s->no_agree,
                                         .quiet = s->quiet};
    if (status == AB_OK) status = ab_compare_measure(&live, c, &err);
    ab_cases_free(&cases);
    return status == AB_OK ? 0 : complain(status, &err);
}

int ab_compare_do(const struct ab_compare_settings *s, struct ab_comparison *c)
{
    const int code = options_of(s, &c->options);
    if (code) return code;
    return s->against ? do_live(s, c) : do_stored(s, c);
}
