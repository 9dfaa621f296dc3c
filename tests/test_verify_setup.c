// SPDX-License-Identifier: Apache-2.0
// Operands of verify that are set up once and called directly, as benchmarks do: every kernel makes
// of them what the operation's first kernel does, and verify judges the same trial afterwards.
#include "support.h"
#include "verify/subject.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const texts[] = {
    "conv2d n2c20h9w11o33k3s1p1 fwd f=relu side=right with=bias,add",
    "conv2d n1c32h12w12o32k3s1p1 bwd wmod=pos f=mul fill=uint",
    "conv2d n1c3h12w20o16k3s1p1 fwd",
    "conv2d n1c3h12w20o16k3s1p1 bwd",
    "conv2d n1c24h9w9o24k3s1p1g24 fwd",
    "conv2d_f64 n1c20h7w7o18k3s2p1 bwd with=add",
    "dense n3i70o45 fwd f=gate side=right with=bias",
    "dense n2i40o70 bwd wmod=neg",
    "dense_f64 n2i40o37 fwd with=bias",
    "maxpool n2c20ih10iw9oh5ow5k3s2p1 fwd",
    "maxpool n2c20ih10iw9oh5ow4k2s2 bwd f=gate+bits",
    "avgpool n1c17ih8iw8oh4ow4k2s2 bwd",
    "pointwise n2c20h5w7 f=muldiv fill=normal",
    "pointwise n1c20h5w7 f=relu+bits fill=normal",
    "select n2c20h6w5 f=mul fill=normal",
};
enum { TEXTS = sizeof texts / sizeof *texts };

static struct ab_trial trial_of(const char *text)
{
    struct ab_trial t;
    struct ab_error err;
    CHECK(ab_trial_parse(text, &t, &err) == AB_OK, "%s: %s", text, err.text);
    return t;
}

static struct ab_candidate candidate_of(const struct ab_kernel *k)
{
    struct ab_candidate c = {.op = k->op, .kernel = k};
    snprintf(c.name, sizeof c.name, "%s", k->name);
    return c;
}

static const struct ab_guarded *result_of(const struct ab_setup *s)
{
    for (int i = 0; i < s->place.count; i++) {
        const struct ab_placed *item = &s->place.item[i];
        if (!strcmp(item->name, "dst") || !strcmp(item->name, "hist")) return &item->map.mem;
    }
    return NULL;
}

/* Equal bits; floats within what transforms may lose of small sums. */
static bool alike(const struct ab_guarded *got, const struct ab_guarded *want, bool exact)
{
    if (got->bytes != want->bytes) return false;
    if (exact) return memcmp(got->data, want->data, got->bytes) == 0;
    for (size_t i = 0; i < got->bytes / sizeof(float); i++) {
        const float a = ((const float *)got->data)[i], b = ((const float *)want->data)[i];
        if (ab_float_bits(a) != ab_float_bits(b) && !(fabsf(a - b) <= 1e-3f + 1e-4f * fabsf(b)))
            return false;
    }
    return true;
}

/* Every kernel of the trial's operation against the first that does it; returns how many. */
static int compare_kernels(const char *text)
{
    const struct ab_trial trial = trial_of(text);
    const struct ab_verify_op *op = ab_verify_op_of(trial.op);
    int count, done = 0;
    const struct ab_kernel *k = ab_kernels(&count);
    struct ab_setup first, other;
    for (int i = 0; i < count; i++) {
        if (k[i].op != trial.op || !(ab_cpu_isas() >> k[i].isa & 1)) continue;
        const struct ab_candidate c = candidate_of(&k[i]);
        struct ab_setup *s = done ? &other : &first;
        struct ab_outcome o = {.kind = AB_OUTCOME_PASS};
        context("%s, %s", k[i].name, text);
        const bool made = op->set_up(&c, &trial, s, &o);
        CHECK(made || o.kind == AB_OUTCOME_UNSUPPORTED, "%s", o.why);
        if (!made) continue;
        k[i].run(&s->args);
        CHECK(result_of(s), "no result is placed");
        if (done++) {
            CHECK(
                alike(result_of(&other), result_of(&first), ab_kernel_amplification(&k[i]) <= 0.0),
                "another result than the first kernel's");
            ab_place_end(&other.place);
        }
    }
    ab_place_end(&first.place);
    return done;
}

TEST(kernels_agree)
{
    int done = 0;
    for (int i = 0; i < TEXTS; i++) done += compare_kernels(texts[i]);
    CHECK(done >= 2 * TEXTS, "%d kernels in all", done);
}

/* Operands that were made without a truth are judged by one nevertheless. */
TEST(judged_afterwards)
{
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    for (int i = 0; i < TEXTS; i++) {
        const struct ab_trial trial = trial_of(texts[i]);
        const struct ab_verify_op *op = ab_verify_op_of(trial.op);
        int j = 0;
        while (k[j].op != trial.op) j++;
        const struct ab_candidate c = candidate_of(&k[j]);
        struct ab_setup s;
        struct ab_outcome o = {.kind = AB_OUTCOME_PASS};
        context("%s, %s", k[j].name, texts[i]);
        CHECK(op->set_up(&c, &trial, &s, &o), "%s", o.why);
        ab_place_end(&s.place);
        op->run(&c, &trial, &o, NULL);
        CHECK(o.kind == AB_OUTCOME_PASS && o.elements > 0, "%s: %s", ab_outcome_name(o.kind),
              o.why);
    }
}

TEST(refusals)
{
    const struct ab_verify_kernel foreign = {.name = "foreign"};
    for (int i = 0; i < TEXTS; i++) {
        const struct ab_trial trial = trial_of(texts[i]);
        const struct ab_candidate c = {.op = trial.op, .foreign = &foreign};
        struct ab_outcome o = {.kind = AB_OUTCOME_PASS};
        struct ab_setup s;
        context("%s", texts[i]);
        CHECK(!ab_verify_op_of(trial.op)->set_up(&c, &trial, &s, &o) &&
                  o.kind == AB_OUTCOME_UNSUPPORTED,
              "a foreign kernel is set up");
    }
    const struct ab_trial lost = trial_of("dense n1i4o4 fill=file file=/nonexistent/values.npy");
    struct ab_outcome o = {.kind = AB_OUTCOME_PASS};
    struct ab_setup s;
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    while (k->op != AB_KERNEL_dense) k++;
    const struct ab_candidate c = candidate_of(k);
    context("a file that is not there");
    CHECK(!ab_verify_op_dense.set_up(&c, &lost, &s, &o) && o.kind == AB_OUTCOME_SKIPPED && *o.why,
          "%s", o.why);
}

static const struct test_case cases[] = {CASE(kernels_agree), CASE(judged_afterwards),
                                         CASE(refusals)};
TEST_MAIN("operands set up for calls", cases)
