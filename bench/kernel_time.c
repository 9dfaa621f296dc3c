// SPDX-License-Identifier: Apache-2.0
// Timing the kernels of a pass and oneDNN's alternatives by turns.
//
// A turn runs its candidate once untimed, so that its operands are as warm as its own last
// execution leaves them and not as the others did, and then takes the sample; or it evicts the
// caches first. oneDNN's slow alternatives leave the race as soon as they are certain to lose.
#include "clock.h"
#include "kernel_pass.h"
#include "peak.h"
#include "run.h"

#include <math.h>

/* TRIALS: samples of each before the race begins; PROBE: rounds after which the field is
 * thinned out, as it is after MIN_ROUNDS. BASELINE_ROUNDS: compilers' loops are slow and nobody's
 * claim. */
enum { MIN_ROUNDS = 5, TRIALS = 2, PROBE = 3, BASELINE_ROUNDS = 3 };
/* How much longer an alternative of oneDNN may take than the fastest, at these three moments. */
static const double FAR_BEHIND = 1.5, BEHIND = 1.2, CLOSE = 1.04;
/* The least that a sample should take: so many calls, up to the fastest runner. */
static const double SAMPLE_NS = 50e3;

/* A runner at its turn. */
struct turn {
    struct ab_kernel_pass *p;
    const struct ab_kernel_runner *r;
};

static enum ab_status run_once(void *user, struct ab_error *err)
{
    const struct turn *t = user;
    const struct ab_kernel_runner *r = t->r;
    if (r->peer)
        return ab_peer_run(r->peer) ? AB_OK : ab_fail(err, AB_ERR_INTERNAL, "oneDNN failed");
    t->p->args.pack = r->pack;
    t->p->args.scratch = r->scratch;
    r->kernel->run(&t->p->args);
    return AB_OK;
}

static void evict(void *user)
{
    const struct turn *t = user;
    ab_cache_evict(t->p->l3, 1);
}

/* Nanoseconds of a call are infinite if it failed. */
static struct ab_slice sample(struct ab_kernel_pass *p, struct ab_kernel_runner *r, int calls)
{
    struct turn turn = {p, r};
    struct ab_local local = {.run = run_once,
                             .user = &turn,
                             .before = p->cold ? evict : NULL,
                             .least_ns = r->fastest,
                             .whole_ns = r->whole};
    struct ab_slice slice;
    struct ab_error err;
    if (ab_local_slice(&local, calls, &slice, &err) != AB_OK)
        return (struct ab_slice){.ns = INFINITY};
    r->fastest = local.least_ns;
    r->whole = local.whole_ns;
    return slice;
}

/* The least sample; before the race, the least trial. */
static double time_of(const struct ab_kernel_runner *r)
{
    return r->count ? ab_least(r->ns, r->count) : r->fastest;
}

/* The fastest of oneDNN's, among the direct ones or among all. */
static int best_peer(const struct ab_kernel_pass *p, bool direct_only)
{
    int best = -1;
    for (int i = 0; i < p->n_runners; i++) {
        const struct ab_kernel_runner *r = &p->runners[i];
        if (!r->peer || r->left || (direct_only && ab_peer_is_winograd(r->peer))) continue;
        if (best < 0 || time_of(r) < time_of(&p->runners[best])) best = i;
    }
    return best;
}

/* Those that lag by `factor` leave; direct ones are compared with direct ones. */
static void thin_out(struct ab_kernel_pass *p, double factor)
{
    int direct = best_peer(p, true), any = best_peer(p, false);
    for (int i = 0; i < p->n_runners; i++) {
        struct ab_kernel_runner *r = &p->runners[i];
        if (!r->peer || r->left) continue;
        int rival = ab_peer_is_winograd(r->peer) || direct < 0 ? any : direct;
        r->left = !(time_of(r) <= factor * time_of(&p->runners[rival]));
        if (r->left) ab_peer_close(&r->peer);
    }
}

static void one_round(struct ab_kernel_pass *p, int round)
{
    ab_peak_again(p->isa);
    for (int k = 0; k < p->n_runners; k++) {
        /* Back and forth, so that none always follows the same other. */
        struct ab_kernel_runner *r = &p->runners[round % 2 ? p->n_runners - 1 - k : k];
        if (r->left || (r->kernel && r->kernel->baseline && round >= BASELINE_ROUNDS)) continue;
        const struct ab_slice slice = sample(p, r, p->calls);
        r->disturbed[r->count] = slice.disturbed;
        r->ns[r->count++] = slice.ns;
    }
}

/* Baselines are run when their rounds come: they may take seconds. */
static void try_all(struct ab_kernel_pass *p)
{
    for (int i = 0; i < p->n_runners && !ab_interrupted; i++) {
        struct ab_kernel_runner *r = &p->runners[i];
        for (int t = 0; t < TRIALS && !(r->kernel && r->kernel->baseline); t++) sample(p, r, 1);
    }
}

/* The same for all, so that all are equally warm. */
static int calls_of(const struct ab_kernel_pass *p)
{
    double fastest = INFINITY;
    for (int i = 0; i < p->n_runners; i++)
        if (!p->runners[i].left) fastest = fmin(fastest, p->runners[i].fastest);
    return p->cold || !(fastest < SAMPLE_NS) ? 1 : (int)ceil(SAMPLE_NS / fmax(fastest, 1));
}

void ab_kernel_pass_time(struct ab_kernel_pass *p, double seconds)
{
    try_all(p);
    thin_out(p, FAR_BEHIND);
    p->calls = calls_of(p);
    p->core_ghz = ab_core_ghz();
    double start = ab_now_ns();
    for (int round = 0; round < AB_KERNEL_ROUNDS && !ab_interrupted; round++) {
        if (round >= MIN_ROUNDS && ab_now_ns() - start >= seconds * 1e9) break;
        one_round(p, round);
        if (round + 1 == PROBE) thin_out(p, BEHIND);
        if (round + 1 == MIN_ROUNDS) thin_out(p, CLOSE);
    }
    p->core_ghz_after = ab_core_ghz();
    p->best = best_peer(p, false);
    p->best_direct = best_peer(p, true);
}
