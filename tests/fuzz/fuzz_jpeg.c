// SPDX-License-Identifier: Apache-2.0
// JPEG files.
#include "fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read_image(data, size);
    return 0;
}
