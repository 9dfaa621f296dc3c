// SPDX-License-Identifier: Apache-2.0
// Files of a user's own composite, and that the rules as the spec writes them stand for themselves.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file = fuzz_file_open(data, size);
    char spec[80];
    snprintf(spec, sizeof spec, "composite:file=%s", file.path);
    struct ab_error err = {""};
    struct ab_method *method, *again;
    enum ab_status status = ab_method_parse(spec, &method, &err);
    fuzz_check(status, &err);
    fuzz_file_close(&file);
    if (status != AB_OK) return 0;
    const char *canonical = ab_method_spec(method);
    MUST(!strncmp(canonical, "composite:rules=", 16), "the file is not resolved: %s", canonical);
    MUST(ab_method_parse(canonical, &again, &err) == AB_OK, "'%s': %s", canonical, err.text);
    MUST(!strcmp(canonical, ab_method_spec(again)), "'%s' becomes '%s'", canonical,
         ab_method_spec(again));
    ab_method_destroy(&again);
    ab_method_destroy(&method);
    return 0;
}
