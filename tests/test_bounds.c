// SPDX-License-Identifier: Apache-2.0
// Bounds of rounding with inheritance: of whole values they are those of the elements one by one,
// each layer's are computed once however many elements are asked for, and whoever stops the referee
// is heard.
#include "agree/agree.h"
#include "agree/referee.h"
#include "court.h"

static const struct ab_step *step_of(const struct ab_look *look, int id)
{
    const struct ab_program *p = &look->plan->program;
    return p->values[id].def < 0 ? NULL : &p->steps[p->values[id].def];
}

static bool is_linear(const struct ab_step *s)
{
    return s && (s->op == AB_OP_CONV || s->op == AB_OP_DENSE);
}

/* Both looks at every `step`-th element of value id, the first of each image among them. */
static void compare_value(struct ab_look *each, struct ab_look *whole, int id, int step)
{
    const struct ab_dims d = each->plan->program.values[id].dims;
    for (int n = 0; n < BATCH; n++)
        for (int c = 0; c < d.c; c++)
            for (int y = 0; y < d.h; y++)
                for (int x = 0; x < d.w; x++) {
                    if (((c * d.h + y) * d.w + x) % step) continue;
                    const struct ab_unit at = {n, c, y, x};
                    const double a = ab_look_error(each, id, at), b = ab_look_error(whole, id, at);
                    CHECK(b >= a * (1 - 1e-9) && b <= a * (1 + 1e-5),
                          "value %d at %d %d %d %d: %.9g one by one, %.9g of the whole", id, n, c,
                          y, x, a, b);
                }
}

static struct ab_plan *executed(const struct court *c, const struct ab_graph *g,
                                const char *backend)
{
    struct ab_error err = {""};
    struct ab_plan *plan = NULL;
    const struct ab_plan_options options = {
        .backend = backend, .batch = BATCH, .threads = 2, .retain = true};
    CHECK(!ab_plan_create(g, (const struct ab_method *const *)c->methods, c->count, &options, &plan,
                          &err),
          "%s", err.text);
    CHECK(!ab_plan_execute(plan, c->x, NULL, NULL, NULL, &err), "%s", err.text);
    return plan;
}

/* `spread`: as if a transforming kernel had computed every convolution. */
static void compare_looks(const struct ab_plan *plan, double spread)
{
    struct ab_look each, whole;
    int linear = 0;
    CHECK(ab_look_open(&each, plan, plan) && ab_look_open(&whole, plan, plan), "out of memory");
    each.inherited = each.transformed = true;
    whole.inherited = whole.transformed = whole.whole = true;
    for (int id = 0; id < plan->program.n_values; id++) {
        const struct ab_step *s = step_of(&whole, id);
        if (s && s->op == AB_OP_CONV) each.amplification[id] = whole.amplification[id] = spread;
    }
    for (int id = 0; id < plan->program.n_values; id++) {
        if (!is_linear(step_of(&whole, id))) continue;
        context("%s, value %d, spread %g", ab_graph_name(plan->exec.graph), id, spread);
        each.work = 0;
        compare_value(&each, &whole, id, spread > 0 ? 499 : 7);
        linear++;
    }
    CHECK(!each.failed && !whole.failed, "out of memory");
    CHECK(whole.passes == (long)linear * BATCH, "%ld layers of an image computed, not %d",
          whole.passes, linear * BATCH);
    ab_look_close(&each);
    ab_look_close(&whole);
}

TEST(whole_values_are_their_elements)
{
    enum { TAKEN = AB_TEST_SLOW ? 1 : 3 };
    static const char *const some[] = {"gradient", "lrp-epsilon", "lrp-alpha-beta"};
    struct ab_graph *graphs[] = {net_chain(41, true), net_branches(42)};
    for (int k = 0; k < 2; k++) {
        struct court c;
        court_open(&c, graphs[k], some, TAKEN, NULL);
        struct ab_plan *plan = executed(&c, graphs[k], "reference");
        compare_looks(plan, 0);
        compare_looks(plan, 2);
        ab_plan_destroy(&plan);
        court_close(&c);
        ab_graph_destroy(&graphs[k]);
    }
}

/* ---- stopping ---- */

static long asked, answers; /* answers: how often it is no */

static bool stops(void)
{
    return asked++ >= answers;
}

/* Wherever it is heard, an error comes of it at once: nothing is asked again more than a few times,
 * as by the threads of one step. */
TEST(stopping_is_heard)
{
    static const char *const names[] = {"smoothgrad:n=6", "lrp-epsilon"};
    struct ab_graph *g = net_chain(43, true), *off = net_chain(43, true);
    for (int n = 0; n < off->n_nodes; n++)
        if (!strcmp(off->nodes[n].name, "conv2")) off->nodes[n].wei[100] *= 1.1f;
    struct court c;
    court_open(&c, g, names, 2, NULL);
    struct ab_plan *plan = executed(&c, off, "native");
    struct ab_judged judged = {.methods = (const struct ab_method *const *)c.methods,
                               .n_methods = 2,
                               .batch = BATCH,
                               .input = c.x,
                               .stopped = stops};
    long last = 0;
    int created = 0, stopped = 0;
    for (answers = 0;; answers = answers * (AB_TEST_SLOW ? 6 : 5) / 4 + 1) {
        struct ab_error err = {""};
        struct ab_referee *r = NULL;
        asked = 0;
        enum ab_status status = ab_referee_create(g, &judged, 2, NULL, &r, &err);
        created += !status;
        if (!status) status = ab_referee_judge(r, plan, c.results, &err);
        ab_referee_destroy(&r);
        last = asked;
        if (!status) break;
        stopped++;
        CHECK(asked > answers && asked <= answers + 3, "asked %ld times after %ld", asked, answers);
        CHECK(!strcmp(err.text, "interrupted"), "%s", err.text);
    }
    CHECK(last <= answers && created > 3 && stopped > created, "%d created, %d stopped", created,
          stopped);
    ab_plan_destroy(&plan);
    court_close(&c);
    ab_graph_destroy(&g);
    ab_graph_destroy(&off);
}

static const struct test_case cases[] = {CASE(whole_values_are_their_elements),
                                         CASE(stopping_is_heard)};
TEST_MAIN("bounds", cases)
