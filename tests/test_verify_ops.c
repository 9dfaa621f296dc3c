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

static const struct test_case cases[] = {
    CASE(sound_conv2d),
    CASE(sound_dense),
    CASE(sound_pool),
};
TEST_MAIN("verify_ops", cases)
