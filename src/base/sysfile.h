// SPDX-License-Identifier: Apache-2.0
// Reading the small text files of /proc and /sys, any of which may be absent.
#ifndef AB_SYSFILE_H
#define AB_SYSFILE_H

#include <stdbool.h>
#include <stddef.h>

/* The first line of the file whose name `format` makes, without its end. False, text "": there is
 * no such file, this user may not read it, or it is empty; errno tells which (0: empty). */
bool ab_sys_line(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same as a number; the line holds nothing else. False: *value stays as it is. */
bool ab_sys_number(long long *value, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The value after "key :" (the first of several) in a file like /proc/cpuinfo; false, "": none. */
bool ab_sys_value(const char *file, const char *key, char *value, size_t size);

/* What the system calls this CPU; false, "": it does not say. */
bool ab_sys_cpu(char *text, size_t size);

/* Folders and files are looked for under `folder` ("" as at the start: where they really are).
 * Borrowed. What tests describe machines with that they do not run on. */
void ab_sys_root(const char *folder);
/* The name under that folder; false if it does not fit. */
bool ab_sys_path(char *path, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
