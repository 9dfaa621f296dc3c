// SPDX-License-Identifier: Apache-2.0
// Which conditions must agree for two times to be comparable, and where they do not.
#include "db.h"

#include <stdlib.h>
#include <string.h>

/* Fields of the context that change times by themselves. What only tells how busy the machine was,
 * or which revision was measured (that is what comparisons are for), is none of them. */
static const char *const fields[][2] = {{"cpu", "model"},
                                        {"cpu", "family"},
                                        {"cpu", "model_number"},
                                        {"cpu", "stepping"},
                                        {"cpu", "microcode"},
                                        {"cpu", "isas"},
                                        {"cpu", "flags_hash"},
                                        {"cpu", "cores"},
                                        {"cpu", "hardware_threads"},
                                        {"cpu", "numa_nodes"},
                                        {"cpu", "cache_bytes"},
                                        {"cpu", "hypervisor_vendor"},
                                        {"build", "compiler"},
                                        {"build", "flags"},
                                        {"build", "onednn"},
                                        {"build", "libc"},
                                        {"build", "openmp_runtime"},
                                        {"system", "kernel"},
                                        {"system", "architecture"},
                                        {"system", "openmp"},
                                        {"system", "governor"},
                                        {"system", "mitigations"},
                                        {"system", "transparent_hugepages"},
                                        {"system", "float_control"}};

enum { FIELDS = sizeof fields / sizeof *fields };

/* Borrowed; NULL where the context says nothing (null, or written before the field was there). */
static const json_t *field(const json_t *context, int i)
{
    const json_t *value = json_object_get(json_object_get(context, fields[i][0]), fields[i][1]);
    return json_is_null(value) ? NULL : value;
}

/* In one form for equal values; free() it. */
static char *text_of(const json_t *value)
{
    if (!value) return strdup("unknown");
    if (json_is_string(value)) return strdup(json_string_value(value));
    return json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

void ab_fingerprint(const json_t *context, char text[32])
{
    uint64_t hash = 0;
    for (int i = 0; i < FIELDS; i++) {
        char *value = text_of(field(context, i));
        /* With its end, so that no two lists of values run together alike. */
        if (value) hash = ab_hash(hash, value, strlen(value) + 1);
        free(value);
    }
    snprintf(text, 32, "%016llx", (unsigned long long)hash);
}

bool ab_fingerprint_differs(const json_t *a, const json_t *b, char *text, size_t size)
{
    bool differs = false;
    size_t used = 0;
    if (size) *text = '\0';
    for (int i = 0; i < FIELDS; i++) {
        char *left = text_of(field(a, i)), *right = text_of(field(b, i));
        if (left && right && strcmp(left, right) != 0) {
            char line[400];
            const int length =
                snprintf(line, sizeof line, "%s%s.%s: %.120s, %.120s", differs ? "\n" : "",
                         fields[i][0], fields[i][1], left, right);
            differs = true;
            if (used + (size_t)length < size) {
                memcpy(text + used, line, (size_t)length + 1);
                used += (size_t)length;
            }
        }
        free(left);
        free(right);
    }
    return differs;
}
