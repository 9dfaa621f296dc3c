// SPDX-License-Identifier: Apache-2.0
// What the targets of image files share: reading one as models of colour and of gray pixels do.
#ifndef AB_TESTS_FUZZ_IMAGE_H
#define AB_TESTS_FUZZ_IMAGE_H

#include "fuzz.h"

static inline void fuzz_read_image(const uint8_t *data, size_t size)
{
    static const struct ab_dims shapes[] = {{3, 8, 8}, {1, 8, 5}};
    static const float mean[] = {0.5f, 0.4f, 0.3f}, std[] = {0.2f, 0.3f, 0.4f};
    struct fuzz_file file = fuzz_file_open(data, size);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct ab_error err = {""};
        float out[3 * 8 * 8];
        enum ab_status status = ab_image_read(file.path, shapes[i], mean, std, out, &err);
        fuzz_check(status, &err);
        if (status != AB_OK) break;
        for (int k = 0; k < shapes[i].c * shapes[i].h * shapes[i].w; k++)
            MUST(out[k] >= -2.6f && out[k] <= 3.6f, "pixel %d is %g", k, (double)out[k]);
    }
    fuzz_file_close(&file);
}

#endif
