// SPDX-License-Identifier: Apache-2.0
// Files for tests: a directory of their own, whole-file reads and writes, and what an error message
// must look like.
#ifndef AB_TESTS_FILES_H
#define AB_TESTS_FILES_H

#include "attrbench/attrbench.h"
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char temp_directory[128];

static inline void temp_clean(void)
{
    DIR *dir = opendir(temp_directory);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", temp_directory, e->d_name);
        if (e->d_name[0] != '.' && remove(path) != 0) perror(path);
    }
    if (dir) closedir(dir);
    rmdir(temp_directory);
}

/* The path of `name` in a directory that goes at exit. Good for the next seven calls. */
static inline const char *temp_path(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    if (!temp_directory[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(temp_directory, sizeof temp_directory, "%s/abtest-XXXXXX",
                 base && *base ? base : "/tmp");
        CHECK(mkdtemp(temp_directory), "no temporary directory");
        atexit(temp_clean);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", temp_directory, name);
    return path;
}

/* How many files the directory holds. */
static inline int temp_count(void)
{
    int count = 0;
    DIR *dir = opendir(temp_directory);
    for (struct dirent *e; dir && (e = readdir(dir));) count += e->d_name[0] != '.';
    if (dir) closedir(dir);
    return count;
}

static inline const char *write_file(const char *name, const void *data, size_t bytes)
{
    const char *path = temp_path(name);
    remove(path); /* ext4 flushes a file that is truncated and written again: 4 ms each */
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0, "cannot write %s",
          path);
    return path;
}

/* malloc'd */
static inline unsigned char *read_file(const char *path, size_t *bytes)
{
    *bytes = 0;
    FILE *file = fopen(path, "rb");
    struct stat info;
    CHECK(file, "cannot open %s", path);
    CHECK(fstat(fileno(file), &info) == 0, "cannot stat %s", path);
    *bytes = (size_t)info.st_size;
    unsigned char *data = malloc(*bytes + 1);
    CHECK(data && fread(data, 1, *bytes, file) == *bytes, "cannot read %s", path);
    fclose(file);
    return data;
}

/* The status, and one printable line that contains `needle`. */
static inline void check_error(enum ab_status got, enum ab_status want, const struct ab_error *err,
                               const char *needle)
{
    CHECK(got == want, "status %d, not %d: %s", got, want, err->text);
    CHECK(strstr(err->text, needle), "'%s' is not in: %s", needle, err->text);
    for (const char *c = err->text; *c; c++)
        CHECK((unsigned char)*c >= 0x20, "control character in: %s", err->text);
}

#endif
