// SPDX-License-Identifier: Apache-2.0
// Deployment configurations, of any machine: whatever is read can be said, compared and checked.
#include "config/config.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file = fuzz_file_open(data, size);
    struct ab_error err = {""};
    struct ab_config *config = NULL;
    const enum ab_status status = ab_config_read(file.path, true, &config, &err);
    fuzz_check(status, &err);
    MUST((status == AB_OK) == (config != NULL), "half read");
    if (config) {
        const struct ab_deploy *d = ab_config_deploy(config);
        char text[AB_DEPLOY_TEXT], differs[256];
        struct ab_deploy copy;
        ab_deploy_text(d, text);
        MUST(strlen(text) + 1 < sizeof text, "a text without an end: %s", text);
        MUST(ab_config_instances(config) >= 1 && ab_config_batch(config) >= 1, "no instance");
        MUST(*ab_config_model(config) && *ab_config_method(config), "no model or no method");
        MUST((d->place == AB_PLACE_FREE) == (d->cpus == NULL), "place %d, CPUs %p", (int)d->place,
             (void *)d->cpus);
        ab_config_foreign(config, differs, sizeof differs);
        fuzz_check(ab_deploy_check(d, &err), &err);
        MUST(ab_deploy_copy(d, &copy), "memory");
        ab_deploy_free(&copy);
    }
    ab_config_destroy(&config);
    fuzz_file_close(&file);
    return 0;
}
