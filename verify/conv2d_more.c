// SPDX-License-Identifier: Apache-2.0
// Calls of a native convolution that must give the bits of the plain one: weights packed panel by
// panel, calls that share their sums, dst in the place of an operand; and the pass back, which must
// be its adjoint.
#include "verify/call.h"
#include "verify/conv2d.h"
#include "verify/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct more {
    const struct ab_conv_problem *p;
    const struct ab_setup *first; /* the plain call's */
    const struct ab_kernel *kernel;
    const struct ab_result *want;
    struct ab_outcome *o;
};

static bool stopped(const struct more *m)
{
    return m->o->kind == AB_OUTCOME_FAIL || m->o->kind == AB_OUTCOME_SKIPPED;
}

static bool open_setup(const struct more *m, struct ab_setup *s)
{
    return ab_setup_new(&ab_conv_subject, m->p, s, m->first->candidate, m->p->trial.side,
                        m->p->trial.offset, m->o);
}

/* What `s` has now, against `want`. */
static void compare(const struct more *m, const struct ab_setup *s, const struct ab_result *want,
                    enum ab_check check, const char *what)
{
    const struct ab_extent extent = ab_conv_extent(m->p);
    const struct ab_same same = {&ab_conv_subject, m->p, &extent};
    struct ab_result got;
    ab_place_check(&s->place, m->o);
    if (stopped(m)) return;
    if (!ab_results_new(&got, &extent)) {
        ab_outcome_no_memory(m->o);
        return;
    }
    ab_conv_subject.frame(m->p, s, &extent.all, m->o);
    ab_conv_subject.result(m->p, s, &got);
    ab_results_same(&same, &got, want, check, what, m->o);
    ab_results_free(&got);
}

/* ---- panels ---- */

static void run_panel(const struct more *m, struct ab_setup *s, int from, int to)
{
    struct ab_place place;
    struct ab_conv2d_args a = s->args.conv2d;
    ab_place_begin(&place, m->p->trial.side, 0, 0);
    a.panel = true;
    a.range.b0 = from;
    a.range.b1 = to;
    a.wei = m->p->wei;
    a.pack = ab_conv_pack(&place, m->kernel, &a);
    a.wei = NULL;
    if (place.failed)
        ab_outcome_no_memory(m->o);
    else
        ab_call(m->kernel->run, &a, m->o);
    ab_place_check(&place, m->o);
    ab_place_end(&place);
}

static void check_panels(const struct more *m)
{
    struct ab_setup s;
    struct ab_rng rng = ab_rng_new(m->p->trial.seed, 2);
    if (!open_setup(m, &s)) return;
    ab_place_reset(&s.place);
    const int end = s.args.conv2d.range.b1;
    for (int from = 0, to; from < end && !stopped(m); from = to) {
        to = ab_rng_between(&rng, from + 1, end);
        run_panel(m, &s, from, to);
    }
    compare(m, &s, m->want, AB_CHECK_panel, "packed panel by panel");
    ab_place_end(&s.place);
}

/* ---- chains ---- */

/* Call i of a chain: all of it, without bias, and without add and epilogue. */
static void vary(struct ab_conv2d_args *a, int i)
{
    if (i == 1) a->bias = NULL;
    if (i != 2) return;
    a->add.data = NULL;
    a->f = (struct ab_pointwise){.kind = AB_PW_COPY};
}

static void check_link(const struct more *m, struct ab_setup *chained, int i)
{
    struct ab_setup alone;
    struct ab_result want;
    const struct ab_extent extent = ab_conv_extent(m->p);
    if (stopped(m) || !open_setup(m, &alone)) return;
    if (ab_results_new(&want, &extent)) {
        vary(&alone.args.conv2d, i);
        ab_setup_call(&alone, m->o);
        ab_conv_subject.result(m->p, &alone, &want);
        compare(m, chained, &want, AB_CHECK_chain, "in a chain of calls");
        ab_results_free(&want);
    } else {
        ab_outcome_no_memory(m->o);
    }
    ab_place_end(&alone.place);
}

static void check_chain(const struct more *m)
{
    struct ab_setup s[3];
    int made = 0;
    while (made < 3 && open_setup(m, &s[made])) made++;
    for (int i = 0; i < made; i++) {
        ab_place_reset(&s[i].place);
        vary(&s[i].args.conv2d, i);
        s[i].args.conv2d.src = s[0].args.conv2d.src;
        s[i].args.conv2d.pack = s[0].args.conv2d.pack;
        s[i].args.conv2d.scratch = s[0].args.conv2d.scratch;
        if (i) s[i - 1].args.conv2d.next = &s[i].args.conv2d;
    }
    if (made == 3) ab_call(m->kernel->run, &s[0].args, m->o);
    for (int i = 0; i < made; i++) {
        if (made == 3) check_link(m, &s[i], i);
        ab_place_end(&s[i].place);
    }
}

/* ---- aliases ---- */

/* dst in the place of the view at `role`, which holds nchw. */
static void check_alias(const struct more *m, size_t role, const float *nchw, const char *what)
{
    struct ab_setup s;
    if (stopped(m) || !open_setup(m, &s)) return;
    ab_place_reset(&s.place);
    ab_blocked_from_nchw(s.dst, nchw);
    memcpy((char *)&s.args.conv2d + role, &s.args.conv2d.dst, sizeof s.args.conv2d.dst);
    ab_call(m->kernel->run, &s.args, m->o);
    compare(m, &s, m->want, AB_CHECK_alias, what);
    ab_place_end(&s.place);
}

static void check_aliases(const struct more *m)
{
    const enum ab_pointwise_kind f = m->p->trial.f;
    if (m->p->add) check_alias(m, offsetof(struct ab_conv2d_args, add), m->p->add, "dst over add");
    if (ab_rule_reads_a(f))
        check_alias(m, offsetof(struct ab_conv2d_args, f.a), m->p->f.a, "dst over a");
    if (ab_rule_reads_z(f))
        check_alias(m, offsetof(struct ab_conv2d_args, f.z), m->p->f.z, "dst over z");
}

void ab_conv_more(const void *problem, const struct ab_setup *s, const struct ab_result *want,
                  struct ab_outcome *o)
{
    const struct ab_conv_problem *p = problem;
    const struct more m = {p, s, s->candidate->kernel, want, o};
    const unsigned with = p->trial.with;
    if (with & AB_WITH_PANEL && ab_conv2d_takes_panels(m.kernel)) check_panels(&m);
    if (with & AB_WITH_CHAIN && ab_kernel_shares_sums(m.kernel) && !stopped(&m)) check_chain(&m);
    /* Where dst is read as well, sums are added up in another order: exact ones alone stay, and
     * those of kernels that keep sums in planes of their own. */
    const bool same = p->exact || ab_kernel_amplification(m.kernel) > 0.0;
    if (with & AB_WITH_ALIAS && same && !stopped(&m)) check_aliases(&m);
}
