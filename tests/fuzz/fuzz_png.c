// SPDX-License-Identifier: Apache-2.0
// PNG files, as they are and with the checksums of their chunks put right, which no mutation hits.
#include "fuzz_image.h"

static uint32_t crc(const uint8_t *data, size_t size)
{
    uint32_t c = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        c ^= data[i];
        for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~c;
}

/* A chunk: length, type, data, checksum of type and data; numbers are big-endian. */
static void repair(uint8_t *png, size_t size)
{
    for (size_t at = 8; size - at >= 12;) {
        const uint8_t *b = png + at;
        const size_t length = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        if (length > size - at - 12) return;
        const uint32_t sum = crc(png + at + 4, length + 4);
        for (size_t i = 0; i < 4; i++) png[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        at += length + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read_image(data, size);
    if (size < 20) return 0;
    uint8_t *repaired = malloc(size);
    MUST(repaired, "out of memory");
    memcpy(repaired, data, size);
    repair(repaired, size);
    if (memcmp(repaired, data, size) != 0) fuzz_read_image(repaired, size);
    free(repaired);
    return 0;
}
