// SPDX-License-Identifier: Apache-2.0
// Where the other build comes from: a program, a folder, or a git revision that is built here.
#include "against.h"

#include "ab_version.h"
#include "record.h"
#include "run.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 1024 };

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* ---- other programs ---- */

/* Within a hook git names the repository that it is in, and would be told so for all others. */
static void forget_repository(void)
{
    static const char *const names[] = {"GIT_DIR",
                                        "GIT_WORK_TREE",
                                        "GIT_INDEX_FILE",
                                        "GIT_COMMON_DIR",
                                        "GIT_PREFIX",
                                        "GIT_NAMESPACE",
                                        "GIT_OBJECT_DIRECTORY",
                                        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                                        "GIT_CONFIG_PARAMETERS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
}

/* Runs argv in `folder` (NULL: here), both its outputs into `out`. Returns its exit code, 127 if it
 * cannot be run, 128 + the signal that killed it. An interrupt ends it with all that it started: it
 * has a process group of its own, which cmake and the compilers below it stay in. */
static int run_program(const char *const argv[], const char *folder, int out)
{
    const pid_t pid = fork();
    int status;
    if (pid < 0) return 127;
    if (pid == 0) {
        const int none = open("/dev/null", O_RDONLY);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (dup2(none, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(127);
        if (folder && chdir(folder) != 0) _exit(127);
        forget_repository();
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    setpgid(pid, pid);
    for (pid_t got = 0; got != pid; got = waitpid(pid, &status, WNOHANG)) {
        if (got < 0 && errno != EINTR) return 127;
        if (ab_interrupted) kill(-pid, SIGTERM);
        poll(NULL, 0, 5);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The first line that a program writes; false if it fails. */
static bool first_line(const char *const argv[], char *text, size_t size)
{
    FILE *f = tmpfile();
    if (!f) return false;
    const bool good = run_program(argv, NULL, fileno(f)) == 0;
    const ssize_t got = pread(fileno(f), text, size - 1, 0);
    fclose(f);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    return good && *text;
}

/* ---- the repository and the revision ---- */

static bool is_ours(const char *folder)
{
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/simd/kernels.def", folder);
    if (!is_file(path)) return false;
    snprintf(path, sizeof path, "%s/CMakePresets.json", folder);
    return is_file(path);
}

/* That of the current folder, or the sources of this program. */
static bool find_repository(char *folder, size_t size)
{
    const char *const here[] = {"git", "rev-parse", "--show-toplevel", NULL};
    if (first_line(here, folder, size) && is_ours(folder)) return true;
    snprintf(folder, size, "%s/..", AB_DATA_DIR_SOURCE);
    if (!is_ours(folder)) return false;
    const char *const there[] = {"git", "-C", folder, "rev-parse", "--show-toplevel", NULL};
    char top[PATH];
    if (!first_line(there, top, sizeof top)) return false;
    snprintf(folder, size, "%s", top);
    return true;
}

/* The full hash of a commit. */
static bool find_revision(const char *repository, const char *text, char *hash, size_t size)
{
    char commit[256];
    snprintf(commit, sizeof commit, "%.200s^{commit}", text);
    const char *const argv[] = {"git",      "-C",      repository,         "rev-parse",
                                "--verify", "--quiet", "--end-of-options", commit,
                                NULL};
    return first_line(argv, hash, size) && strlen(hash) >= 40;
}

/* ---- its build ---- */

struct build {
    const char *text; /* as the user wrote it */
    char repository[PATH], hash[80];
    char folder[PATH], source[PATH + 8], log[PATH + 16], ready[PATH + 16], program[PATH + 48];
    int out; /* the log */
};

static bool place(struct build *b)
{
    char cache[900];
    if (!ab_cache_folder(cache, sizeof cache)) return false;
    snprintf(b->folder, sizeof b->folder, "%s/builds/%.12s", cache, b->hash);
    snprintf(b->source, sizeof b->source, "%s/src", b->folder);
    snprintf(b->log, sizeof b->log, "%s/build.log", b->folder);
    snprintf(b->ready, sizeof b->ready, "%s/ready", b->folder);
    snprintf(b->program, sizeof b->program, "%s/build/release/attrbench", b->source);
    return true;
}

static enum ab_status interrupted(const struct build *b, struct ab_error *err)
{
    return ab_fail(err, AB_ERR_INTERNAL, "%s: its build was interrupted", b->text);
}

static enum ab_status step(struct build *b, const char *what, const char *const argv[],
                           const char *folder, struct ab_error *err)
{
    dprintf(b->out, "\n== %s\n", what);
    ab_progress_note("%s: %s (%s)", b->text, what, b->log);
    const int code = run_program(argv, folder, b->out);
    if (code == 0) return AB_OK;
    if (ab_interrupted) return interrupted(b, err);
    return ab_fail(err, AB_ERR_INTERNAL, "%s: %s failed (code %d): see %s", b->text, what, code,
                   b->log);
}

/* What an interrupted build left is not built upon. A clone that borrows the repository's objects
 * costs nothing, leaves the repository alone, and knows its revision. */
static enum ab_status make(struct build *b, struct ab_error *err)
{
    const char *const clear[] = {"rm", "-rf", "--", b->source, NULL};
    const char *const clone[] = {"git",           "clone",       "--quiet", "--shared",
                                 "--no-checkout", b->repository, b->source, NULL};
    const char *const checkout[] = {"git",     "-C",       b->source, "checkout",
                                    "--quiet", "--detach", b->hash,   NULL};
    const char *const configure[] = {"cmake", "--preset", "release", "-DAB_TESTS=OFF", NULL};
    const char *const compile[] = {"cmake",    "--build",           "build/release",
                                   "--target", "attrbench_command", NULL};
    unlink(b->ready);
    enum ab_status status = step(b, "clearing the folder", clear, NULL, err);
    if (status == AB_OK) status = step(b, "cloning the sources", clone, NULL, err);
    if (status == AB_OK) status = step(b, "checking the revision out", checkout, NULL, err);
    if (status == AB_OK) status = step(b, "configuring its build", configure, b->source, err);
    if (status == AB_OK)
        status = step(b, "building it, which takes minutes", compile, b->source, err);
    if (status != AB_OK) return status;
    if (!is_file(b->program))
        return ab_fail(err, AB_ERR_INTERNAL, "%s: its build made no %s: see %s", b->text,
                       b->program, b->log);
    FILE *ready = fopen(b->ready, "w");
    if (ready && fclose(ready) == 0) return AB_OK;
    return ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; free space", b->ready,
                   strerror(errno));
}

/* One process builds at a time; others wait and find it done. What a build started holds the lock
 * too: it may outlive a process that was killed. */
static enum ab_status build_locked(struct build *b, struct ab_error *err)
{
    char path[PATH + 16];
    snprintf(path, sizeof path, "%s/lock", b->folder);
    const int lock = open(path, O_WRONLY | O_CREAT, 0666);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (lock >= 0) ab_progress_note("%s: another process is building it: waiting", b->text);
        if (lock < 0 || flock(lock, LOCK_EX) != 0) {
            if (lock >= 0) close(lock);
            if (ab_interrupted) return interrupted(b, err);
            return ab_fail(err, AB_ERR_IO, "%s: cannot be locked: %s; set XDG_CACHE_HOME", path,
                           strerror(errno));
        }
    }
    enum ab_status status = AB_OK;
    if (!is_file(b->ready) || !is_file(b->program)) {
        b->out = open(b->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
        status = b->out < 0 ? ab_fail(err, AB_ERR_IO,
                                      "%s: cannot be written: %s; set "
                                      "XDG_CACHE_HOME",
                                      b->log, strerror(errno))
                            : make(b, err);
        if (b->out >= 0) close(b->out);
    }
    close(lock);
    return status;
}

static enum ab_status build_revision(const char *text, char *program, size_t size,
                                     struct ab_error *err)
{
    struct build b = {.text = text};
    const bool found = find_repository(b.repository, sizeof b.repository);
    const bool known = found && find_revision(b.repository, text, b.hash, sizeof b.hash);
    if (ab_interrupted) return interrupted(&b, err);
    if (!found)
        return ab_fail(err, AB_ERR_ARG,
                       "'%.200s': no such file or folder, and no git revision either, as there is "
                       "no repository of attrbench here; give the path of an attrbench",
                       text);
    if (!known)
        return ab_fail(err, AB_ERR_ARG,
                       "'%.100s': no such file or folder, and no commit of %.250s; see git log",
                       text, b.repository);
    if (!place(&b))
        return ab_fail(err, AB_ERR_ARG,
                       "%.100s: no place for its build: set XDG_CACHE_HOME to a folder that can be "
                       "written",
                       text);
    if (!ab_make_folders(b.folder))
        return ab_fail(err, AB_ERR_IO, "%s: cannot be made: %s; set XDG_CACHE_HOME", b.folder,
                       strerror(errno));
    ab_interrupt_catch();
    const enum ab_status status = build_locked(&b, err);
    if (status == AB_OK) snprintf(program, size, "%s", b.program);
    return status;
}

/* ---- paths ---- */

static enum ab_status search_folder(const char *folder, char *program, size_t size,
                                    struct ab_error *err)
{
    static const char *const inside[] = {"attrbench", "build/release/attrbench", "bin/attrbench"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        snprintf(program, size, "%s/%s", folder, inside[i]);
        if (is_file(program)) return AB_OK;
    }
    return ab_fail(err, AB_ERR_ARG,
                   "%.300s: no attrbench in this folder, nor in its build/release; build it or "
                   "give the program",
                   folder);
}

enum ab_status ab_against_program(const char *text, char *program, size_t size,
                                  struct ab_error *err)
{
    if (!*text) return ab_fail(err, AB_ERR_ARG, "no build given: a path or a git revision");
    if (strlen(text) > 800) return ab_fail(err, AB_ERR_ARG, "'%.60s...': too long", text);
    enum ab_status status = AB_OK;
    if (ab_is_folder(text))
        status = search_folder(text, program, size, err);
    else if (is_file(text))
        /* Without a slash it would be looked for elsewhere. */
        snprintf(program, size, "%s%s", strchr(text, '/') ? "" : "./", text);
    else if (text[0] == '/' || text[0] == '.' || text[0] == '-')
        status = ab_fail(err, AB_ERR_ARG,
                         "%.300s: no such file or folder; give an attrbench, a "
                         "folder with one, or a git revision",
                         text);
    else
        return build_revision(text, program, size, err);
    if (status != AB_OK || access(program, X_OK) == 0) return status;
    return ab_fail(err, AB_ERR_ARG, "%.300s: cannot be run: %s; give an attrbench", program,
                   strerror(errno));
}
