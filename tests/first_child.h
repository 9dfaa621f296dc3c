// SPDX-License-Identifier: Apache-2.0
// The process that this one starts, from a thread beside: to do something to it while it runs.
#ifndef AB_TESTS_FIRST_CHILD_H
#define AB_TESTS_FIRST_CHILD_H

#include <stdio.h>
#include <unistd.h>

/* Waits until the main thread has started a process, five seconds at most; 0: it did not. */
static inline int first_child(void)
{
    char children[64];
    int child = 0;
    snprintf(children, sizeof children, "/proc/self/task/%d/children", (int)getpid());
    for (int tries = 0; tries < 500 && !child; tries++) {
        FILE *f = fopen(children, "r");
        if (f && fscanf(f, "%d", &child) != 1) child = 0;
        if (f) fclose(f);
        usleep(10000);
    }
    return child;
}

#endif
