// SPDX-License-Identifier: Apache-2.0
// The operations of verify: sound kernels pass their fixed sets, broken ones fail them, texts of
// shapes parse and print back, and simpler trials are simpler.
#include "support.h"
#include "verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ab_candidate candidate_of(const struct ab_kernel *k)
{
    struct ab_candidate c = {.op = k->op, .kernel = k};
    snprintf(c.name, sizeof c.name, "%s", k->name);
    snprintf(c.isa, sizeof c.isa, "%s", ab_isa_name(k->isa));
    return c;
}

static struct ab_outcome judged(const struct ab_verify_op *op, const struct ab_candidate *c,
                                const struct ab_trial *trial)
{
    struct ab_outcome o;
    char text[256];
    memset(&o, 0, sizeof o);
    ab_trial_print(trial, text, sizeof text);
    context("%s %s", c->name, text);
    op->run(c, trial, &o, NULL);
    return o;
}

/* ref and the kernel that this CPU would take; under AB_TEST_SLOW every eighth trial. */
static void check_sound(const struct ab_verify_op *op)
{
    int count, mistrusted = 0, trials = 0;
    double worst = 0.0;
    struct ab_trial trial;
    const struct ab_kernel *k = ab_kernels(&count);
    for (int i = 0; op->fixed(i, &trial); i++) {
        if (AB_TEST_SLOW && i % 8) continue;
        for (int j = 0; j < count; j++) {
            if (k[j].op != op->op || !(ab_cpu_isas() >> k[j].isa & 1)) continue;
            if (k[j].isa != AB_ISA_ref && k[j].baseline && k[j].isa != AB_ISA_plain) continue;
            const struct ab_candidate c = candidate_of(&k[j]);
            const struct ab_outcome o = judged(op, &c, &trial);
            if (o.kind == AB_OUTCOME_UNSUPPORTED) continue;
            CHECK(o.kind == AB_OUTCOME_PASS || o.kind == AB_OUTCOME_MISTRUSTED, "%s: %s: %s",
                  ab_outcome_name(o.kind), ab_check_name(o.check), o.why);
            trials++;
            mistrusted += o.kind == AB_OUTCOME_MISTRUSTED;
            worst = o.ratio > worst ? o.ratio : worst;
        }
    }
    context("%s as a whole", op->name);
    CHECK(trials >= (AB_TEST_SLOW ? 10 : 100), "%d trials", trials);
    CHECK(mistrusted * 10 < trials, "%d of %d trials say nothing", mistrusted, trials);
    CHECK(worst <= 1.0, "worst ratio %g", worst);
}

static const struct ab_verify_op *op_named(const char *name)
{
    static const struct ab_verify_op *const ops[] = {
#define AB_VERIFY_OP(name) &ab_verify_op_##name,
#include "verify/ops.def"
#undef AB_VERIFY_OP
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i]->name, name) == 0) return ops[i];
    CHECK(false, "no operation %s", name);
    return NULL;
}

TEST(sound_conv2d)
{
    check_sound(op_named("conv2d"));
    check_sound(op_named("conv2d_f64"));
}

TEST(sound_dense)
{
    check_sound(op_named("dense"));
    check_sound(op_named("dense_f64"));
}

TEST(sound_pool)
{
    check_sound(op_named("maxpool"));
    check_sound(op_named("avgpool"));
}

TEST(sound_pointwise)
{
    check_sound(op_named("pointwise"));
}

TEST(sound_select)
{
    check_sound(op_named("select"));
}

/* ---- broken ones ---- */

/* dst of the last image is off by one bit in its last element. */
static void dense_bit(const void *args)
{
    const struct ab_dense_args *a = args;
    kernel_ref(AB_KERNEL_dense)->run(a);
    float *last = a->dst + (a->n - 1) * a->dst_stride + a->r1 - 1;
    if (*last == *last) *last *= 1.0f + 0x1p-10f;
}

static void pool_last_tie(const void *args)
{
    const struct ab_pool_args *a = args;
    kernel_ref(AB_KERNEL_maxpool)->run(a);
    if (a->pass == AB_FWD && a->switches && a->range.n0 < a->range.n1) a->switches[0] ^= 1;
}

static void pool_forgets(const void *args)
{
    struct ab_pool_args a = *(const struct ab_pool_args *)args;
    a.shape.include_pad = !a.shape.include_pad;
    kernel_ref(AB_KERNEL_avgpool)->run(&a);
}

static void pointwise_closed_gate(const void *args)
{
    struct ab_pointwise_args a = *(const struct ab_pointwise_args *)args;
    if (a.f.kind == AB_PW_DIV) a.f.eps = -a.f.eps;
    kernel_ref(AB_KERNEL_pointwise)->run(&a);
}

static void pointwise_drops_range(const void *args)
{
    struct ab_pointwise_args a = *(const struct ab_pointwise_args *)args;
    a.range.y0 = 0;
    kernel_ref(AB_KERNEL_pointwise)->run(&a);
}

static void select_off_by_one(const void *args)
{
    const struct ab_select_args *a = args;
    kernel_ref(AB_KERNEL_select)->run(a);
    if (a->shift == 0 && a->hist[1023]) a->hist[1023]--, a->hist[1022]++;
}

static void select_ignores_range(const void *args)
{
    struct ab_select_args a = *(const struct ab_select_args *)args;
    a.range.b0 = 0;
    kernel_ref(AB_KERNEL_select)->run(&a);
}

/* Some trial of the fixed set fails it. (Those that crash are for isolate.h to report.) */
TEST(broken_kernels_fail)
{
    static const struct {
        const char *op;
        void (*run)(const void *args);
    } broken[] = {{"dense", dense_bit},
                  {"maxpool", pool_last_tie},
                  {"avgpool", pool_forgets},
                  {"pointwise", pointwise_closed_gate},
                  {"pointwise", pointwise_drops_range},
                  {"select", select_off_by_one},
                  {"select", select_ignores_range}};
    for (size_t b = 0; b < sizeof broken / sizeof *broken; b++) {
        const struct ab_verify_op *op = op_named(broken[b].op);
        struct ab_kernel k = *kernel_ref(op->op);
        struct ab_trial trial;
        k.run = broken[b].run;
        const struct ab_candidate c = candidate_of(&k);
        bool failed = false;
        for (int i = 0; !failed && op->fixed(i, &trial); i++)
            failed = judged(op, &c, &trial).kind == AB_OUTCOME_FAIL;
        context("broken kernel %zu of %s", b, op->name);
        CHECK(failed, "no trial fails it");
    }
}

/* ---- foreign ones, whose bits may depend on what they like ---- */

/* Sums from the front or from the back. */
static int sums(const struct ab_verify_dense *a, bool from_back)
{
    const int results = a->backward ? a->in : a->out, terms = a->backward ? a->out : a->in;
    for (int i = 0; i < a->n * results; i++) {
        const float *src = a->src + i / results * terms;
        float sum = a->bias ? a->bias[i % results] : 0.0f;
        for (int t = 0; t < terms; t++) {
            const int k = from_back ? terms - 1 - t : t;
            sum += src[k] * a->wei[a->backward ? k * a->in + i % results : i % results * a->in + k];
        }
        a->dst[i] = sum;
    }
    return AB_VERIFY_DONE;
}

static int by_address(const void *args)
{
    const struct ab_verify_dense *a = args;
    return sums(a, (uintptr_t)a->src / 4 % 8 < 4);
}

static int by_batch(const void *args)
{
    const struct ab_verify_dense *a = args;
    return sums(a, a->n > 1);
}

static int by_call(const void *args)
{
    static int calls;
    return sums(args, calls++ % 2);
}

static int by_contents(const void *args)
{
    const struct ab_verify_dense *a = args;
    const bool fresh = a->dst[0] != 1.0f;
    return sums(a, fresh);
}

TEST(foreign_bits_are_told)
{
    static const struct {
        int (*run)(const void *args);
        unsigned varies;
    } expected[] = {{by_address, 1u << AB_CHECK_alignment},
                    {by_batch, 1u << AB_CHECK_batch},
                    {by_call, 1u << AB_CHECK_repeat}};
    const struct ab_verify_op *op = op_named("dense");
    struct ab_verify_kernel k = {.name = "sums", .operation = AB_VERIFY_DENSE};
    const struct ab_candidate c = {
        .name = "test:sums", .isa = "test", .op = AB_KERNEL_dense, .foreign = &k};
    struct ab_trial trial;
    struct ab_error err;
    CHECK(ab_trial_parse("dense n3i50o20 fwd fill=normal seed=3 offset=4 with=split", &trial,
                         &err) == AB_OK,
          "%s", err.text);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        k.run = expected[i].run;
        const struct ab_outcome o = judged(op, &c, &trial);
        CHECK(o.kind == AB_OUTCOME_PASS, "%zu: %s", i, o.why);
        CHECK(o.varies & expected[i].varies, "%zu: %x", i, o.varies);
        CHECK(i == 2 || o.varies == expected[i].varies, "%zu: %x", i, o.varies);
    }
    k.run = by_contents;
    const struct ab_outcome o = judged(op, &c, &trial);
    CHECK(o.kind == AB_OUTCOME_FAIL && o.check == AB_CHECK_unwritten, "%s", o.why);
}

/* ---- texts and neighbours ---- */

TEST(shapes_print_and_parse_back)
{
    static const char *const names[] = {"dense",   "dense_f64", "maxpool",
                                        "avgpool", "pointwise", "select"};
    struct ab_rng rng = ab_rng_new(1, 1);
    for (size_t o = 0; o < sizeof names / sizeof *names; o++) {
        const struct ab_verify_op *op = op_named(names[o]);
        for (int i = 0; i < 300; i++) {
            struct ab_trial trial, back;
            struct ab_error err = {{0}};
            char text[128], again[128];
            op->draw(&rng, &trial);
            op->shape_print(&trial, text, sizeof text);
            memset(&back, 0, sizeof back);
            context("%s %s", names[o], text);
            CHECK(op->shape_parse(text, &back, &err), "%s", err.text);
            op->shape_print(&back, again, sizeof again);
            CHECK(strcmp(text, again) == 0, "comes back as %s", again);
            CHECK(memcmp(&back.shape, &trial.shape, sizeof back.shape) == 0, "other numbers");
        }
    }
}

TEST(wrong_shapes_are_refused)
{
    static const struct {
        const char *op, *text;
    } wrong[] = {{"dense", ""},
                 {"dense", "n1i5"},
                 {"dense", "n0i5o3"},
                 {"dense", "n1i5o3q"},
                 {"dense", "n1i5i5o3"},
                 {"dense", "n1ix5o3"},
                 {"dense", "i99999999o3"},
                 {"dense", "i70000o70000"},
                 {"maxpool", "c3ih4iw4"},
                 {"maxpool", "c3ih4iw4k2p5s9oh2"},
                 {"avgpool", "c3ih4iw4k2x2x2"},
                 {"pointwise", "h5w5"},
                 {"select", "c3h5w5e"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ab_trial trial;
        struct ab_error err = {{0}};
        memset(&trial, 0, sizeof trial);
        context("%s %s", wrong[i].op, wrong[i].text);
        CHECK(!op_named(wrong[i].op)->shape_parse(wrong[i].text, &trial, &err), "was accepted");
        CHECK(err.text[0] && !strchr(err.text, '\n'), "says \"%s\"", err.text);
    }
}

/* Neighbours differ, are valid, and come to an end from any trial. */
TEST(simpler_trials_are_simpler)
{
    static const char *const names[] = {"dense", "maxpool", "pointwise", "select"};
    struct ab_rng rng = ab_rng_new(2, 1);
    for (size_t o = 0; o < sizeof names / sizeof *names; o++) {
        const struct ab_verify_op *op = op_named(names[o]);
        for (int i = 0; i < 50; i++) {
            struct ab_trial trial, next;
            int steps = 0;
            op->draw(&rng, &trial);
            while (op->shrink(&trial, 0, &next)) {
                char text[128];
                struct ab_error err = {{0}};
                CHECK(memcmp(&next, &trial, sizeof next) != 0, "%s: no change", names[o]);
                op->shape_print(&next, text, sizeof text);
                CHECK(op->shape_parse(text, &next, &err), "%s: %s", text, err.text);
                trial = next;
                CHECK(++steps < 1000, "%s: no end", names[o]);
            }
        }
    }
}

static const struct test_case cases[] = {
    CASE(sound_conv2d),
    CASE(sound_dense),
    CASE(sound_pool),
    CASE(sound_pointwise),
    CASE(sound_select),
    CASE(broken_kernels_fail),
    CASE(foreign_bits_are_told),
    CASE(shapes_print_and_parse_back),
    CASE(wrong_shapes_are_refused),
    CASE(simpler_trials_are_simpler),
};
TEST_MAIN("verify_ops", cases)
