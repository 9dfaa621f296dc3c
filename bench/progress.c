// SPDX-License-Identifier: Apache-2.0
// Progress on stderr.
#include "run.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static struct {
    double total, done, start, told;
    bool active, terminal, quiet;
    int width; /* of the line on the terminal */
} progress;

void ab_progress_start(double total, bool quiet)
{
    progress.total = total;
    progress.done = 0;
    progress.start = ab_now_ns();
    progress.active = true;
    progress.quiet = quiet;
    progress.terminal = isatty(STDERR_FILENO);
    progress.width = 0;
}

static void clear_line(void)
{
    if (progress.width) fprintf(stderr, "\r%*s\r", progress.width, "");
    progress.width = 0;
}

/* Rough weights, scaled by how long the part that is done took; silent until that means anything.
 */
static void eta_text(char *text, size_t size)
{
    double elapsed = (ab_now_ns() - progress.start) / 1e9;
    text[0] = '\0';
    if (progress.done < 0.02 * progress.total || elapsed < 1) return;
    double left = elapsed / progress.done * (progress.total - progress.done);
    if (left < 1)
        snprintf(text, size, ", nearly done");
    else if (left < 100)
        snprintf(text, size, ", about %.0f s left", left);
    else
        snprintf(text, size, ", about %.0f min left", left / 60);
}

void ab_progress_step(double done, const char *format, ...)
{
    char what[256], eta[48], line[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    progress.done += done;
    if (!progress.active || progress.quiet) return;
    eta_text(eta, sizeof eta);
    double share = progress.total > 0 ? progress.done / progress.total : 0;
    int percent = share < 1 ? (int)(100 * share) : 100;
    int length = snprintf(line, sizeof line, "[%3d %%] %s%s", percent, what, eta);
    if (progress.terminal) {
        if (length > 110) length = 110;
        clear_line();
        progress.width = length;
        fprintf(stderr, "%.*s", length, line);
        fflush(stderr);
    } else if (done <= 0)
        fprintf(stderr, "%s\n", line);
}

void ab_progress_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (progress.active) clear_line();
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void ab_progress_clear(void)
{
    if (progress.active) clear_line();
}

void ab_progress_end(void)
{
    if (progress.active) clear_line();
    progress.active = false;
}
