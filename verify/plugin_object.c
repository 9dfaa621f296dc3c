// SPDX-License-Identifier: Apache-2.0
// Opening a shared object: what the loader would say in riddles or not at all is looked up in the
// file first, and code that runs while it is loaded runs in a child process first.
#include "verify/plugin_object.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Loading a library takes milliseconds, a large one that unpacks itself a second. */
enum { LOAD_SECONDS = 10 };

/* The linker's name for the header of the object that this code is in. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386: return "x86 (32 bits)";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "Arm (32 bits)";
    case EM_AARCH64: return "AArch64";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "PowerPC";
    default: return "another architecture";
    }
}

/* The loader skips objects of other architectures as if they were not there, and says of programs
 * and object files nothing that tells what to do. */
static enum ab_status check_elf(const unsigned char *head, size_t size, struct ab_error *err)
{
    if (size < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0) {
        return ab_fail(err, AB_ERR_FORMAT,
                       "not a shared object: make one by cc -shared -fPIC kernels.c -o kernels.so");
    }
    if (size < sizeof(ElfW(Ehdr))) {
        return ab_fail(err, AB_ERR_FORMAT, "a shared object that is cut off: build it again");
    }
    ElfW(Ehdr) header;
    memcpy(&header, head, sizeof header);
    /* Of the other byte order or width, these two fields are still where they are here. */
    if (header.e_machine != __ehdr_start.e_machine ||
        header.e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        header.e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA]) {
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "built for %s, this command for %s: build it for this machine",
                       machine_name(header.e_machine), machine_name(__ehdr_start.e_machine));
    }
    if (header.e_type != ET_DYN) {
        return ab_fail(err, AB_ERR_FORMAT, "%s, not a shared object: link it with -shared",
                       header.e_type == ET_REL    ? "an object file"
                       : header.e_type == ET_EXEC ? "a program"
                                                  : "an ELF file of another kind");
    }
    return AB_OK;
}

static enum ab_status check_file(const char *path, struct ab_error *err)
{
    unsigned char head[sizeof(ElfW(Ehdr))] = {0};
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return ab_fail(err, AB_ERR_IO, "%s", strerror(errno));
    enum ab_status status = AB_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = ab_fail(err, AB_ERR_IO, "not a regular file");
    } else {
        const ssize_t size = read(fd, head, sizeof head);
        status = size < 0 ? ab_fail(err, AB_ERR_IO, "%s", strerror(errno))
                          : check_elf(head, (size_t)size, err);
    }
    close(fd);
    return status;
}

/* dlerror() repeats the path, which the caller's message begins with. */
static const char *loader_says(const char *path)
{
    const char *text = dlerror();
    if (!text) return "the loader does not say why";
    const size_t length = strlen(path);
    return !strncmp(text, path, length) && !strncmp(text + length, ": ", 2) ? text + length + 2
                                                                            : text;
}

enum ab_status ab_plugin_open(const char *path, void **handle,
                              const struct ab_verify_plugin **offer, struct ab_error *err)
{
    *handle = NULL;
    enum ab_status status = check_file(path, err);
    if (status) return status;
    /* A name without a slash would be searched for where libraries are. */
    char *absolute = realpath(path, NULL);
    if (!absolute) return ab_fail(err, AB_ERR_IO, "%s", strerror(errno));
    void *object = dlopen(absolute, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        status = ab_fail(err, AB_ERR_FORMAT, "cannot be loaded: %s", loader_says(absolute));
        free(absolute);
        return status;
    }
    free(absolute);
    union { /* ISO C has no conversion between the two; POSIX demands that it works */
        void *object;
        ab_verify_plugin_function *function;
    } entry = {dlsym(object, "ab_verify_plugin")};
    if (!entry.object) {
        status =
            ab_fail(err, AB_ERR_FORMAT,
                    "exports no ab_verify_plugin: define it as attrbench/verify.h declares it, "
                    "not static, in C++ extern \"C\"");
    } else {
        *offer = entry.function();
        status = ab_plugin_check(*offer, err);
    }
    if (status) {
        dlclose(object);
    } else {
        *handle = object;
    }
    return status;
}

void ab_plugin_close(void *handle)
{
    if (handle) dlclose(handle);
}

/* ---- in a child ---- */

struct report {
    enum ab_status status;
    struct ab_error err;
};

__attribute__((noreturn)) static void child(const char *path, int out)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    /* Handlers of the caller would take a crash of the object for one of theirs. */
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
    struct report report = {AB_OK, {""}};
    void *handle;
    const struct ab_verify_plugin *offer;
    report.status = ab_plugin_open(path, &handle, &offer, &report.err);
    /* What runs when it is unloaded, or when the process ends, is not the concern of kernels. */
    _exit(write(out, &report, sizeof report) == (ssize_t)sizeof report ? 0 : 1);
}

/* Waits for the child's report; false if it ends or is silent, and then *silent. */
static bool hear(int in, struct report *report, bool *silent)
{
    struct pollfd p = {in, POLLIN, 0};
    int ready;
    do {
        ready = poll(&p, 1, LOAD_SECONDS * 1000);
    } while (ready < 0 && errno == EINTR);
    *silent = ready == 0;
    return ready > 0 && read(in, report, sizeof *report) == (ssize_t)sizeof *report;
}

static enum ab_status fate(int state, bool silent, struct ab_error *err)
{
    if (silent) {
        return ab_fail(err, AB_ERR_FORMAT, "still loading after %d seconds: it hangs",
                       LOAD_SECONDS);
    }
    if (WIFSIGNALED(state)) {
        return ab_fail(err, AB_ERR_FORMAT, "crashes while it is loaded (%s)",
                       strsignal(WTERMSIG(state)));
    }
    return ab_fail(err, AB_ERR_FORMAT, "ends the process while it is loaded (exit status %d)",
                   WIFEXITED(state) ? WEXITSTATUS(state) : -1);
}

enum ab_status ab_plugin_rehearse(const char *path, struct ab_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ab_fail(err, AB_ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    const pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return ab_fail(err, AB_ERR_IO, "cannot make a process: %s", strerror(errno));
    }
    if (pid == 0) child(path, ends[1]);
    close(ends[1]);
    struct report report;
    bool silent;
    const bool heard = hear(ends[0], &report, &silent);
    close(ends[0]);
    if (silent) kill(pid, SIGKILL);
    int state = 0;
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) continue;
    if (!heard) return fate(state, silent, err);
    return report.status ? ab_fail(err, report.status, "%s", report.err.text) : AB_OK;
}
