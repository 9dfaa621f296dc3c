// SPDX-License-Identifier: Apache-2.0
// The doctor's roofs: multiply-adds for each instruction set and number of threads, reading for
// each level of memory; and whether two CPUs are two cores.
#include "doctor.h"

#include "abreast.h"
#include "bandwidth.h"
#include "base/container.h"
#include "peak.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds of trying, in ns: some see no interruption (peak.c). */
static const double span = 30e6;
/* What is read for "memory", all threads together; of one among many at least the second, which is
 * several times a core's share of any last cache. */
static const double memory_bytes = 384.0 * 1024 * 1024, least_bytes = 64.0 * 1024 * 1024;

/* ---- multiply-adds ---- */

/* The thread counts that are tried: 1, 2, 4, ..., cores, CPUs. */
static int next_count(const struct ab_doctor *d, int count)
{
    if (count >= d->n_cpus) return 0;
    if (count == d->n_own) return d->n_cpus;
    return count * 2 < d->n_own ? count * 2 : d->n_own;
}

static void multiply_adds(struct ab_doctor *d, enum ab_isa isa, json_t *all)
{
    char label[32], text[512] = "", key[16];
    json_t *counts = json_object();
    for (int n = 1; n; n = next_count(d, n)) {
        double one = ab_peak_gflops(isa);
        double rate = n == 1 ? one : ab_abreast_gflops(d->cpus, n, isa, span, n * one);
        size_t used = strlen(text);
        snprintf(key, sizeof key, "%d", n);
        json_object_set_new(counts, key, rate > 0 ? json_real(rate) : json_null());
        if (rate > 0)
            snprintf(text + used, sizeof text - used, "%s%d thread%s %.1f GFLOP/s",
                     used ? ", " : "", n, n == 1 ? "" : "s", rate);
        else
            snprintf(text + used, sizeof text - used, ", %d threads never ran at once", n);
    }
    json_object_set_new(all, ab_isa_name(isa), counts);
    snprintf(label, sizeof label, "FMA %s", ab_isa_name(isa));
    ab_doctor_line(d, label, "%s", text);
}

/* ---- sharing ---- */

static const char *meaning(double share)
{
    return share >= 1.7   ? "each has a core of its own"
           : share <= 1.3 ? "they share one core"
                          : "between one core and two: others use them too, or the clock drops";
}

/* Two CPUs together, in units of what they do one at a time. Hidden from guests, so measured. */
static void try_pair(struct ab_doctor *d, int second, json_t *pairs)
{
    unsigned have = ab_cpu_isas();
    /* Not AVX-512, which lowers the clock of some CPUs. */
    enum ab_isa isa = have >> AB_ISA_avx2 & 1   ? AB_ISA_avx2
                      : have >> AB_ISA_neon & 1 ? AB_ISA_neon
                                                : AB_ISA_plain;
    int pair[2] = {d->cpus[0], d->cpus[second]};
    double a = ab_abreast_gflops(&pair[0], 1, isa, span, 0);
    double b = ab_abreast_gflops(&pair[1], 1, isa, span, 0);
    double both = a > 0 && b > 0 ? ab_abreast_gflops(pair, 2, isa, 2 * span, a + b) : 0;
    double share = both > 0 ? 2 * both / (a + b) : 0;
    json_array_append_new(pairs, json_pack("{s:[ii],s:o}", "cpus", pair[0], pair[1], "share",
                                           share > 0 ? json_real(share) : json_null()));
    if (share <= 0) {
        ab_doctor_line(d, "core sharing", "CPUs %d and %d: not known, they never ran at once",
                       pair[0], pair[1]);
        return;
    }
    ab_doctor_line(d, "core sharing", "CPUs %d and %d together do %.2f of what one does: %s",
                   pair[0], pair[1], share, meaning(share));
    if (!(d->share > 0) || share < d->share) d->share = share;
}

/* The neighbour, the one half way and the last: where siblings are numbered next to each other or
 * one socket's worth apart. Pairs that the system calls siblings are not in question. */
static void sharing(struct ab_doctor *d)
{
    json_t *pairs = json_array();
    int last = d->n_own - 1, tried = 0;
    for (int i = 0; i < 3; i++) {
        int second = i == 0 ? 1 : i == 1 ? (last + 1) / 2 : last;
        if (second <= tried || second > last) continue;
        try_pair(d, second, pairs);
        tried = second;
    }
    ab_doctor_put(d, "core_sharing", pairs, NULL);
    if (last < 1) ab_doctor_line(d, "core sharing", "not measured: one core only");
    if (d->share > 0 && d->share <= 1.3)
        ab_doctor_advise(d, 60, "use half as many --threads as there are CPUs",
                         "two CPUs that look like cores share one: together they do %.2f of one",
                         d->share);
}

/* ---- reading ---- */

/* Half of a level is read, which is more than the level before holds. */
static void reading_of(struct ab_doctor *d, json_t *all, const char *key, long size, long inner)
{
    char label[32], text[32];
    snprintf(label, sizeof label, "read %s", key);
    double rate = size > 0 && size / 2 > inner ? ab_bandwidth_gbs((size_t)size / 2) : 0;
    json_object_set_new(all, key, rate > 0 ? json_real(rate) : json_null());
    if (rate > 0)
        ab_doctor_line(d, label, "%.1f GB/s (working set %s)", rate,
                       ab_doctor_bytes((double)size / 2, text));
    else
        ab_doctor_line(d, label, "not measured: %s",
                       size > 0 ? "no larger than the level before" : "its size is not known");
}

/* Memory itself: by one thread, and by all cores where there is room for that. */
static void read_all(struct ab_doctor *d, json_t *all, double available)
{
    char text[96] = "";
    double each = fmax(memory_bytes / d->n_own, least_bytes);
    bool several = d->n_own > 1, room = !(available < 2 * each * d->n_own);
    double one = ab_abreast_gbs(d->cpus, 1, memory_bytes, 10 * span);
    double together = several && room ? ab_abreast_gbs(d->cpus, d->n_own, each, 10 * span) : 0;
    json_object_set_new(all, "memory", one > 0 ? json_real(one) : json_null());
    json_object_set_new(all, "memory_all_cores", together > 0 ? json_real(together) : json_null());
    if (together > 0)
        snprintf(text, sizeof text, ", %d threads %.1f GB/s", d->n_own, together);
    else if (several)
        snprintf(text, sizeof text, ", %d threads %s", d->n_own,
                 room ? "never ran at once" : "would need more memory than there is");
    if (one > 0)
        ab_doctor_line(d, "read memory", "1 thread %.1f GB/s%s%s", one, text,
                       (double)d->machine.l3 * 2 > memory_bytes
                           ? "; partly from the last cache, which is large"
                           : "");
    else
        ab_doctor_line(d, "read memory",
                       "not measured: no memory, or no thread that ran undisturbed");
}

static void reading(struct ab_doctor *d)
{
    const struct ab_machine *m = &d->machine;
    double available = ab_memory_available();
    json_t *all = json_object();
    ab_doctor_put(d, "read_gbs", all, NULL);
    reading_of(d, all, "L1", m->l1d, 0);
    reading_of(d, all, "L2", m->l2, m->l1d);
    reading_of(d, all, "L3", m->l3, m->l2);
    if (available < 2 * memory_bytes) {
        json_object_set_new(all, "memory", json_null());
        ab_doctor_line(d, "read memory", "not measured: less than 768 MiB are available");
        return;
    }
    read_all(d, all, available);
}

void ab_doctor_roofs(struct ab_doctor *d)
{
    json_t *all = json_object();
    unsigned have = ab_cpu_isas();
    ab_doctor_section(d, "roofs", "Roofs, measured");
    ab_doctor_put(d, "fma_gflops", all, NULL);
    for (int i = 0; i < AB_ISA_COUNT; i++)
        if (have >> i & 1 && ab_peak_gflops((enum ab_isa)i) > 0)
            multiply_adds(d, (enum ab_isa)i, all);
    reading(d);
    sharing(d);
}
