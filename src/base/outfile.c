// SPDX-License-Identifier: Apache-2.0
// Output files that appear whole or not at all.
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directly for a pipe or device, else to a new name that no other process or thread uses: the
 * process and a counter are in it. The mode is the usual one, so that the umask decides. */
static int open_temp(struct ab_outfile *out)
{
    static atomic_uint serial;
    size_t size = strlen(out->path) + 48;
    out->temp = malloc(size);
    if (!out->temp) return -1;
    for (int tries = 0; tries < 100; tries++) {
        snprintf(out->temp, size, "%s.%ld-%u.tmp", out->path, (long)getpid(),
                 atomic_fetch_add(&serial, 1));
        int fd = open(out->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

enum ab_status ab_outfile_open(struct ab_outfile *out, const char *path, struct ab_error *err)
{
    *out = (struct ab_outfile){0};
    struct stat info;
    int fd = -1;
    bool exists = stat(path, &info) == 0;
    if (exists && S_ISDIR(info.st_mode))
        return ab_fail(err, AB_ERR_IO, "%s: is a directory; name a file", path);
    out->path = exists ? realpath(path, NULL) : strdup(path);
    if (!out->path) goto fail;
    if (exists && !S_ISREG(info.st_mode))
        fd = open(path, O_WRONLY | O_CLOEXEC);
    else
        fd = open_temp(out);
    if (fd < 0) goto fail;
    out->stream = fdopen(fd, "wb");
    if (!out->stream) goto fail;
    return AB_OK;

fail:
    ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; choose a place that exists and is writable",
            path, strerror(errno));
    if (fd >= 0) close(fd);
    if (fd >= 0 && out->temp) unlink(out->temp);
    free(out->temp);
    free(out->path);
    *out = (struct ab_outfile){0};
    return AB_ERR_IO;
}

enum ab_status ab_outfile_close(struct ab_outfile *out, enum ab_status status, struct ab_error *err)
{
    /* errno of a write that failed earlier may be gone; flushing what is left mostly brings it back
     * and closing reports what the file system had put off. */
    errno = 0;
    bool written = fflush(out->stream) == 0 && !ferror(out->stream);
    int cause = errno;
    if (fclose(out->stream) != 0 && written) written = false, cause = errno;
    if (status == AB_OK && written && out->temp && rename(out->temp, out->path) != 0)
        written = false, cause = errno;
    if (status == AB_OK && !written)
        status = ab_fail(err, AB_ERR_IO,
                         "%s: cannot be written: %s; free some space or choose "
                         "another place",
                         out->path, strerror(cause ? cause : EIO));
    if (status != AB_OK && out->temp) unlink(out->temp);
    free(out->temp);
    free(out->path);
    *out = (struct ab_outfile){0};
    return status;
}
