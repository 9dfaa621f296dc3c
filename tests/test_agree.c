// SPDX-License-Identifier: Apache-2.0
// Metrics against hand-computed values, the classes of limits, and the referee: rounding agrees,
// bugs do not, flips are replayed, a damaged cache entry is recomputed.
#include "agree/agree.h"
#include "agree/metrics.h"
#include "agree/referee.h"
#include "files.h"
#include "court.h"

static bool near(double got, double want)
{
    return fabs(got - want) <= 1e-12;
}

/* ---- metrics ---- */

TEST(errors)
{
    const double ref[] = {3, 0, -4, 0}, got[] = {3, 1, -4, 0}, zero[4] = {0};
    CHECK(near(ab_metric_rel_l2(ref, got, 4), 0.2), "rel_l2");
    CHECK(near(ab_metric_max_err(ref, got, 4), 0.25), "max_err");
    CHECK(ab_metric_rel_l2(ref, ref, 4) == 0 && ab_metric_max_err(ref, ref, 4) == 0, "equal");
    CHECK(isnan(ab_metric_rel_l2(zero, got, 4)) && isnan(ab_metric_max_err(zero, got, 4)),
          "zero reference");
}

TEST(correlations)
{
    const double a[] = {1, 0}, b[] = {1, 1}, zero[2] = {0}, same[3] = {5, 5, 5};
    const double x[] = {1, 2, 3}, y[] = {2, 4, 7}, down[] = {-1, -2, -3};
    CHECK(near(ab_metric_cosine(a, b, 2), sqrt(0.5)), "cosine");
    CHECK(isnan(ab_metric_cosine(a, zero, 2)), "cosine with 0");
    CHECK(near(ab_metric_pearson(x, y, 3), 5 / sqrt(2 * 38.0 / 3)), "pearson");
    CHECK(near(ab_metric_pearson(x, down, 3), -1), "opposite");
    CHECK(isnan(ab_metric_pearson(x, same, 3)) && isnan(ab_metric_spearman(same, x, 3)),
          "constant");
}

/* Equal values share the mean of their ranks: 0, 1.5, 1.5, 3 against 0, 2, 1, 3. */
TEST(spearman_shares_ranks)
{
    const double a[] = {10, 20, 20, 30}, b[] = {-5, 7, 0, 100};
    CHECK(near(ab_metric_spearman(a, b, 4), 4.5 / sqrt(4.5 * 5)), "ties");
    const double cubes[] = {-8, 0.001, 27, 1000}, line[] = {-2, 0.1, 3, 10};
    CHECK(near(ab_metric_spearman(cubes, line, 4), 1), "monotone");
    const double back[] = {10, 3, 0.1, -2};
    CHECK(near(ab_metric_spearman(cubes, back, 4), -1), "reversed");
}

TEST(overlap)
{
    const double ref[] = {9, 8, 7, 1, 0, -1}, got[] = {9, 0, 8, 7, 0, -1};
    CHECK(near(ab_metric_iou(ref, got, 6, 3, 0), 0.5), "two of four");
    CHECK(ab_metric_iou(ref, ref, 6, 3, 0) == 1, "equal");
    CHECK(ab_metric_iou(ref, got, 6, 6, 0) == 1, "all");
    CHECK(ab_metric_iou(ref, got, 6, 2, 1.0) == 1, "the second and third of ref are a tie");
    const double flat[] = {1, 1, 1, 1}, last[] = {0, 0, 1, 1};
    CHECK(near(ab_metric_iou(last, flat, 4, 2, -1), 0), "of equal values the lower index");
}

/* SSIM by its definition, every window on its own. */
static double slow_ssim(const double *a, const double *b, int h, int w)
{
    const int wh = h < 7 ? h : 7, ww = w < 7 ? w : 7, n = wh * ww;
    double low = a[0], high = a[0], total = 0;
    for (int i = 0; i < h * w; i++) {
        low = fmin(low, fmin(a[i], b[i]));
        high = fmax(high, fmax(a[i], b[i]));
    }
    const double c1 = 1e-4 * (high - low) * (high - low), c2 = 9e-4 * (high - low) * (high - low);
    for (int y = 0; y + wh <= h; y++)
        for (int x = 0; x + ww <= w; x++) {
            double ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
            for (int i = 0; i < n; i++) {
                ma += a[(y + i / ww) * w + x + i % ww] / n;
                mb += b[(y + i / ww) * w + x + i % ww] / n;
            }
            for (int i = 0; i < n; i++) {
                const double da = a[(y + i / ww) * w + x + i % ww] - ma;
                const double db = b[(y + i / ww) * w + x + i % ww] - mb;
                va += da * da / (n - 1);
                vb += db * db / (n - 1);
                cov += da * db / (n - 1);
            }
            total +=
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        }
    return total / ((h - wh + 1) * (w - ww + 1));
}

TEST(similarity)
{
    struct rng r = rng_new(1);
    static const int sizes[][2] = {{7, 7}, {11, 9}, {3, 20}, {5, 2}, {20, 31}};
    for (int i = 0; i < 5; i++) {
        const int h = sizes[i][0], w = sizes[i][1];
        double a[640], b[640];
        for (int k = 0; k < h * w; k++) {
            a[k] = 100 + rng_normal(&r);
            b[k] = a[k] + 0.3 * rng_normal(&r);
        }
        context("%dx%d", h, w);
        CHECK(near(ab_metric_ssim(a, a, h, w), 1), "equal maps");
        CHECK(fabs(ab_metric_ssim(a, b, h, w) - slow_ssim(a, b, h, w)) <= 1e-9, "%.12g not %.12g",
              ab_metric_ssim(a, b, h, w), slow_ssim(a, b, h, w));
    }
    const double one = 3;
    CHECK(ab_metric_ssim(&one, &one, 1, 1) == 1, "a single pixel");
}

/* ---- maps ---- */

static const struct ab_limits *limits_of(const char *spec, const struct ab_graph *g)
{
    struct ab_error err = {""};
    struct ab_method *method = NULL;
    CHECK(!ab_method_parse(spec, &method, &err), "%s", err.text);
    const struct ab_limits *limits = ab_agree_limits(&method->composite, g);
    ab_method_destroy(&method);
    return limits;
}

static struct ab_agreement compare(const double *ref, const double *got, int n, struct ab_dims dims)
{
    struct ab_graph *g = net_chain(1, true);
    struct ab_agreement result;
    ab_agree_maps(ref, got, n, dims, limits_of("gradient", g), &result);
    ab_graph_destroy(&g);
    return result;
}

TEST(verdicts)
{
    enum { N = 2, COUNT = 3 * 20 * 20 };
    const struct ab_dims dims = {3, 20, 20};
    static double ref[N * COUNT], got[N * COUNT];
    struct rng r = rng_new(2);
    for (int i = 0; i < N * COUNT; i++) ref[i] = got[i] = rng_normal(&r);
    struct ab_agreement a = compare(ref, got, N, dims);
    CHECK(a.verdict == AB_AGREE && a.rel_l2 == 0 && a.ssim == 1 && !*a.why, "equal: %s", a.why);
    for (int i = 0; i < N * COUNT; i++) got[i] = ref[i] * (1 + 1e-7 * rng_normal(&r));
    a = compare(ref, got, N, dims);
    CHECK(a.verdict == AB_AGREE && a.err_over_bound > 0 && a.err_over_bound < 1, "%s", a.why);
    /* The second image alone is off, and small: it must not hide behind the first. */
    for (int i = 0; i < COUNT; i++) ref[COUNT + i] *= 1e-9, got[COUNT + i] *= 1e-9;
    got[COUNT + 5] += 1e-12;
    a = compare(ref, got, N, dims);
    CHECK(a.verdict == AB_DISAGREE && a.max_err > 1e-5, "one element: %s", a.why);
    CHECK(strstr(a.why, "max_err") || strstr(a.why, "rel_l2"), "%s", a.why);
    got[0] = (double)NAN;
    CHECK(compare(ref, got, N, dims).verdict == AB_DISAGREE, "NaN");
    got[0] = (double)INFINITY;
    CHECK(compare(ref, got, N, dims).verdict == AB_DISAGREE, "Inf");
}

/* Gates that are nearly constant give maps of few levels, each some roundings wide. */
TEST(order_within_rounding_says_nothing)
{
    enum { COUNT = 18 * 18 };
    const struct ab_dims dims = {1, 18, 18};
    static double ref[COUNT], got[COUNT];
    struct rng r = rng_new(4);
    for (int i = 0; i < COUNT; i++) {
        const double level = i % 3 - 1;
        ref[i] = level * (1 - 1e-7 * rng_between(&r, 0, 4));
        got[i] = ref[i] + level * 2e-7 * rng_normal(&r);
    }
    struct ab_agreement a = compare(ref, got, 1, dims);
    CHECK(a.verdict == AB_AGREE, "%s", a.why);
    /* Levels that are told apart are ranked. */
    for (int i = 0; i < COUNT; i++) got[i] = i % 17 ? got[i] : 0.5 * got[i];
    a = compare(ref, got, 1, dims);
    CHECK(a.verdict == AB_DISAGREE && a.spearman < 1 - 1e-5, "%g", a.spearman);
}

TEST(nothing_to_compare)
{
    const struct ab_dims dims = {1, 8, 8};
    double zero[64] = {0}, flat[64], ramp[64];
    for (int i = 0; i < 64; i++) flat[i] = 2, ramp[i] = i;
    CHECK(compare(zero, zero, 1, dims).verdict == AB_MISTRUSTED, "zero");
    CHECK(compare(flat, ramp, 1, dims).verdict == AB_MISTRUSTED, "constant");
    const struct ab_agreement a = compare(ramp, flat, 1, dims);
    CHECK(a.verdict == AB_DISAGREE && *a.why, "a constant map where the reference has none");
    zero[3] = (double)NAN;
    CHECK(compare(zero, ramp, 1, dims).verdict == AB_MISTRUSTED, "reference with NaN");
}

TEST(classes)
{
    struct ab_graph *chain = net_chain(1, true), *branches = net_branches(1);
    static const struct {
        const char *spec, *on_chain, *on_branches;
    } rows[] = {{"gradient", "W", "W"},
                {"guided-backprop", "W", "W"},
                {"rectgrad", "W", "W"},
                {"lrp-zplus", "W", "I"}, /* branches shares at a sum of signed terms */
                {"lrp-zplus:bias=signed", "I", "I"},
                {"dtd:low=-3,high=3", "W", "I"},
                {"lrp-alpha-beta", "I", "I"},
                {"lrp-alpha-beta:alpha=1,beta=0", "W", "I"},
                {"lrp-gamma", "W", "I"},
                {"lrp-gamma:gamma=0.01", "I", "I"},
                {"lrp-gamma:form=original", "I", "I"},
                {"lrp-flat", "I", "I"},
                {"lrp-wsquare", "W", "I"},
                {"excitation-backprop", "W", "I"},
                {"excitation-backprop:contrast=1", "D", "D"},
                {"dtd:compat=innvestigate", "W", "W"},
                {"composite:rules=first=flat;*=zplus", "W", "I"},
                {"composite:rules=*=flat", "I", "I"},
                {"composite:rules=first=flat;*=epsilon", "I", "I"},
                {"lrp-epsilon", "I", "I"},
                {"lrp-0", "I", "I"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *a = limits_of(rows[i].spec, chain)->name;
        const char *b = limits_of(rows[i].spec, branches)->name;
        CHECK(!strcmp(a, rows[i].on_chain), "%s on a chain is %s", rows[i].spec, a);
        CHECK(!strcmp(b, rows[i].on_branches), "%s on branches is %s", rows[i].spec, b);
    }
    ab_graph_destroy(&chain);
    ab_graph_destroy(&branches);
}

/* ---- the referee ---- */

TEST(backends_agree)
{
    struct ab_graph *graphs[] = {net_chain(21, true), net_branches(22)};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int k = 0; k < 2; k++) {
        struct court c;
        court_open(&c, graphs[k], specs, METHODS, NULL);
        for (int b = 0; b < backends; b++) {
            context("%s on %s", names[b], ab_graph_name(graphs[k]));
            court_judge(&c, graphs[k], names[b]);
            for (int m = 0; m < METHODS; m++)
                CHECK(c.results[m].verdict == AB_AGREE && c.results[m].illegal_flips == 0, "%s: %s",
                      specs[m], c.results[m].why);
        }
        court_close(&c);
        ab_graph_destroy(&graphs[k]);
    }
}

/* One weight of a middle layer off by a tenth: its gates or its map tell. */
TEST(several_targets_agree)
{
    static const char *const some[] = {"gradient", "gradient:seed=softmax",
                                       "lrp-zplus:seed=contrast", "lrp-epsilon",
                                       "rectgrad:q=90,seed=contrast,against=0"};
    static const int asked[] = {1, AB_TARGET_TOP, AB_TARGET_TOP - 2, 4, 3, AB_TARGET_TOP - 1};
    struct ab_graph *graphs[] = {net_chain(28, true), net_branches(29)};
    char names[12][32];
    const int backends = backend_names(names, 12);
    for (int k = 0; k < 2; k++) {
        struct court c;
        court_open(&c, graphs[k], some, 5, NULL);
        ab_referee_destroy(&c.referee);
        c.targets = 3;
        c.asked = asked;
        court_call(&c, graphs[k], NULL);
        for (int b = 0; b < backends; b++) {
            context("%s on %s", names[b], ab_graph_name(graphs[k]));
            court_judge(&c, graphs[k], names[b]);
            for (int m = 0; m < 15; m++)
                CHECK(c.results[m].verdict == AB_AGREE && c.results[m].illegal_flips == 0,
                      "%s, target %d: %s", some[m / 3], m % 3, c.results[m].why);
        }
        court_close(&c);
        ab_graph_destroy(&graphs[k]);
    }
}

TEST(a_bug_disagrees)
{
    struct ab_graph *good = net_chain(23, true), *bad = net_chain(23, true);
    for (int n = 0; n < bad->n_nodes; n++)
        if (!strcmp(bad->nodes[n].name, "conv2")) bad->nodes[n].wei[100] *= 1.1f;
    struct court c;
    court_open(&c, good, specs, METHODS, NULL);
    court_judge(&c, bad, "native");
    for (int m = 0; m < METHODS; m++) {
        CHECK(c.results[m].verdict == AB_DISAGREE, "%s: %s", specs[m],
              ab_verdict_name(c.results[m].verdict));
        CHECK(*c.results[m].why, "%s says nothing", specs[m]);
    }
    court_close(&c);
    ab_graph_destroy(&good);
    ab_graph_destroy(&bad);
}

/* A chain whose classes 1 and 2 differ in their bias alone: by `gap`. */
static struct ab_graph *net_close_race(float gap)
{
    struct ab_graph *g = net_chain(27, true);
    struct ab_node *last = &g->nodes[g->output];
    const size_t in = last->wei_count / (size_t)last->dims.c;
    memcpy(last->wei + 2 * in, last->wei + in, sizeof *last->wei * in);
    last->bias[2] = last->bias[1] + gap;
    return g;
}

/* Class 1 is ahead in the reference, class 2 in the backend. */
static void judge_race(struct court *c, float gap, const char *const *names, int count,
                       const int *asked, int targets)
{
    struct ab_graph *g = net_close_race(-gap), *other = net_close_race(gap);
    court_open(c, g, names, count, NULL);
    ab_referee_destroy(&c->referee);
    c->targets = targets;
    c->asked = asked;
    court_call(c, g, NULL);
    court_judge(c, other, "native");
    court_close(c);
    ab_graph_destroy(&g);
    ab_graph_destroy(&other);
}

/* Every rank is asked for, so that the race is run at two of them. */
TEST(ranks_and_rivals_may_flip)
{
    static const char *const two[] = {"gradient", "gradient:seed=contrast"};
    static const int ranks[] = {AB_TARGET_TOP, AB_TARGET_TOP - 1, AB_TARGET_TOP - 2,
                                AB_TARGET_TOP, AB_TARGET_TOP - 1, AB_TARGET_TOP - 2};
    static const int rest[] = {AB_TARGET_TOP - 3, AB_TARGET_TOP - 4, AB_TARGET_TOP - 5,
                               AB_TARGET_TOP - 3, AB_TARGET_TOP - 4, AB_TARGET_TOP - 5};
    struct court c;
    long flips = 0;
    for (int half = 0; half < 2; half++) {
        judge_race(&c, 1e-6f, two, 1, half ? rest : ranks, 3);
        for (int t = 0; t < 3; t++) {
            CHECK(c.results[t].verdict == AB_AGREE, "%s", c.results[t].why);
            flips += c.results[t].flips;
        }
    }
    CHECK(flips == 2 * BATCH, "%ld flips of ranks", flips);
    flips = 0;
    for (int half = 0; half < 2; half++) {
        judge_race(&c, 1e-2f, two, 1, half ? rest : ranks, 3);
        for (int t = 0; t < 3; t++) {
            CHECK((c.results[t].verdict == AB_DISAGREE) == (c.results[t].illegal_flips > 0), "%s",
                  c.results[t].why);
            flips += c.results[t].illegal_flips;
        }
    }
    CHECK(flips > 0, "a class far off is no illegal choice");
}

TEST(flips_are_replayed)
{
    struct court c;
    judge_balance(&c, 1e-9f, -1e-9f, specs, 2);
    for (int m = 0; m < 2; m++) {
        CHECK(c.results[m].flips == 16 * BATCH, "%s: %ld flips", specs[m], c.results[m].flips);
        CHECK(c.results[m].verdict == AB_AGREE && !c.results[m].illegal_flips, "%s: %s", specs[m],
              c.results[m].why);
    }
    judge_balance(&c, -1e-9f, 1e-9f, specs, 2);
    CHECK(c.results[0].flips == 16 * BATCH && c.results[0].verdict == AB_AGREE, "forced open: %s",
          c.results[0].why);
    judge_balance(&c, 1e-2f, -1e-2f, specs, 2);
    for (int m = 0; m < 2; m++) {
        CHECK(c.results[m].verdict == AB_DISAGREE, "%s: %s", specs[m], c.results[m].why);
        CHECK(c.results[m].illegal_flips == 16 * BATCH, "%ld", c.results[m].illegal_flips);
        CHECK(strstr(c.results[m].why, "ReLU gate at 'relu'"), "%s", c.results[m].why);
    }
}

/* With a denominator of 1e-7 or 2e-7 and eps = 1e-6, the shares differ by half: only a replay that
 * takes the denominator over can agree. */
TEST(denominators_are_adopted)
{
    static const char *const names[] = {"lrp-epsilon"};
    struct court c;
    judge_balance(&c, 1e-7f, 2e-7f, names, 1);
    CHECK(c.results[0].verdict == AB_AGREE, "%s", c.results[0].why);
    CHECK(c.results[0].adopted == 16 * BATCH && c.results[0].flips == 0, "%ld adopted, %ld flips",
          c.results[0].adopted, c.results[0].flips);
    judge_balance(&c, 1e-4f, 2e-4f, names, 1);
    CHECK(c.results[0].verdict == AB_DISAGREE, "a difference beyond rounding");
}

TEST(refuses_other_programs)
{
    struct ab_graph *chain = net_chain(24, true), *branches = net_branches(24);
    struct ab_error err = {""};
    struct ab_plan *plan = NULL;
    struct court c;
    court_open(&c, chain, specs, 2, NULL);
    const struct ab_plan_options options = {.batch = BATCH, .retain = true};
    CHECK(!ab_plan_create(branches, (const struct ab_method *const *)c.methods, 2, &options, &plan,
                          &err),
          "%s", err.text);
    CHECK(ab_referee_judge(c.referee, plan, c.results, &err) == AB_ERR_ARG && *err.text, "judged");
    ab_plan_destroy(&plan);
    court_close(&c);
    ab_graph_destroy(&chain);
    ab_graph_destroy(&branches);
}

/* ---- the cache ---- */

static char *only_entry(const char *dir)
{
    DIR *d = opendir(dir);
    char *path = NULL;
    CHECK(d, "no cache directory");
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        CHECK(!path, "more than one entry");
        path = malloc(1024);
        CHECK(path, "out of memory");
        snprintf(path, 1024, "%s/%s", dir, e->d_name);
    }
    closedir(d);
    CHECK(path, "no entry");
    return path;
}

/* Overwrites byte `at` (from the end if negative) and says what it was. */
static int exchange(const char *path, long at, int byte)
{
    FILE *f = fopen(path, "r+b");
    CHECK(f && !fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), "%s", path);
    const int old = getc(f);
    CHECK(!fseek(f, -1, SEEK_CUR) && putc(byte, f) == byte && !fclose(f), "%s", path);
    return old;
}

static void check_same_maps(const struct court *a, const struct court *b, const struct ab_graph *g)
{
    for (int m = 0; m < a->count; m++)
        CHECK(!memcmp(ab_referee_map(a->referee, m), ab_referee_map(b->referee, m),
                      sizeof(double) * input_count(g, BATCH)),
              "%s differs", specs[m]);
}

TEST(caches)
{
    struct ab_graph *g = net_chain(25, true);
    char dir[600];
    snprintf(dir, sizeof dir, "%s", temp_path("cache"));
    struct court first, again;
    court_open(&first, g, specs, METHODS, dir);
    char *path = only_entry(dir);
    court_open(&again, g, specs, METHODS, dir);
    check_same_maps(&first, &again, g);
    court_judge(&again, g, "native"); /* decisions from the cache; replays still work */
    for (int m = 0; m < METHODS; m++)
        CHECK(again.results[m].verdict == AB_AGREE, "%s: %s", specs[m], again.results[m].why);
    court_close(&again);
    /* A changed byte anywhere: recomputed and rewritten. */
    static const long places[] = {0, 9, 17, 25, 40, 1000, -1, -300};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        context("byte %ld", places[i]);
        const int old = exchange(path, places[i], 0);
        exchange(path, places[i], old ^ 0x55);
        court_open(&again, g, specs, METHODS, dir);
        check_same_maps(&first, &again, g);
        court_close(&again);
        CHECK(exchange(path, places[i], old) == old, "not rewritten");
    }
    CHECK(!truncate(path, 1234), "truncate");
    court_open(&again, g, specs, METHODS, dir);
    check_same_maps(&first, &again, g);
    court_close(&again);
    court_close(&first);
    /* Other weights are another entry. */
    remove(path);
    g->nodes[1].wei[0] += 1;
    court_open(&again, g, specs, METHODS, dir);
    char *other = only_entry(dir);
    CHECK(strcmp(path, other) != 0, "one entry for two networks");
    court_close(&again);
    remove(other);
    free(path);
    free(other);
    /* A directory that cannot be is no error. */
    court_open(&again, g, specs, 1, "/dev/null/nowhere");
    court_close(&again);
    ab_graph_destroy(&g);
}

/* What another build left there is not believed. */
TEST(caches_of_other_builds)
{
    static const char *const methods[] = {"gradient"};
    struct ab_graph *g = net_chain(26, true);
    char dir[600], wanted[64];
    snprintf(dir, sizeof dir, "%s", temp_path("cache_of_builds"));
    struct court c;
    court_open(&c, g, methods, 1, dir);
    const char *sources = ab_referee_sources();
    CHECK(strlen(sources) == 64 && strspn(sources, "0123456789abcdef") == 64, "'%s'", sources);
    CHECK(ab_referee_hash(c.referee, sources) != ab_referee_hash(c.referee, "another build's"),
          "one hash for two builds");
    snprintf(wanted, sizeof wanted, "/reference-%016llx.bin",
             (unsigned long long)ab_referee_hash(c.referee, sources));
    char *path = only_entry(dir);
    CHECK(strstr(path, wanted), "%s, not %s", path, wanted);
    court_close(&c);
    remove(path);
    free(path);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(errors),
                                         CASE(correlations),
                                         CASE(spearman_shares_ranks),
                                         CASE(overlap),
                                         CASE(similarity),
                                         CASE(verdicts),
                                         CASE(order_within_rounding_says_nothing),
                                         CASE(nothing_to_compare),
                                         CASE(classes),
                                         CASE(backends_agree),
                                         CASE(several_targets_agree),
                                         CASE(a_bug_disagrees),
                                         CASE(ranks_and_rivals_may_flip),
                                         CASE(flips_are_replayed),
                                         CASE(denominators_are_adopted),
                                         CASE(refuses_other_programs),
                                         CASE(caches),
                                         CASE(caches_of_other_builds)};
TEST_MAIN("agree", cases)
