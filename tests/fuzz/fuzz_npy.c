// SPDX-License-Identifier: Apache-2.0
// .npy files, read as images and as vectors.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ab_dims shapes[] = {{1, 2, 2}, {3, 1, 1}};
    struct fuzz_file file = fuzz_file_open(data, size);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct ab_dims d = shapes[i];
        struct ab_error err = {""};
        float *images;
        int n;
        enum ab_status status = ab_npy_read(file.path, d, &images, &n, &err);
        fuzz_check(status, &err);
        MUST((status == AB_OK) == (images != NULL) && (status == AB_OK) == (n > 0), "half read");
        /* Every byte of it is there to be read. */
        const size_t count = (size_t)n * (size_t)(d.c * d.h * d.w);
        float *copy = images ? malloc(count * sizeof *copy) : NULL;
        if (copy) memcpy(copy, images, count * sizeof *copy);
        free(copy);
        free(images);
    }
    fuzz_file_close(&file);
    return 0;
}
