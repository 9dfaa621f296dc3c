// SPDX-License-Identifier: Apache-2.0
// main() of a fuzz target without a fuzzer: runs it on every file of the folders that are named.
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    MEMORY_LIMIT = 1 << 30, /* as -rss_limit_mb=1024 */
    SECONDS = 20            /* for one input: a slow reader is a finding, too */
};

static char current[4096];

static void on_signal(int sig)
{
    (void)!write(STDERR_FILENO, "signal, input: ", 15);
    (void)!write(STDERR_FILENO, current, strlen(current));
    (void)!write(STDERR_FILENO, "\n", 1);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void replay(void)
{
    FILE *file = fopen(current, "rb");
    struct stat info;
    MUST(file && fstat(fileno(file), &info) == 0, "%s: cannot be opened", current);
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size ? size : 1); /* exactly as large: sanitizers see reads beyond */
    MUST(data && fread(data, 1, size, file) == size, "%s: cannot be read", current);
    fclose(file);
    alarm(SECONDS);
    LLVMFuzzerTestOneInput(data, size);
    alarm(0);
    free(data);
}

static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    MUST(dir, "%s: cannot be opened", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(current, sizeof current, "%s/%s", folder, entry->d_name);
        replay();
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* Sanitizers reserve address space without bound. */
    const struct rlimit limit = {MEMORY_LIMIT, MEMORY_LIMIT};
    MUST(setrlimit(RLIMIT_DATA, &limit) == 0, "memory cannot be limited");
#endif
    for (int i = 1; i < argc; i++) count += replay_folder(argv[i]);
    MUST(count > 0, "no inputs: name a folder of them");
    printf("%d inputs\n", count);
    return 0;
}
