// SPDX-License-Identifier: Apache-2.0
// Starting, waiting for and ending processes.
#include "child.h"

#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nothing here but what may be done between fork and exec; `report` tells why exec failed. */
static void become(const char *program, const char *word, const int ends[2], int report,
                   pid_t parent)
{
    const char *const argv[] = {program, word, NULL};
    /* Whoever it works for may be killed. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    /* Ctrl-C reaches the whole foreground group: the starter decides, whatever the program is. */
    signal(SIGINT, SIG_IGN);
    if (dup2(ends[0], 0) == 0 && dup2(ends[0], 1) == 1 && dup2(ends[1], 2) == 2)
        execv(program, (char *const *)argv);
    const int why = errno;
    if (write(report, &why, sizeof why) < 0) _exit(126);
    _exit(127);
}

static enum ab_status spawn(struct ab_child *c, const char *program, const char *word,
                            struct ab_error *err)
{
    int pair[2], report[2], why = 0;
    const pid_t self = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return ab_fail(err, AB_ERR_IO, "no socket for a %s: %s", word, strerror(errno));
    if (pipe2(report, O_CLOEXEC) != 0) {
        close(pair[0]), close(pair[1]);
        return ab_fail(err, AB_ERR_IO, "no pipe for a %s: %s", word, strerror(errno));
    }
    c->pid = fork();
    if (c->pid == 0) become(program, word, (const int[]){pair[1], c->errors}, report[1], self);
    const int failed = c->pid < 0 ? errno : 0;
    close(pair[1]), close(report[1]);
    c->stream = pair[0];
    const bool refused = !failed && read(report[0], &why, sizeof why) == sizeof why;
    close(report[0]);
    if (failed) c->pid = 0;
    if (failed)
        return ab_fail(err, AB_ERR_IO, "a %s cannot be started: %s", word, strerror(failed));
    if (!refused) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "%s: cannot be run: %s; give the path of an attrbench",
                   c->program, strerror(why));
}

enum ab_status ab_child_start(struct ab_child *c, const char *program, const char *word,
                              struct ab_error *err)
{
    *c = (struct ab_child){.stream = -1, .errors = -1};
    snprintf(c->program, sizeof c->program, "%s", program ? program : "attrbench");
    FILE *errors = tmpfile();
    c->errors = errors ? fcntl(fileno(errors), F_DUPFD_CLOEXEC, 3) : -1;
    if (errors) fclose(errors);
    if (c->errors < 0)
        return ab_fail(err, AB_ERR_IO, "no temporary file for a %s: %s", word, strerror(errno));
    return spawn(c, program ? program : "/proc/self/exe", word, err);
}

void ab_child_complaint(const struct ab_child *c, char *text, size_t size)
{
    const ssize_t got = pread(c->errors, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
}

bool ab_child_reap(struct ab_child *c, double seconds, int *status)
{
    const double until = ab_now_ns() + seconds * 1e9;
    for (;;) {
        const pid_t got = waitpid(c->pid, status, WNOHANG);
        if (got == c->pid || (got < 0 && errno != EINTR)) {
            c->pid = 0;
            return got > 0;
        }
        if (ab_now_ns() >= until) return false;
        poll(NULL, 0, 5);
    }
}

void ab_child_kill(struct ab_child *c)
{
    int status;
    if (!c->pid) return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) continue;
    c->pid = 0;
}

void ab_child_close(struct ab_child *c)
{
    int status;
    if (c->stream >= 0) close(c->stream);
    c->stream = -1;
    if (c->pid && !ab_child_reap(c, 1, &status)) ab_child_kill(c);
    if (c->errors >= 0) close(c->errors);
    c->errors = -1;
}
