// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. A target is a file fuzz_<reader>.c that defines
// LLVMFuzzerTestOneInput: libFuzzer calls it with inputs that it makes up, replay.c with the files
// of corpus/<reader>. A crash, a sanitizer's report or a failed MUST is a finding; its input
// becomes a file of the corpus, and so a test of every build.
#ifndef AB_TESTS_FUZZ_H
#define AB_TESTS_FUZZ_H

#include "attrbench/attrbench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(ok, ...)                                                                              \
    do {                                                                                           \
        if (!(ok)) {                                                                               \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input as a file without a disk. `path` is good until it is closed. */
struct fuzz_file {
    int fd;
    char path[48];
};

static inline struct fuzz_file fuzz_file_open(const uint8_t *data, size_t size)
{
    struct fuzz_file file = {.fd = memfd_create("input", MFD_CLOEXEC)};
    MUST(file.fd >= 0, "no memfd");
    for (size_t at = 0; at < size;) {
        ssize_t written = write(file.fd, data + at, size - at);
        MUST(written > 0, "the memfd takes no more");
        at += (size_t)written;
    }
    snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

static inline void fuzz_file_close(struct fuzz_file *file)
{
    close(file->fd);
}

/* Every failure says so in one printable line. Memory is there for all that a small file may ask
 * for: running out of it is a finding. */
static inline void fuzz_check(enum ab_status status, const struct ab_error *err)
{
    if (status == AB_OK) return;
    MUST(status != AB_ERR_MEMORY, "asks for too much memory: %s", err->text);
    MUST(status != AB_ERR_INTERNAL, "not the file's fault: %s", err->text);
    MUST(err->text[0], "status %d without a message", status);
    for (const char *c = err->text; *c; c++)
        MUST((unsigned char)*c >= 0x20 && *c != 0x7f, "control character in: %s", err->text);
}

#endif
