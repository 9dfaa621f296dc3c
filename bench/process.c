// SPDX-License-Identifier: Apache-2.0
// The loaded objects by dl_iterate_phdr, and the control register.
#include "process.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

struct text {
    char *at;
    size_t size;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Notes are a header, a name and a description, each padded to 4 bytes. */
static void add_build_id(const char *note, size_t bytes, struct text *out)
{
    for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
        ElfW(Nhdr) head;
        memcpy(&head, note + at, sizeof head);
        size_t name = at + sizeof head, body = name + ((size_t)head.n_namesz + 3) / 4 * 4;
        size_t next = body + ((size_t)head.n_descsz + 3) / 4 * 4;
        if (next > bytes) return;
        at = next;
        if (head.n_type != NT_GNU_BUILD_ID || head.n_namesz != 4 ||
            memcmp(note + name, "GNU", 4) != 0)
            continue;
        size_t used = strlen(out->at);
        if (used && used + 1 < out->size) strcpy(out->at + used++, "+");
        for (size_t i = 0; i < head.n_descsz && used + 2 < out->size; i++, used += 2)
            snprintf(out->at + used, 3, "%02x", (unsigned)(uint8_t)note[body + i]);
        return;
    }
}

/* The program itself comes without a name. */
static int build_id_of(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    if (*info->dlpi_name && strncmp(base_name(info->dlpi_name), "libattrbench.", 13) != 0) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_NOTE) continue;
        size_t before = strlen(((struct text *)out)->at);
        add_build_id((const char *)(info->dlpi_addr + p->p_vaddr), p->p_memsz, out);
        if (strlen(((struct text *)out)->at) > before) break;
    }
    return 0;
}

bool ab_process_build_id(char *text, size_t size)
{
    struct text out = {text, size};
    text[0] = '\0';
    dl_iterate_phdr(build_id_of, &out);
    return *text;
}

static int openmp_of(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    static const char *const names[] = {"libgomp.", "libomp.", "libiomp5."};
    const char *name = base_name(info->dlpi_name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(name, names[i], strlen(names[i]))) {
            struct text *text = out;
            snprintf(text->at, text->size, "%s", name);
            return 1;
        }
    return 0;
}

bool ab_process_openmp(char *text, size_t size)
{
    struct text out = {text, size};
    text[0] = '\0';
    dl_iterate_phdr(openmp_of, &out);
    return *text;
}

bool ab_process_control_word(char *text, size_t size)
{
    text[0] = '\0';
#if defined(__x86_64__)
    /* The low six bits are what has happened since somebody cleared them. */
    snprintf(text, size, "mxcsr 0x%x", _mm_getcsr() & ~0x3fu);
#elif defined(__aarch64__)
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    snprintf(text, size, "fpcr 0x%llx", (unsigned long long)word);
#else
    (void)size;
#endif
    return *text;
}
