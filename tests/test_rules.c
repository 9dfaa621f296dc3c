// SPDX-License-Identifier: Apache-2.0
// The rules of relevance propagation against their definitions and each other, on every backend and
// instruction set, and users' own composites: what they mean and what is refused.
#include "nets.h"

#include <stdio.h>
#include <unistd.h>

enum { BATCH = 3, MAX_BACKENDS = 12 };

static void for_backends(void (*check)(const char *backend))
{
    char names[MAX_BACKENDS][32];
    const int count = backend_names(names, MAX_BACKENDS);
    CHECK(count >= 3, "only %d backends", count);
    for (int i = 0; i < count; i++) {
        context("backend %s", names[i]);
        check(names[i]);
    }
}

/* Two specs give the same maps within `limit` in relative L2; 0: bit for bit, but for oneDNN, where
 * each plan takes the algorithms that it timed best. */
static void check_same(const struct job *job, const char *one, const char *other, double limit)
{
    const size_t count = input_count(job->graph, job->batch);
    float *a = run_method(job, one, NULL), *b = run_method(job, other, NULL);
    if (limit == 0 && !strcmp(job->backend, "onednn")) limit = 1e-4;
    const double off = relative_l2(a, b, count);
    CHECK(off <= limit, "%s and %s differ by %g", one, other, off);
    double size = 0;
    for (size_t i = 0; i < count; i++) size += fabs((double)a[i]);
    CHECK(size > 0, "%s: the map is empty", one);
    free(a);
    free(b);
}

static float *absolute(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] = fabsf(x[i]);
    return x;
}

/* ---- gamma ---- */

static void gamma_ends(const char *backend)
{
    struct ab_graph *graphs[] = {net_chain(1, true), net_branches(1)};
    for (int k = 0; k < 2; k++) {
        float *x = random_images(graphs[k], BATCH, 1);
        const struct job job = {graphs[k], backend, x, NULL, BATCH, 1};
        check_same(&job, "lrp-gamma:gamma=0", "lrp-epsilon", 0);
        check_same(&job, "lrp-gamma:gamma=0,bias=none", "lrp-epsilon:bias=none", 0);
        if (k == 0) check_same(&job, "lrp-gamma:gamma=1e6", "lrp-zplus", 1e-4);
        free(x);
        ab_graph_destroy(&graphs[k]);
    }
}
TEST(gamma_from_epsilon_to_zplus)
{
    for_backends(gamma_ends);
}

/* Images and activations are not negative, nor are the logits explained: both forms are one. */
static void gamma_forms(const char *backend)
{
    struct ab_graph *g = net_chain(2, true);
    float *x = absolute(random_images(g, BATCH, 2), input_count(g, BATCH));
    const struct job job = {g, backend, x, NULL, BATCH, 1};
    check_same(&job, "lrp-gamma", "lrp-gamma:form=original", 1e-4);
    check_same(&job, "lrp-gamma:gamma=3,bias=none", "lrp-gamma:gamma=3,bias=none,form=original",
               1e-3);
    free(x);
    ab_graph_destroy(&g);
}
TEST(gamma_forms_agree_on_what_is_not_negative)
{
    for_backends(gamma_forms);
}

/* ---- what sums to what, and signs ---- */

static double sum_of(const float *v, size_t count, double *size)
{
    double sum = 0;
    *size = 0;
    for (size_t i = 0; i < count; i++) sum += (double)v[i], *size += fabs((double)v[i]);
    return sum;
}

static void conserves(const char *backend)
{
    static const char *const specs[] = {"lrp-gamma",
                                        "lrp-gamma:gamma=2,form=original",
                                        "lrp-zbox:low=-6,high=6",
                                        "lrp-wsquare",
                                        "lrp-flat",
                                        "epsilon-plus-flat",
                                        "epsilon-gamma-box:low=-6,high=6",
                                        "epsilon-alpha2-beta1",
                                        "preset-a:eps=1e-6",
                                        "preset-b-flat:eps=1e-6",
                                        "composite:rules=first=wsquare;conv=gamma;*=norm",
                                        "excitation-backprop",
                                        "excitation-backprop:compat=author"};
    struct ab_graph *g = net_chain(5, false);
    const size_t count = input_count(g, 1);
    float *x = absolute(random_images(g, 1, 5), count), logits[8];
    for (size_t m = 0; m < sizeof specs / sizeof *specs; m++) {
        float *map = run_method(&(struct job){g, backend, x, NULL, 1, 1}, specs[m], logits);
        double top = logits[0], size;
        for (int c = 1; c < ab_graph_classes(g); c++) top = fmax(top, (double)logits[c]);
        if (strncmp(specs[m], "excitation", 10) == 0) top = 1;
        const double off = fabs(sum_of(map, count, &size) - top);
        CHECK(off <= 5e-5 * size, "%s: off by %g of %g", specs[m], off, size);
        free(map);
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(conservation)
{
    for_backends(conserves);
}

static void signs(const char *backend)
{
    static const char *const specs[] = {"lrp-zbox:seed=one,low=-9,high=9",
                                        "lrp-zbox:seed=one,low=-9/-8/-7,high=9/8/7",
                                        "lrp-wsquare:seed=one",
                                        "lrp-wsquare:seed=one,bias=square",
                                        "lrp-flat:seed=one",
                                        "excitation-backprop",
                                        "excitation-backprop:contrast=1",
                                        "dtd:seed=one,low=-9,high=9"};
    struct ab_graph *g = net_chain(6, true);
    float *x = random_images(g, BATCH, 6);
    for (size_t m = 0; m < sizeof specs / sizeof *specs; m++) {
        double size;
        float *map = run_method(&(struct job){g, backend, x, NULL, BATCH, 1}, specs[m], NULL);
        for (size_t i = 0; i < input_count(g, BATCH); i++)
            CHECK(map[i] >= 0, "%s: element %zu is %g", specs[m], i, (double)map[i]);
        CHECK(sum_of(map, input_count(g, BATCH), &size) > 0, "%s: empty", specs[m]);
        free(map);
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(non_negative)
{
    for_backends(signs);
}

/* ---- rules of the first layer, against their definition ---- */

/* A convolution and a dense layer, nothing between: R at the convolution's output is a row of the
 * dense layer's weights. */
static struct ab_graph *net_two(int kernel, int stride, int pad, int channels)
{
    struct ab_error err = {""};
    struct ab_builder b = {.seed = 3, .err = &err};
    CHECK(!ab_graph_create("two", &b.graph, &err), "%s", err.text);
    int x = ab_build_input(&b, 3, 9, 8);
    x = ab_build_conv(&b, "conv", x, channels, kernel, stride, pad, 1, true);
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 4, true);
    if (!b.status) b.status = ab_graph_finish(b.graph, x, &err);
    CHECK(!b.status, "%s", err.text);
    return b.graph;
}

/* The weight of one tap under a rule that does not look at the input. */
static double share(const char *rule, double w)
{
    return strstr(rule, "flat") ? 1 : w * w;
}

/* R_in = share^T (R / (sum of shares + bias^2 if asked for)), by plain loops. */
static void by_definition(const struct ab_graph *g, const char *rule, int target, double *map)
{
    const struct ab_node *conv = &g->nodes[1], *fc = &g->nodes[3];
    const struct ab_conv2d_shape *s = &conv->conv;
    const int outs = s->oc * s->oh * s->ow, taps = s->kh * s->kw;
    memset(map, 0, sizeof *map * (size_t)(s->ic * s->ih * s->iw));
    for (int at = 0; at < outs; at++) {
        const int o = at / (s->oh * s->ow), oy = at / s->ow % s->oh, ox = at % s->ow;
        const double b = (double)conv->bias[o];
        double sum = strstr(rule, "square,") || strstr(rule, "=square") ? b * b : 0;
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < s->ic * taps; k++) {
                const int y = oy * s->sh - s->pt + k % taps / s->kw;
                const int x = ox * s->sw - s->pl + k % s->kw;
                if (y < 0 || y >= s->ih || x < 0 || x >= s->iw) continue;
                const double part = share(rule, (double)conv->wei[o * s->ic * taps + k]);
                if (pass == 0)
                    sum += part;
                else
                    map[(k / taps * s->ih + y) * s->iw + x] +=
                        part * (double)fc->wei[target * outs + at] / (sum + 1e-6);
            }
    }
}

static void weights_alone(const char *backend)
{
    static const char *const rules[] = {"flat", "wsquare", "wsquare(bias=square)"};
    static const int kernels[][3] = {{3, 1, 1}, {3, 2, 1}, {4, 1, 0}, {5, 2, 2}};
    static const int target = 2;
    for (int k = 0; k < 12; k++) {
        struct ab_graph *g = net_two(kernels[k / 3][0], kernels[k / 3][1], kernels[k / 3][2], 21);
        const size_t count = input_count(g, 1);
        float *x = random_images(g, 1, 4), *want = malloc(count * sizeof *want);
        double *exact = malloc(count * sizeof *exact);
        char spec[96];
        CHECK(want && exact, "out of memory");
        snprintf(spec, sizeof spec, "composite:rules=first=%s;*=gradient,seed=one", rules[k % 3]);
        float *got = run_method(&(struct job){g, backend, x, &target, 1, 1}, spec, NULL);
        by_definition(g, rules[k % 3], target, exact);
        for (size_t i = 0; i < count; i++) want[i] = (float)exact[i];
        CHECK(relative_l2(got, want, count) < 2e-6, "%s is off by %g", spec,
              relative_l2(got, want, count));
        free(x), free(want), free(exact), free(got);
        ab_graph_destroy(&g);
    }
}
TEST(flat_and_wsquare_are_as_defined)
{
    for_backends(weights_alone);
}

/* Bit for bit: z^B has no term of the bias. */
static void without_bias(const char *backend)
{
    static const int target = 1;
    static const char spec[] = "composite:rules=conv=zbox(low=-4,high=3);dense=gradient,seed=one";
    struct ab_graph *g = net_two(3, 1, 1, 18);
    float *x = random_images(g, 1, 5);
    const struct job job = {g, backend, x, &target, 1, 1};
    float *before = run_method(&job, spec, NULL);
    for (int o = 0; o < 18; o++) g->nodes[1].bias[o] += 0.5f + (float)o;
    float *after = run_method(&job, spec, NULL);
    CHECK(relative_l2(before, after, input_count(g, 1)) <= (strcmp(backend, "onednn") ? 0 : 1e-6),
          "differ by %g", relative_l2(before, after, input_count(g, 1)));
    free(x), free(before), free(after);
    ab_graph_destroy(&g);
}
TEST(zbox_has_no_bias)
{
    for_backends(without_bias);
}

/* Three channels to three: relevance may pass a layer unchanged. */
static void passes(const char *backend)
{
    static const int target = 3;
    struct ab_graph *g = net_two(3, 1, 1, 3);
    float *x = random_images(g, 1, 6);
    float *map = run_method(&(struct job){g, backend, x, &target, 1, 1},
                            "composite:rules=conv=pass;dense=gradient,seed=one", NULL);
    const float *row = g->nodes[3].wei + (size_t)target * input_count(g, 1);
    for (size_t i = 0; i < input_count(g, 1); i++)
        CHECK(map[i] == row[i], "element %zu is %g, not %g", i, (double)map[i], (double)row[i]);
    free(x), free(map);
    ab_graph_destroy(&g);
}
TEST(pass_leaves_relevance_alone)
{
    for_backends(passes);
}

/* ---- Excitation Backprop's contrast ---- */

static void negate(struct ab_graph *g)
{
    struct ab_node *head = &g->nodes[g->output];
    for (size_t i = 0; i < head->wei_count; i++) head->wei[i] = -head->wei[i];
    for (int i = 0; head->bias && i < head->dims.c; i++) head->bias[i] = -head->bias[i];
}

/* What the authors do: the map of the network less that with a negated classifier, if positive. */
static void contrast(const char *backend)
{
    static const int targets[BATCH] = {0, 3, 1};
    struct ab_graph *graphs[] = {net_chain(7, true), net_branches(7)};
    for (int k = 0; k < 2; k++) {
        struct ab_graph *g = graphs[k];
        const size_t count = input_count(g, BATCH);
        float *x = random_images(g, BATCH, 7);
        const struct job job = {g, backend, x, targets, BATCH, 1};
        float *got = run_method(&job, "excitation-backprop:contrast=1", NULL);
        float *want = run_method(&job, "excitation-backprop", NULL);
        negate(g);
        float *against = run_method(&job, "excitation-backprop", NULL);
        for (size_t i = 0; i < count; i++) want[i] = fmaxf(want[i] - against[i], 0);
        CHECK(relative_l2(got, want, count) < 1e-4, "differ by %g", relative_l2(got, want, count));
        free(x), free(got), free(want), free(against);
        ab_graph_destroy(&g);
    }
}
TEST(contrast_is_a_difference_of_maps)
{
    for_backends(contrast);
}

/* ---- composites by the user ---- */

static void composites(const char *backend)
{
    static const char *const pairs[][2] = {
        {"composite:rules=first=flat;conv=zplus;dense=epsilon", "epsilon-plus-flat"},
        {"composite:rules=conv=alpha-beta(alpha=1.5,beta=0.5);dense=epsilon(eps=0.01)",
         "epsilon-alpha2-beta1:alpha=1.5,beta=0.5,eps=0.01"},
        {"composite:rules=*=gamma(gamma=0.5),seed=one", "lrp-gamma:gamma=0.5,seed=one"},
        {"composite:rules=first=zbox(low=-4,high=4);conv=gamma;*=norm",
         "epsilon-gamma-box:low=-4,high=4"},
        {"composite:rules=*=gradient,relu=guided,add=copy,avgpool=spread,seed=one",
         "guided-backprop"},
        {"composite:rules=*=gradient,relu=gradient,add=copy,avgpool=spread,seed=one,input_mul=1",
         "input-x-gradient"},
        {"composite:rules=conv*=zplus(bias=none);d?wn=zplus(bias=none);last=zplus(bias=none)",
         "lrp-zplus:bias=none"},
        {"lrp-zplus:compat=captum",
         "composite:rules=*=zplus(bias=signed,signed_input=naive,eps=1e-9),norm_eps=1e-9"},
        {"dtd:compat=innvestigate", "composite:rules=*=zplus(bias=none,eps=0),norm_eps=0,"
                                    "add=copy,avgpool=spread,seed=logit+"},
        {"preset-a:compat=innvestigate",
         "composite:rules=conv=zplus(bias=signed,eps=0);dense=epsilon(eps=0.1),norm_eps=0"}};
    struct ab_graph *g = net_branches(8);
    float *x = random_images(g, BATCH, 8);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const bool ill = strstr(pairs[i][0], "compat");
        const struct job job = {g, backend, x, NULL, BATCH, 1};
        check_same(&job, pairs[i][0], pairs[i][1],
                   ill && !strcmp(backend, "onednn") ? 1e-2 : 0); /* bias=signed may cancel */
    }
    free(x);
    ab_graph_destroy(&g);
}
TEST(composites_mean_what_methods_mean)
{
    for_backends(composites);
}

/* Bit for bit the same alone and with others, in a batch and by itself, by one thread and by three.
 */
static void alone_or_together(const char *backend)
{
    static const char *const specs[] = {"lrp-gamma",
                                        "lrp-gamma:gamma=1,form=original",
                                        "lrp-gamma:gamma=1,bias=none",
                                        "lrp-flat",
                                        "lrp-wsquare:bias=square",
                                        "lrp-zbox:low=-4,high=4",
                                        "excitation-backprop:contrast=1",
                                        "epsilon-gamma-box:low=-4,high=4",
                                        "preset-b-flat"};
    enum { SPECS = sizeof specs / sizeof *specs };
    if (!strcmp(backend, "onednn")) return; /* its plans take what they timed best */
    struct ab_graph *graphs[] = {net_chain(10, true), net_branches(10)};
    for (int k = 0; k < 2; k++) {
        const size_t count = input_count(graphs[k], 1);
        float *x = random_images(graphs[k], BATCH, 10), *maps[SPECS];
        run_methods(&(struct job){graphs[k], backend, x, NULL, BATCH, 3}, specs, SPECS, maps, NULL);
        for (int m = 0; m < SPECS; m++) {
            const int n = m % BATCH;
            const float *image = x + (size_t)n * count;
            float *alone =
                run_method(&(struct job){graphs[k], backend, image, NULL, 1, 1}, specs[m], NULL);
            CHECK(!memcmp(alone, maps[m] + (size_t)n * count, count * sizeof *alone),
                  "%s of image %d depends on its company", specs[m], n);
            free(alone);
            free(maps[m]);
        }
        free(x);
        ab_graph_destroy(&graphs[k]);
    }
}
TEST(company_does_not_matter)
{
    for_backends(alone_or_together);
}

/* ---- texts ---- */

static const char *write_file(const char *text, size_t size)
{
    static char path[] = "/tmp/ab_rules_XXXXXX";
    snprintf(path, sizeof path, "/tmp/ab_rules_XXXXXX");
    const int fd = mkstemp(path);
    CHECK(fd >= 0, "no temporary file");
    CHECK(write(fd, text, size) == (ssize_t)size && !close(fd), "cannot write %s", path);
    return path;
}

TEST(files_are_read)
{
    static const char text[] = "# a composite\n\n  first  flat   # the image\n"
                               "conv\tgamma gamma=0.5 bias=none\r\n*  epsilon eps=1e-4";
    const char *path = write_file(text, sizeof text - 1);
    char spec[128];
    struct ab_error err = {""};
    struct ab_method *m = NULL;
    snprintf(spec, sizeof spec, "composite:seed=one,file=%s", path);
    CHECK(!ab_method_parse(spec, &m, &err), "%s", err.text);
    unlink(path);
    const char *want =
        "composite:rules=first=flat;conv=gamma(gamma=0.5,bias=none);*=epsilon(eps=1e-4),seed=one";
    CHECK(!strcmp(ab_method_spec(m), want), "became %s", ab_method_spec(m));
    struct ab_method *again = NULL;
    CHECK(!ab_method_parse(want, &again, &err), "%s", err.text);
    CHECK(!strcmp(ab_method_spec(again), want), "became %s", ab_method_spec(again));
    ab_method_destroy(&m);
    ab_method_destroy(&again);
}

TEST(files_are_refused)
{
    static char endless[700];
    memset(endless, 'x', sizeof endless - 1);
    const struct {
        const char *text, *error;
    } rows[] = {{"conv zplus\n* zplsu\n", ":2: unknown rule 'zplsu': did you mean 'zplus'"},
                {"conv\n", ":1: 'conv' has no rule"},
                {"conv=zplus\n", ":1: 'conv=zplus' is no selector"},
                {"\n\n* gamma gama=1\n", ":3: rule gamma has no parameter 'gama'; it has: gamma"},
                {"* gamma gamma=-1\n", ":1: gamma=-1 is not a value; it takes: >= 0"},
                {"* gamma gamma=1 gamma=2\n", ":1: gamma is given twice"},
                {"* gamma 0.25\n", ":1: '0.25' after rule gamma is not key=value"},
                {"* gamma bias=plain\n", ":1: rule gamma: bias=plain is a form of"},
                {"* zbox low=0\n", ":1: rule zbox: low and high must both be given"},
                {"* pass eps=1\n", ":1: rule pass has no parameter 'eps'; it has: none"},
                {"a,b zplus\n", ":1: 'a,b' is no selector"},
                {"# nothing\n", "has no rules"},
                {endless, ":1: is longer than"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char spec[128];
        struct ab_error err = {""};
        struct ab_method *m = NULL;
        const char *path = write_file(rows[i].text, strlen(rows[i].text));
        snprintf(spec, sizeof spec, "composite:file=%s", path);
        CHECK(ab_method_parse(spec, &m, &err) == AB_ERR_FORMAT && !m, "'%s' was taken",
              rows[i].text);
        unlink(path);
        CHECK(strstr(err.text, rows[i].error) && strstr(err.text, "/tmp/ab_rules_"),
              "'%s' does not say '%s'", err.text, rows[i].error);
    }
}

TEST(rules_are_refused)
{
    static const struct {
        const char *spec, *error;
    } rows[] = {
        {"composite", "needs rules="},
        {"composite:rules=", "number 1: '' is not SELECTOR=RULE"},
        {"composite:rules=zplus", "number 1: 'zplus' is not SELECTOR=RULE"},
        {"composite:rules==zplus", "is no selector"},
        {"composite:rules=conv=zplus;*=epsilom", "number 2: unknown rule 'epsilom': did you mean"},
        {"composite:rules=*=zplus(bias=gamma)", "bias=gamma is not a value; it takes: plus"},
        {"composite:rules=*=zplus(eps=1", "lacks its closing parenthesis"},
        {"composite:rules=*=zplus()", "'' after rule zplus is not key=value"},
        {"composite:rules=*=alpha-beta(alpha=3)", "alpha - beta must be 1"},
        {"composite:rules=*=zbox", "low and high must both"},
        {"composite:rules=*=zplus,file=x", "rules or file, not both"},
        {"composite:file=/nowhere/rules", "cannot be opened"},
        {"composite:rules=*=zplus,relu=leaky", "pass, gradient, guided, deconv"},
        {"lrp-gamma:gamma=-0.1", "gamma=-0.1 is not a value; it takes: >= 0"},
        {"lrp-gamma:gamma=nan", "is not a value"},
        {"lrp-gamma:form=old", "general, original"},
        {"lrp-gamma:bias=plain", "add form=original"},
        {"lrp-gamma:compat=innvestigate", "it takes: captum, zennit"},
        {"lrp-gamma:compat=captum,compat=zennit", "given twice"},
        {"lrp-epsilon:bias=plus", "z, none"},
        {"lrp-epsilon:add=half", "share, copy"},
        {"lrp-epsilon:avgpool=half", "share, spread"},
        {"lrp-wsquare:bias=plus", "none, square"},
        {"lrp-zbox", "low and high must both be given"},
        {"lrp-zbox:low=1,high=0", "low must not be above high"},
        {"epsilon-gamma-box:low=0", "low and high must both be given"},
        {"epsilon-plus-flat:stabilizer=-1", ">= 0"},
        {"epsilon-alpha2-beta1:alpha=3", "alpha - beta must be 1"},
        {"preset-b:beta=3", "alpha - beta must be 1"},
        {"excitation-backprop:contrast=2", "0, 1"},
        {"dtd:first=flat", "wsquare, zplus"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_error err = {""};
        struct ab_method *m = NULL;
        CHECK(ab_method_parse(rows[i].spec, &m, &err) && !m, "%s was taken", rows[i].spec);
        CHECK(strstr(err.text, rows[i].error), "'%s' does not say '%s'", err.text, rows[i].error);
    }
}

/* compat=TOOL stands for parameters, all of which the canonical spec shows; others override them.
 */
TEST(compat_is_spelt_out)
{
    static const char *const rows[][2] = {
        {"lrp-gamma:compat=zennit", "lrp-gamma"},
        {"lrp-gamma:compat=captum", "lrp-gamma:form=original,bias=plain,eps=1e-09,norm_eps=1e-09"},
        {"lrp-zplus:compat=captum,eps=0.5",
         "lrp-zplus:eps=0.5,norm_eps=1e-09,bias=signed,signed_input=naive"},
        {"lrp-zplus:bias=plus,compat=innvestigate", "lrp-zplus:eps=0,norm_eps=0"},
        {"lrp-epsilon:compat=author", "lrp-epsilon:eps=0.0001,norm_eps=0.0001"},
        {"lrp-alpha-beta:compat=innvestigate", "lrp-alpha-beta:eps=0,norm_eps=0,bias=signed"},
        {"lrp-wsquare:compat=zennit", "lrp-wsquare:bias=square"},
        {"lrp-flat:compat=innvestigate", "lrp-flat:eps=0,norm_eps=0"},
        {"lrp-zbox:compat=innvestigate", "lrp-zbox:low=-1,high=1,eps=0,norm_eps=0,bias=none"},
        {"preset-b:compat=innvestigate", "preset-b:stabilizer=0,norm_eps=0,bias=signed"},
        {"excitation-backprop:compat=author",
         "excitation-backprop:eps=1e-20,norm_eps=0,signed_input=naive"},
        {"dtd:compat=captum",
         "dtd:first=zplus,eps=1e-09,norm_eps=1e-09,bias=signed,signed_input=naive,seed=logit"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_error err = {""};
        struct ab_method *m = NULL;
        CHECK(!ab_method_parse(rows[i][0], &m, &err), "%s", err.text);
        CHECK(!strcmp(ab_method_spec(m), rows[i][1]), "%s became %s", rows[i][0],
              ab_method_spec(m));
        ab_method_destroy(&m);
    }
}

TEST(plans_refuse_rules_that_do_not_fit)
{
    static const struct {
        const char *spec, *error;
    } rows[] = {{"composite:rules=features.*=zplus;*=epsilon",
                 "selector 'features.*' matches no convolution or dense layer of model 'chain'"},
                {"composite:rules=*=zplus;conv1=flat", "selector 'conv1' never applies"},
                {"composite:rules=conv=zplus", "no selector matches layer 'fc1'"},
                {"composite:rules=conv1=pass;*=zplus", "layer 'conv1' makes 7x14x13 of 3x14x13"},
                {"composite:rules=first=zbox(low=0/0,high=1/1);*=zplus", "has 3 input channels"},
                {"lrp-zbox:low=0/0,high=1/1", "layer 'conv1' has 3 input channels"}};
    struct ab_graph *g = net_chain(9, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ab_error err = {""};
        struct ab_method *m = NULL;
        struct ab_plan *plan = NULL;
        CHECK(!ab_method_parse(rows[i].spec, &m, &err), "%s", err.text);
        CHECK(ab_plan_create(g, (const struct ab_method *const *)&m, 1, NULL, &plan, &err) ==
                      AB_ERR_ARG &&
                  !plan,
              "%s was taken", rows[i].spec);
        CHECK(strstr(err.text, rows[i].error), "'%s' does not say '%s'", err.text, rows[i].error);
        ab_method_destroy(&m);
    }
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {CASE(gamma_from_epsilon_to_zplus),
                                         CASE(gamma_forms_agree_on_what_is_not_negative),
                                         CASE(conservation),
                                         CASE(non_negative),
                                         CASE(flat_and_wsquare_are_as_defined),
                                         CASE(zbox_has_no_bias),
                                         CASE(pass_leaves_relevance_alone),
                                         CASE(contrast_is_a_difference_of_maps),
                                         CASE(composites_mean_what_methods_mean),
                                         CASE(company_does_not_matter),
                                         CASE(files_are_read),
                                         CASE(files_are_refused),
                                         CASE(rules_are_refused),
                                         CASE(compat_is_spelt_out),
                                         CASE(plans_refuse_rules_that_do_not_fit)};
TEST_MAIN("rules", cases)
