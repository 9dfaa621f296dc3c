// SPDX-License-Identifier: Apache-2.0
// Timing the kernels of a pass and oneDNN's alternatives by turns.
//
// A turn runs its candidate once untimed, so that its operands are as warm as its own last
// execution leaves them and not as the others did, and then takes the sample. oneDNN's slow
// alternatives leave the race as soon as they are certain to lose.
#include "kernel_pass.h"
#include "peak.h"
#include "run.h"

#include <math.h>
#include <time.h>

/* TRIALS: runs of each alternative before the race begins; PROBE: rounds after which the field is
 * thinned out, as it is after MIN_ROUNDS. BASELINE_ROUNDS: compilers' loops are slow and nobody's
 * claim. */
enum { MIN_ROUNDS = 5, TRIALS = 2, PROBE = 3, BASELINE_ROUNDS = 3 };
/* How much longer an alternative of oneDNN may take than the fastest, at these three moments. */
static const double FAR_BEHIND = 1.5, BEHIND = 1.2, CLOSE = 1.04;
/* Bringing operands back into the caches takes a negligible part of executions this long. */
static const double LONG_NS = 5e6;

/* The time that this thread ran: turns of other processes do not count. */
static double own_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static bool run_once(struct ab_kernel_pass *p, const struct ab_kernel_runner *r)
{
    if (r->peer) return ab_peer_run(r->peer);
    p->args.pack = r->pack;
    p->args.scratch = r->scratch;
    r->kernel->run(&p->args);
    return true;
}

/* Nanoseconds; infinity if it failed. */
static double sample(struct ab_kernel_pass *p, struct ab_kernel_runner *r)
{
    if (r->fastest < LONG_NS && !run_once(p, r)) return INFINITY;
    double start = own_ns();
    bool ran = run_once(p, r);
    double ns = own_ns() - start;
    if (!ran) return INFINITY;
    if (ns < r->fastest) r->fastest = ns;
    return ns;
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
        r->ns[r->count++] = sample(p, r);
    }
}

void ab_kernel_pass_time(struct ab_kernel_pass *p, double seconds)
{
    for (int i = 0; i < p->n_runners && !ab_interrupted; i++)
        for (int t = 0; t < TRIALS && p->runners[i].peer; t++) sample(p, &p->runners[i]);
    thin_out(p, FAR_BEHIND);
    double start = ab_now_ns();
    for (int round = 0; round < AB_KERNEL_ROUNDS && !ab_interrupted; round++) {
        if (round >= MIN_ROUNDS && ab_now_ns() - start >= seconds * 1e9) break;
        one_round(p, round);
        if (round + 1 == PROBE) thin_out(p, BEHIND);
        if (round + 1 == MIN_ROUNDS) thin_out(p, CLOSE);
    }
    p->best = best_peer(p, false);
    p->best_direct = best_peer(p, true);
}
