// SPDX-License-Identifier: Apache-2.0
// What has been measured once in this process is not measured again: plans of the same layers are
// made faster, and compute the same bits.
#include "backend/onednn_linear.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct ab_onednn_work work;
    int variant;
    struct entry *next;
};

/* Grows with the number of different layers and lives as long as the process. */
static struct entry *entries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool same(const struct ab_onednn_work *a, const struct ab_onednn_work *b)
{
    return a->op == b->op && a->pass == b->pass && a->kind == b->kind && a->add == b->add &&
           a->bias == b->bias && a->batch == b->batch && a->threads == b->threads &&
           a->channels == b->channels && a->wei_count == b->wei_count &&
           (a->op == AB_OP_DENSE || !memcmp(&a->conv, &b->conv, sizeof a->conv)) &&
           dnnl_memory_desc_equal(a->x, b->x);
}

static struct entry *find(const struct ab_onednn_work *work)
{
    for (struct entry *e = entries; e; e = e->next)
        if (same(&e->work, work)) return e;
    return NULL;
}

int ab_onednn_recall(const struct ab_onednn_work *work)
{
    pthread_mutex_lock(&lock);
    const struct entry *e = find(work);
    const int variant = e ? e->variant : -1;
    pthread_mutex_unlock(&lock);
    return variant;
}

void ab_onednn_remember(const struct ab_onednn_work *work, int variant)
{
    pthread_mutex_lock(&lock);
    struct entry *e = find(work) ? NULL : malloc(sizeof *e);
    ab_md *x = e ? ab_md_copy(work->x) : NULL;
    if (x) {
        *e = (struct entry){*work, variant, entries};
        e->work.x = x;
        entries = e;
    } else {
        free(e);
    }
    pthread_mutex_unlock(&lock);
}
