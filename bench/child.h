// SPDX-License-Identifier: Apache-2.0
// Processes that another attrbench runs in: started, talked to over a stream socket that is their
// standard input and output, and ended. Nothing that one does may harm whoever started it.
#ifndef AB_CHILD_H
#define AB_CHILD_H

#include "base/base.h"

#include <sys/types.h>

struct ab_child {
    char program[1024]; /* for messages */
    pid_t pid;          /* 0: has been waited for */
    int stream, errors; /* errors: a file of what it writes to standard error; -1: none */
};

/* Runs `program word`; NULL: the running program. It ignores SIGINT (who started it decides) and is
 * killed if its starter ends. Close it also where this fails. */
enum ab_status ab_child_start(struct ab_child *c, const char *program, const char *word,
                              struct ab_error *err);
/* Waits for its end; false: it has not ended within the time. */
bool ab_child_reap(struct ab_child *c, double seconds, int *status);
void ab_child_kill(struct ab_child *c);
/* The first line that it wrote to standard error, or "". */
void ab_child_complaint(const struct ab_child *c, char *text, size_t size);
/* Gives it a second to end by itself, then kills it. */
void ab_child_close(struct ab_child *c);

#endif
