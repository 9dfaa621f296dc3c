// SPDX-License-Identifier: Apache-2.0
// bench_dense [SECONDS [KERNEL_GLOB]]: fully connected kernels against the read bandwidth of a
// core.
//
// Built on demand: cmake --build build --target bench_dense. One table a shape; times are minima
// over rounds in which the read probe (bench/bandwidth.h) and all cases take turns on the same
// weights, in the same order: 8 rows after 8 rows. Over the whole array at once the probe would
// find more in a cache of half its size: 56 GB/s instead of 51 for 67 MB and the 32 MB L3 of Zen 4.
// `share` is the probe's time over the kernel's, `gain` that of n single right-hand sides
// over one pass for all n.
#include "bench/bandwidth.h"

#include "base/base.h"
#include "bench/stats.h"
#include "simd/kernels.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_KERNELS = 8, MAX_CASES = 128, MAX_SAMPLES = 8, MIN_ROUNDS = 3, ROWS = 8 };

/* VGG-16's three layers. */
static const struct {
    int in, out;
} shapes[] = {{25088, 4096}, {4096, 4096}, {4096, 1000}};
static const int samples[] = {1, 2, 4, 8};
static const enum ab_wmod wmods[] = {AB_W_ALL, AB_W_POS};

struct bench_case {
    const struct ab_kernel *kernel;
    struct ab_dense_args args;
    double ns;
};

struct table {
    struct bench_case cases[MAX_CASES];
    int count;
    float *wei, *vectors[2]; /* of `in` and `out` floats, MAX_SAMPLES each */
    size_t bytes, part;      /* of the weights; of those read side by side */
    double read_ns;
};

static int padded(int features)
{
    return ab_blocks(features) * AB_LANES;
}

static void add_case(struct table *t, const struct ab_kernel *k, int in, int out, enum ab_pass pass,
                     enum ab_wmod wmod, int n)
{
    const bool fwd = pass == AB_FWD;
    if (t->count == MAX_CASES) return;
    t->cases[t->count++] = (struct bench_case){
        .kernel = k,
        .ns = INFINITY,
        .args = {.n = n,
                 .in = in,
                 .out = out,
                 .pass = pass,
                 .wmod = wmod,
                 .wei = t->wei,
                 .src = t->vectors[fwd ? 0 : 1],
                 .dst = t->vectors[fwd ? 1 : 0] + MAX_SAMPLES * padded(fwd ? out : in),
                 .src_stride = padded(fwd ? in : out),
                 .dst_stride = padded(fwd ? out : in),
                 .r1 = fwd ? out : in}};
}

static void add_cases(struct table *t, const char *glob, int in, int out)
{
    int count;
    const struct ab_kernel *k = ab_kernels(&count);
    for (int i = 0; i < count; i++) {
        if (k[i].op != AB_KERNEL_dense || k[i].baseline || !(ab_cpu_isas() >> k[i].isa & 1))
            continue;
        if (fnmatch(glob, k[i].name, 0) != 0) continue;
        for (int pass = 0; pass < 2; pass++)
            for (int w = 0; w < 2; w++)
                for (int s = 0; s < 4; s++)
                    add_case(t, &k[i], in, out, (enum ab_pass)pass, wmods[w], samples[s]);
    }
}

/* Source vectors first, results behind them. */
static float *vectors_new(int features)
{
    const size_t count = (size_t)MAX_SAMPLES * (size_t)padded(features);
    float *p = ab_buffer_alloc(2 * count * sizeof *p);
    for (size_t i = 0; p && i < count; i++) p[i] = (float)ab_normal(7, i);
    return p;
}

static bool table_new(struct table *t, const char *glob, int in, int out)
{
    const size_t count = (size_t)in * (size_t)out;
    *t = (struct table){.bytes = count * sizeof(float),
                        .part = ROWS * (size_t)in * sizeof(float),
                        .read_ns = INFINITY};
    t->wei = ab_buffer_alloc(t->bytes);
    t->vectors[0] = vectors_new(in);
    t->vectors[1] = vectors_new(out);
    if (!t->wei || !t->vectors[0] || !t->vectors[1]) return false;
    /* A period of 1 MiB: the values do not matter, denormals and infinities would. */
    for (size_t i = 0; i < count; i++)
        t->wei[i] = i < 1 << 18 ? (float)(0.05 * ab_normal(11, i)) : t->wei[i - (1 << 18)];
    add_cases(t, glob, in, out);
    return true;
}

static void table_free(struct table *t)
{
    ab_buffer_free(t->wei);
    ab_buffer_free(t->vectors[0]);
    ab_buffer_free(t->vectors[1]);
}

static void take_turns(struct table *t, double seconds)
{
    const double start = ab_now_ns();
    for (int round = 0; round < MIN_ROUNDS || ab_now_ns() - start < seconds * 1e9; round++) {
        for (int i = 0; i < t->count; i++) {
            struct bench_case *c = &t->cases[i];
            if (i % 4 == 0)
                t->read_ns = fmin(t->read_ns, ab_bandwidth_read_ns(t->wei, t->bytes, t->part));
            const double before = ab_now_ns();
            c->kernel->run(&c->args);
            c->ns = fmin(c->ns, ab_now_ns() - before);
        }
    }
}

static void print_table(const struct table *t)
{
    printf("%-14s %-4s %-4s", "kernel", "pass", "wmod");
    for (int s = 0; s < 4; s++) printf("  n=%d: ms  share  gain", samples[s]);
    printf("\n");
    for (int i = 0; i < t->count; i += 4) {
        const struct bench_case *c = &t->cases[i];
        printf("%-14s %-4s %-4s", c->kernel->name, c->args.pass == AB_FWD ? "fwd" : "bwd",
               c->args.wmod == AB_W_ALL ? "all" : "pos");
        for (int s = 0; s < 4; s++)
            printf("  %7.3f %5.0f %% %5.2f", c[s].ns * 1e-6, 100 * t->read_ns / c[s].ns,
                   samples[s] * c[0].ns / c[s].ns);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 2;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct table t;
        const bool made = table_new(&t, argc > 2 ? argv[2] : "*", shapes[i].in, shapes[i].out);
        if (made) {
            take_turns(&t, seconds);
            printf("%s%d -> %d: %.0f MB, read in %.3f ms, %.1f GB/s\n", i ? "\n" : "", shapes[i].in,
                   shapes[i].out, (double)t.bytes * 1e-6, t.read_ns * 1e-6,
                   (double)t.bytes / t.read_ns);
            print_table(&t);
        }
        table_free(&t);
        if (!made) {
            fprintf(stderr, "bench_dense: out of memory\n");
            return 1;
        }
    }
    return 0;
}
