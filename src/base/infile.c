// SPDX-License-Identifier: Apache-2.0
// Opening files that somebody else wrote, and telling what they are by their first bytes.
#include "base/infile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

FILE *ab_infile_open(const char *path, const char *what, uint64_t *size, enum ab_status *status,
                     struct ab_error *err)
{
    struct stat info;
    /* Asked before opening, since opening a pipe would wait for its writer. */
    FILE *file = NULL;
    if (stat(path, &info) != 0)
        *status = ab_fail(err, AB_ERR_IO, "%s: cannot be opened: %s; expected %s", path,
                          strerror(errno), what);
    else if (S_ISDIR(info.st_mode))
        *status = ab_fail(err, AB_ERR_IO, "%s: is a directory; expected %s", path, what);
    else if (!S_ISREG(info.st_mode))
        *status = ab_fail(err, AB_ERR_IO, "%s: is not a regular file; expected %s", path, what);
    else if (info.st_size == 0)
        *status = ab_fail(err, AB_ERR_FORMAT, "%s: is empty; expected %s", path, what);
    else if (!(file = fopen(path, "rbe")))
        *status = ab_fail(err, AB_ERR_IO, "%s: cannot be opened: %s; expected %s", path,
                          strerror(errno), what);
    else
        *size = (uint64_t)info.st_size, *status = AB_OK;
    return file;
}

const char *ab_infile_kind(const unsigned char *head, size_t bytes)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *kind;
    } kinds[] = {
        {"\x89PNG\r\n\x1a\n", 8, "a PNG image"},
        {"\xff\xd8\xff", 3, "a JPEG image"},
        {"GIF8", 4, "a GIF image"},
        {"RIFF", 4, "a WebP image or another RIFF file"},
        {"BM", 2, "a BMP image"},
        {"II*\0", 4, "a TIFF image"},
        {"MM\0*", 4, "a TIFF image"},
        {"\x93NUMPY", 6, "a .npy array"},
        {"PK\3\4", 4, "a zip archive (.npz, or a PyTorch checkpoint)"},
        {"\x1f\x8b", 2, "a gzip archive"},
        {"\x89HDF\r\n\x1a\n", 8, "an HDF5 file (a Keras model?)"},
        {"\x7f"
         "ELF",
         4, "a program"},
        {"%PDF", 4, "a PDF document"},
        {"{", 1, "JSON or other text"},
        {"<", 1, "HTML, XML or other text"},
        {"version https://git-lfs", 23, "a Git LFS pointer, not the file itself"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (bytes >= kinds[i].length && memcmp(head, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].kind;
    return NULL;
}
