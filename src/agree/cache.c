// SPDX-License-Identifier: Apache-2.0
// The referee's cache: one file per (graph, methods, images, targets) with the reference's maps and
// decisions. A header, then targets, their rivals, maps as doubles, and decisions in the order of
// value ids: kept units as bits, units that may be at a cap as bytes, switches as 16-bit numbers,
// each padded to 8 bytes. Numbers are in the machine's own byte order, which the magic number
// shows.
#include "agree/referee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/outfile.h"

#define MAGIC                                                                                      \
    UINT64_C(0x3346455242413031) /* "10ABREF3": the last digit is the format's version             \
                                  */

struct header {
    uint64_t magic, hash, bytes, checksum;
};

/* A walk over the payload: with `store` copies to it, else from it; without data it counts. */
struct walk {
    unsigned char *data;
    size_t at;
    bool store;
};

static size_t round8(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static void pass(struct walk *w, void *memory, size_t bytes)
{
    if (w->data && w->store) memcpy(w->data + w->at, memory, bytes);
    if (w->data && !w->store) memcpy(memory, w->data + w->at, bytes);
    w->at += round8(bytes);
}

static void pass_bits(struct walk *w, uint8_t *kept, size_t count)
{
    unsigned char *bits = w->data ? w->data + w->at : NULL;
    for (size_t i = 0; bits && i < count; i++) {
        const unsigned char mask = (unsigned char)(1u << i % 8);
        if (!w->store)
            kept[i] = (bits[i / 8] & mask) != 0;
        else if (kept[i])
            bits[i / 8] |= mask; /* the payload begins as zeros */
    }
    w->at += round8((count + 7) / 8);
}

static size_t pass_all(const struct ab_referee *r, unsigned char *data, bool store)
{
    const struct ab_program *p = &r->plan->program;
    struct walk w = {.data = data, .store = store};
    const size_t choices = (size_t)r->batch * (size_t)r->n_targets;
    pass(&w, r->own.target, sizeof *r->own.target * choices);
    pass(&w, r->own.rival, sizeof *r->own.rival * choices);
    pass(&w, r->maps, sizeof *r->maps * ab_referee_map_count(r) * (size_t)ab_referee_outputs(r));
    for (int id = 0; id < p->n_values; id++) {
        const size_t count = ab_plan_value_count(r->plan, id);
        switch (p->values[id].decision) {
        case AB_DECIDE_NOTHING: break;
        case AB_DECIDE_SWITCH: pass(&w, r->own.of[id], count * sizeof(uint16_t)); break;
        case AB_DECIDE_CAP: pass(&w, r->own.of[id], count); break;
        default: pass_bits(&w, r->own.of[id], count);
        }
    }
    return w.at;
}

static void entry_path(const char *dir, uint64_t hash, char *path, size_t size)
{
    snprintf(path, size, "%s/reference-%016llx.bin", dir, (unsigned long long)hash);
}

/* The payload of a file that is whole and the right one, or NULL. */
static unsigned char *read_payload(FILE *file, uint64_t hash, size_t bytes)
{
    struct header h;
    if (fread(&h, sizeof h, 1, file) != 1) return NULL;
    if (h.magic != MAGIC || h.hash != hash || h.bytes != bytes) return NULL;
    unsigned char *data = malloc(bytes);
    if (data && fread(data, 1, bytes, file) == bytes && getc(file) == EOF &&
        ab_hash(hash, data, bytes) == h.checksum)
        return data;
    free(data);
    return NULL;
}

/* The entry's payload, or NULL. */
static unsigned char *open_entry(const char *dir, uint64_t hash, size_t bytes)
{
    char path[4096];
    entry_path(dir, hash, path, sizeof path);
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    unsigned char *data = read_payload(file, hash, bytes);
    fclose(file);
    return data;
}

bool ab_cache_load(struct ab_referee *referee, const char *dir, uint64_t hash)
{
    unsigned char *data = open_entry(dir, hash, pass_all(referee, NULL, false));
    if (!data) return false;
    pass_all(referee, data, false);
    free(data);
    return true;
}

bool ab_cache_read(const char *dir, uint64_t hash, void *data, size_t bytes)
{
    unsigned char *payload = open_entry(dir, hash, bytes);
    if (!payload) return false;
    memcpy(data, payload, bytes);
    free(payload);
    return true;
}

void ab_cache_write(const char *dir, uint64_t hash, const void *data, size_t bytes)
{
    char path[4096];
    struct ab_outfile out;
    mkdir(dir, 0777); /* if it cannot be made, opening the file below fails */
    entry_path(dir, hash, path, sizeof path);
    if (ab_outfile_open(&out, path, NULL) != AB_OK) return;
    const struct header h = {MAGIC, hash, bytes, ab_hash(hash, data, bytes)};
    fwrite(&h, sizeof h, 1, out.stream);
    fwrite(data, 1, bytes, out.stream);
    ab_outfile_close(&out, AB_OK, NULL);
}

void ab_cache_save(const struct ab_referee *referee, const char *dir, uint64_t hash)
{
    const size_t bytes = pass_all(referee, NULL, true);
    unsigned char *data = calloc(1, bytes);
    if (!data) return;
    pass_all(referee, data, true);
    ab_cache_write(dir, hash, data, bytes);
    free(data);
}
