// SPDX-License-Identifier: Apache-2.0
// Pictures of a report: PNG files of a run, as base64 in the document.
#include "report.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 16 << 20 };

static json_t *base64(const unsigned char *bytes, size_t count)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((count + 2) / 3 * 4 + 1), *out = text;
    if (!text) return NULL;
    for (size_t i = 0; i < count; i += 3) {
        const size_t left = count - i;
        const unsigned v = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                           (left > 2 ? bytes[i + 2] : 0);
        *out++ = letters[v >> 18];
        *out++ = letters[v >> 12 & 63];
        *out++ = left > 1 ? letters[v >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[v & 63] : '=';
    }
    json_t *value = json_stringn(text, (size_t)(out - text));
    free(text);
    return value;
}

/* The bytes of a PNG file, malloc'd; NULL with a note on stderr, or silently if there is none and
 * it is optional. */
static unsigned char *read_png(const char *path, bool optional, size_t *count)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    FILE *f = fopen(path, "rb");
    if (!f) {
        if (!optional) fprintf(stderr, "attrbench: note: %s: is gone; left out\n", path);
        return NULL;
    }
    unsigned char *bytes = malloc(MAX_FILE);
    *count = bytes ? fread(bytes, 1, MAX_FILE, f) : 0;
    const bool whole = bytes && feof(f) && !ferror(f);
    fclose(f);
    if (whole && *count > sizeof signature && !memcmp(bytes, signature, sizeof signature))
        return bytes;
    fprintf(stderr, "attrbench: note: %s: is no PNG file of at most %d MiB; left out\n", path,
            MAX_FILE >> 20);
    free(bytes);
    return NULL;
}

/* Adds the picture at `path` to `list` as `entry`, which is taken over. */
static enum ab_status add_picture(struct ab_report *report, json_t *list, json_t *entry,
                                  const char *path, bool optional, struct ab_error *err)
{
    size_t count = 0;
    unsigned char *bytes = entry ? read_png(path, optional, &count) : NULL;
    if (!bytes) {
        json_decref(entry);
        return entry ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    }
    if (report->picture_bytes + count > AB_REPORT_MAX_PICTURES) {
        report->pictures_left_out++;
        json_decref(entry);
        free(bytes);
        return AB_OK;
    }
    report->picture_bytes += count;
    json_t *png = base64(bytes, count);
    free(bytes);
    if (png && json_object_set_new(entry, "png", png) == 0 &&
        json_array_append_new(list, entry) == 0)
        return AB_OK;
    return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory; report fewer runs", path);
}

/* Names in a context are not trusted to stay in the folder. */
static bool is_inside(const char *file)
{
    return *file && *file != '/' && strcmp(file, "..") != 0 && strncmp(file, "../", 3) != 0 &&
           !strstr(file, "/../") && strlen(file) < 256;
}

static json_t *map_entry(const json_t *map, json_int_t run)
{
    static const char *const keys[] = {"model", "method", "backend", "image", "target"};
    json_t *entry = json_pack("{s:I}", "run", run);
    for (size_t i = 0; entry && i < sizeof keys / sizeof *keys; i++) {
        const char *text = ab_report_text(map, keys[i]);
        if (*text) json_object_set_new(entry, keys[i], json_string(text));
    }
    return entry;
}

enum ab_status ab_report_add_maps(struct ab_report *report, const char *folder,
                                  const json_t *context, struct ab_error *err)
{
    const json_t *maps = json_object_get(context, "maps");
    const json_int_t run = (json_int_t)json_array_size(report->runs) - 1;
    enum ab_status status = AB_OK;
    char path[1400];
    for (size_t i = 0; status == AB_OK && i < json_array_size(maps); i++) {
        const json_t *map = json_array_get(maps, i);
        const char *file = ab_report_text(map, "file");
        if (!is_inside(file)) continue;
        snprintf(path, sizeof path, "%s/%s", folder, file);
        status = add_picture(report, report->maps, map_entry(map, run), path, false, err);
    }
    if (status != AB_OK || json_array_size(maps)) return status;
    snprintf(path, sizeof path, "%s/maps.png", folder);
    return add_picture(report, report->sheets, json_pack("{s:I}", "run", run), path, true, err);
}
