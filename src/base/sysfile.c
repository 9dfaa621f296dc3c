// SPDX-License-Identifier: Apache-2.0
// Small text files of the system.
#include "base/sysfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *root = "";

void ab_sys_root(const char *folder)
{
    root = folder;
}

static bool path_of(char *path, size_t size, const char *format, va_list args)
{
    int used = snprintf(path, size, "%s", root);
    if (used < 0 || (size_t)used >= size) return false;
    int more = vsnprintf(path + used, size - (size_t)used, format, args);
    return more >= 0 && (size_t)more < size - (size_t)used;
}

bool ab_sys_path(char *path, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool ok = path_of(path, size, format, args);
    va_end(args);
    return ok;
}

/* Reading may fail where opening did not: /proc/pressure of a kernel that was told psi=0. */
static bool read_line(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    errno = 0;
    FILE *f = fopen(path, "r");
    if (!f) return false;
    bool ok = fgets(text, (int)size, f) != NULL;
    int why = errno;
    fclose(f);
    errno = why;
    text[strcspn(text, "\n")] = '\0';
    return ok && *text;
}

bool ab_sys_line(char *text, size_t size, const char *format, ...)
{
    char path[512];
    va_list args;
    va_start(args, format);
    bool ok = path_of(path, sizeof path, format, args);
    va_end(args);
    text[0] = '\0';
    return ok && read_line(path, text, size);
}

bool ab_sys_number(long long *value, const char *format, ...)
{
    char path[512], text[64], *end;
    va_list args;
    va_start(args, format);
    bool ok = path_of(path, sizeof path, format, args);
    va_end(args);
    if (!ok || !read_line(path, text, sizeof text)) return false;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end) return false;
    *value = number;
    return true;
}

bool ab_sys_value(const char *file, const char *key, char *value, size_t size)
{
    char path[512], line[8192];
    size_t length = strlen(key);
    value[0] = '\0';
    FILE *f = ab_sys_path(path, sizeof path, "%s", file) ? fopen(path, "r") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, length) != 0) continue;
        if (strspn(line + length, " \t") != (size_t)(colon - line) - length) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (f) fclose(f);
    return *value;
}

bool ab_sys_cpu(char *text, size_t size)
{
    const char *const file = "/proc/cpuinfo";
    char part[64], maker[64];
    /* x86 says names, AArch64 codes. */
    if (!ab_sys_value(file, "model name", text, size) &&
        ab_sys_value(file, "CPU part", part, sizeof part) &&
        ab_sys_value(file, "CPU implementer", maker, sizeof maker))
        snprintf(text, size, "implementer %s, part %s", maker, part);
    return *text;
}
