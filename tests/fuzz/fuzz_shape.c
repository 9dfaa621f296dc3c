// SPDX-License-Identifier: Apache-2.0
// Files of convolution shapes, and that what was read prints and parses back to itself.
#include "verify/shape.h"

#include "fuzz.h"

static void check_again(const struct ab_shape *shape)
{
    struct ab_error err = {""};
    struct ab_shape again;
    char text[256];
    ab_shape_print(shape, text, sizeof text);
    MUST(ab_shape_parse(text, &again, &err) == AB_OK, "'%s' does not parse: %s", text, err.text);
    MUST(!memcmp(&shape->conv, &again.conv, sizeof again.conv) && shape->times == again.times &&
             !strcmp(shape->name, again.name),
         "'%s' parses to another shape", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file file = fuzz_file_open(data, size);
    struct ab_error err = {""};
    struct ab_shape *shapes;
    int count;
    enum ab_status status = ab_shapes_read(file.path, &shapes, &count, &err);
    fuzz_check(status, &err);
    MUST((status == AB_OK) == (shapes != NULL), "half read");
    for (int i = 0; shapes && i < count; i++) check_again(&shapes[i]);
    free(shapes);
    fuzz_file_close(&file);
    return 0;
}
