// SPDX-License-Identifier: Apache-2.0
// Files of results, in every form that `attrbench import` reads.
#include "bench/runfile.h"

#include "fuzz.h"

#include <math.h>

static void look_at(const struct ab_db_row *row)
{
    MUST(row->key && *row->key, "a row without a key");
    MUST(json_is_object(row->record), "%s: no record", row->key);
    MUST(row->count >= 0, "%s: %d samples", row->key, row->count);
    for (int i = 0; i < row->count; i++)
        MUST(isfinite(row->ns[i]), "%s: sample %d is %g", row->key, i, row->ns[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file = fuzz_file_open(data, size);
    struct ab_error err = {""};
    struct ab_runfile *runs = NULL;
    int count = 0;
    const enum ab_status status = ab_runfile_read(file.path, &runs, &count, &err);
    fuzz_check(status, &err);
    MUST(status != AB_OK || (runs && count > 0), "no run, and no error");
    for (int i = 0; status == AB_OK && i < count; i++) {
        MUST(runs[i].count > 0, "run %d has no rows", i);
        for (int r = 0; r < runs[i].count; r++) look_at(&runs[i].rows[r]);
    }
    if (status == AB_OK) ab_runfile_free(runs, count);
    fuzz_file_close(&file);
    return 0;
}
