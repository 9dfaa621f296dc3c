// SPDX-License-Identifier: Apache-2.0
// Method specs, and that the canonical spec of what was parsed stands for itself.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *spec = malloc(size + 1);
    MUST(spec, "out of memory");
    if (size) memcpy(spec, data, size);
    spec[size] = '\0';
    struct ab_error err = {""};
    struct ab_method *method, *again;
    /* Other files than the input are nobody's business; fuzz_composite reads that. */
    enum ab_status status =
        strstr(spec, "file=") ? AB_ERR_ARG : ab_method_parse(spec, &method, &err);
    if (*err.text) fuzz_check(status, &err);
    free(spec);
    if (status != AB_OK) return 0;
    const char *canonical = ab_method_spec(method);
    MUST(ab_method_parse(canonical, &again, &err) == AB_OK, "'%s': %s", canonical, err.text);
    MUST(!strcmp(canonical, ab_method_spec(again)), "'%s' becomes '%s'", canonical,
         ab_method_spec(again));
    ab_method_destroy(&again);
    ab_method_destroy(&method);
    return 0;
}
