// SPDX-License-Identifier: Apache-2.0
// Output files that appear whole or not at all: written beside their destination, then renamed.
#ifndef AB_OUTFILE_H
#define AB_OUTFILE_H

#include "base/base.h"

#include <stdio.h>

/* Write to `stream`; then call ab_outfile_close in every case. */
struct ab_outfile {
    FILE *stream;
    char *path; /* the destination, symbolic links resolved */
    char *
        temp; /* NULL: the destination is no regular file (a pipe, a device) and written directly */
};

/* On failure nothing is left open and ab_outfile_close need not be called. */
enum ab_status ab_outfile_open(struct ab_outfile *out, const char *path, struct ab_error *err);

/* Keeps the file if `status` is AB_OK and every write came through (a full disk is noticed here),
 * removes it otherwise. Returns `status`, or AB_ERR_IO with a message. */
enum ab_status ab_outfile_close(struct ab_outfile *out, enum ab_status status,
                                struct ab_error *err);

#endif
