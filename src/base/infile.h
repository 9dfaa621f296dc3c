// SPDX-License-Identifier: Apache-2.0
// Opening files that somebody else wrote: only regular, non-empty ones, with one clear line else.
#ifndef AB_INFILE_H
#define AB_INFILE_H

#include "base/base.h"

#include <stdio.h>

/* Opens a regular file of at least one byte for reading; *size is its length. `what` says what the
 * caller expects ("a .npy array"), for the messages. NULL and *status set on failure. */
FILE *ab_infile_open(const char *path, const char *what, uint64_t *size, enum ab_status *status,
                     struct ab_error *err);

/* The kind of file that `head`, its first bytes, tells ("a PNG image"), or NULL if unknown. */
const char *ab_infile_kind(const unsigned char *head, size_t bytes);

#endif
