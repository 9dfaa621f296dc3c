// SPDX-License-Identifier: Apache-2.0
// Aligned buffers for tensors, and size arithmetic that notices overflow.
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* From here on a buffer is aligned to the huge pages of x86-64 and AArch64 with 4 KiB base pages
 * (2 MiB) and advised to use them: at twice their size at least one whole page always fits, while
 * smaller buffers would be mostly rounding. */
enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 4 << 20, LINE = 64 };

static atomic_size_t allocations;

const char *ab_pages_name(enum ab_pages pages)
{
    return pages == AB_PAGES_SMALL ? "small" : "huge";
}

/* Advice only: a kernel without huge pages refuses it, and the buffer is as good. Huge ones are
 * asked for where they fit; they are declined for the last, partial one too. */
static void advise(void *buffer, size_t bytes, enum ab_pages pages)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (pages == AB_PAGES_HUGE)
        (void)madvise(buffer, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    else
        (void)madvise(buffer, (bytes + page - 1) / page * page, MADV_NOHUGEPAGE);
}

void *ab_buffer_alloc_pages(size_t bytes, enum ab_pages pages)
{
    const bool large = bytes > HUGE_FROM;
    void *buffer = NULL;
    if (bytes == 0 || posix_memalign(&buffer, large ? HUGE_PAGE : LINE, bytes)) return NULL;
    if (large) advise(buffer, bytes, pages);
    memset(buffer, 0, bytes);
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return buffer;
}

void *ab_buffer_alloc(size_t bytes)
{
    return ab_buffer_alloc_pages(bytes, AB_PAGES_HUGE);
}

void ab_buffer_free(void *buffer)
{
    free(buffer);
}

size_t ab_buffer_count(void)
{
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}

size_t ab_mul_size(size_t a, size_t b, bool *overflow)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) *overflow = true;
    return product;
}

size_t ab_add_size(size_t a, size_t b, bool *overflow)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) *overflow = true;
    return sum;
}
