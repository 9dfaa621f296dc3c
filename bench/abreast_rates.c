// SPDX-License-Identifier: Apache-2.0
// What CPUs multiply and read together.
#include "abreast.h"

#include "bandwidth.h"
#include "base/base.h"
#include "peak.h"

#include <stdlib.h>

/* ---- multiply-adds ---- */

/* Some 30 us: threads that start 0.2 us apart still run at the same time. */
static double multiply(void *user, int thread, int round)
{
    (void)thread, (void)round;
    double done = 0;
    for (int i = 0; i < 8; i++) done += ab_peak_slice(*(enum ab_isa *)user);
    return done;
}

double ab_abreast_gflops(const int *cpus, int count, enum ab_isa isa, double span, double hoped)
{
    return ab_abreast(cpus, count, multiply, &isa, span, hoped);
}

/* ---- reading ---- */

struct areas {
    char **of_thread;
    size_t bytes; /* of each: whole chunks */
};

/* What is read in a round, some 100 us: rounds of milliseconds never go undisturbed on a busy
 * machine. A chunk has left the caches when its turn comes again. */
enum { CHUNK = 2 << 20 };

/* Memory belongs to the NUMA node of the thread that first touches it, so each makes its own. */
static double read_own(void *user, int thread, int round)
{
    const struct areas *a = user;
    size_t chunks = a->bytes / CHUNK;
    if (round < 0) a->of_thread[thread] = ab_buffer_alloc(a->bytes);
    if (round < 0 || !a->of_thread[thread]) return 0;
    int pattern = (int)((size_t)round / chunks % AB_BANDWIDTH_PATTERNS);
    ab_bandwidth_pass(a->of_thread[thread] + (size_t)round % chunks * CHUNK, CHUNK, pattern);
    return CHUNK;
}

double ab_abreast_gbs(const int *cpus, int count, double bytes, double span)
{
    struct areas a = {calloc((size_t)count, sizeof *a.of_thread), (size_t)bytes / CHUNK * CHUNK};
    if (!a.of_thread || !a.bytes) return free(a.of_thread), 0;
    double rate = ab_abreast(cpus, count, read_own, &a, span, 0);
    for (int i = 0; i < count; i++) ab_buffer_free(a.of_thread[i]);
    free(a.of_thread);
    return rate;
}
