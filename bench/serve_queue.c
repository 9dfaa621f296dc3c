// SPDX-License-Identifier: Apache-2.0
// Clients: those that ask again when they have their map, and those that arrive at random.
#include "serve.h"

#include <math.h>
#include <stdlib.h>

/* Of the random numbers of this seed: nothing else draws from it. */
enum { STREAM = 0x5e7e };

/* Time from arrival k - 1 to k: exponential, which makes arrivals a Poisson process. */
static double gap(const struct ab_queue *q, uint64_t k)
{
    /* Elements end at 2^34, years of visits; samples go on. */
    const uint64_t elements = UINT64_C(1) << 34;
    const double u = ab_sample_uniform(q->seed, STREAM, (uint32_t)(k / elements), k % elements);
    return -log(u) * 1e9 / q->load.rate;
}

enum ab_status ab_queue_open(struct ab_queue *q, const struct ab_load_shape *load, int places,
                             uint64_t seed, double now, struct ab_error *err)
{
    *q = (struct ab_queue){.load = *load, .seed = seed};
    if (load->kind == AB_LOAD_POISSON) {
        q->next = q->first = now + gap(q, 0);
        return AB_OK;
    }
    if (!load->streams) q->load.streams = places;
    q->asked = calloc((size_t)q->load.streams, sizeof *q->asked);
    if (!q->asked) return ab_fail(err, AB_ERR_MEMORY, "out of memory for clients");
    ab_queue_ask(q, now, q->load.streams);
    return AB_OK;
}

void ab_queue_free(struct ab_queue *q)
{
    free(q->asked);
    *q = (struct ab_queue){0};
}

void ab_queue_admit(struct ab_queue *q, double now)
{
    if (q->load.kind == AB_LOAD_CLOSED) return;
    while (q->next <= now) {
        q->waiting++;
        q->next += gap(q, ++q->arrived);
    }
}

int ab_queue_take(struct ab_queue *q, int most, double *asked)
{
    const int count = q->waiting < most ? (int)q->waiting : most;
    for (int i = 0; i < count; i++) {
        q->taken++;
        if (q->load.kind == AB_LOAD_CLOSED) {
            asked[i] = q->asked[q->head];
            q->head = (q->head + 1) % q->load.streams;
        } else {
            asked[i] = q->first;
            q->first += gap(q, q->taken);
        }
    }
    q->waiting -= count;
    return count;
}

void ab_queue_ask(struct ab_queue *q, double now, int count)
{
    if (q->load.kind == AB_LOAD_POISSON) return;
    for (int i = 0; i < count; i++) {
        q->asked[(q->head + q->waiting) % q->load.streams] = now;
        q->waiting++;
    }
}

double ab_queue_next(const struct ab_queue *q)
{
    return q->load.kind == AB_LOAD_CLOSED ? INFINITY : q->next;
}
