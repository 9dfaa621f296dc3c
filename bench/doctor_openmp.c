// SPDX-License-Identifier: Apache-2.0
// The doctor's look at OpenMP as it really is: what the runtime answers and delivers, not what
// somebody exported.
#include "doctor.h"

#include "base/base.h"
#include "base/container.h"
#include "process.h"
#include "stats.h"

#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omp.h>

extern char **environ;

/* At most so many, and in so much time: a busy machine takes milliseconds for each. */
enum { TRIALS = 300 };
static const double trials_ns = 200e6;

/* What this runtime shows of itself when it starts with OMP_DISPLAY_ENV: a process of this program
 * that does nothing else. False: it could not be started. */
static bool displayed(char *text, size_t size)
{
    int ends[2];
    size_t used = 0, count = 0;
    if (pipe(ends) != 0) return false;
    while (environ[count]) count++;
    char **env = calloc(count + 2, sizeof *env);
    char show[] = "OMP_DISPLAY_ENV=VERBOSE", name[] = "attrbench", word[] = "--version";
    char *argv[] = {name, word, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = -1;
    for (size_t i = 0, n = 1; env && i < count; i++)
        if (strncmp(environ[i], "OMP_DISPLAY_ENV=", 16) != 0) env[n++] = environ[i];
    if (env && posix_spawn_file_actions_init(&actions) == 0) {
        env[0] = show;
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1 /* O_WRONLY */, 0);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
        posix_spawn_file_actions_addclose(&actions, ends[0]);
        if (posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, env) != 0) child = -1;
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    for (ssize_t n = 1; child > 0 && n > 0; used += n > 0 ? (size_t)n : 0)
        n = used + 1 < size ? read(ends[0], text + used, size - 1 - used) : 0;
    text[used] = '\0';
    close(ends[0]);
    free(env);
    if (child > 0) waitpid(child, NULL, 0);
    return used > 0;
}

/* Lines of "  [host] NAME = 'value'" in the styles of gcc and LLVM. */
static json_t *settings_of(char *text)
{
    json_t *object = json_object();
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *name = strpbrk(line, "OGK"), *equals = strchr(line, '=');
        char *open = equals ? strchr(equals, '\'') : NULL,
             *close = open ? strrchr(line, '\'') : NULL;
        if (!name || name > equals || !open || close == open) continue;
        name[strcspn(name, " =")] = '\0';
        json_object_set_new(object, name, json_stringn(open + 1, (size_t)(close - open - 1)));
    }
    return object;
}

/* Threads that a team of `asked` really has, and the least time that it takes to meet and part. */
static int team_of(int asked, double *ns)
{
    int got = 0;
    double began = ab_now_ns();
    *ns = (double)INFINITY;
    for (int i = 0; i < TRIALS && (i < 2 || ab_now_ns() - began < trials_ns); i++) {
        double start = ab_now_ns();
#pragma omp parallel num_threads(asked)
        {
#pragma omp master
            got = omp_get_num_threads();
        }
        *ns = fmin(*ns, ab_now_ns() - start);
    }
    return got;
}

static const char *bind_name(omp_proc_bind_t bind)
{
    switch (bind) {
    case omp_proc_bind_false: return "false";
    case omp_proc_bind_true: return "true";
    case omp_proc_bind_master: return "primary";
    case omp_proc_bind_close: return "close";
    case omp_proc_bind_spread: return "spread";
    default: return "unknown";
    }
}

static void advise(struct ab_doctor *d, int got)
{
    int most = omp_get_max_threads();
    bool bound = omp_get_proc_bind() != omp_proc_bind_false && d->n_cpus < omp_get_num_procs();
    if (most > d->n_cpus && !bound)
        ab_doctor_advise(d, 70, "set OMP_NUM_THREADS to the number of cores, or unset it",
                         "OpenMP would use %d threads on %d CPU%s", most, d->n_cpus,
                         d->n_cpus == 1 ? "" : "s");
    if (omp_get_dynamic())
        ab_doctor_advise(d, 60, "set OMP_DYNAMIC=false",
                         "OpenMP may give fewer threads than it is asked for");
    if (got < d->n_own)
        ab_doctor_advise(d, 60, "unset OMP_THREAD_LIMIT and OMP_DYNAMIC",
                         "OpenMP gave %d threads where %d were asked for", got, d->n_own);
    if (bound)
        ab_doctor_advise(
            d, 60, "unset OMP_PROC_BIND and OMP_PLACES: attrbench binds threads itself",
            "OpenMP has bound this process to %d of %d CPUs", d->n_cpus, omp_get_num_procs());
}

static void say_wait(struct ab_doctor *d, json_t *display)
{
    const char *wait = json_string_value(json_object_get(display, "OMP_WAIT_POLICY"));
    const char *spin = json_string_value(json_object_get(display, "GOMP_SPINCOUNT"));
    const char *time = json_string_value(json_object_get(display, "KMP_BLOCKTIME"));
    ab_doctor_text(d, "wait_policy", wait, "the runtime does not show it");
    if (!wait)
        ab_doctor_line(d, "waiting", "unknown: the runtime does not show it");
    else
        ab_doctor_line(d, "waiting", "%s%s%s%s%s", wait, spin ? ", spins " : "", spin ? spin : "",
                       time ? ", blocks after " : "", time ? time : "");
    ab_doctor_put(d, "displayed", display, NULL);
}

void ab_doctor_openmp(struct ab_doctor *d)
{
    char runtime[128], text[8192];
    double ns;
    ab_doctor_section(d, "openmp", "OpenMP, as the runtime answers");
    ab_process_openmp(runtime, sizeof runtime);
    ab_doctor_text(d, "runtime", runtime, "linked statically or of an unknown name");
    ab_doctor_put(d, "max_threads", json_integer(omp_get_max_threads()), NULL);
    ab_doctor_put(d, "num_procs", json_integer(omp_get_num_procs()), NULL);
    ab_doctor_put(d, "thread_limit", json_integer(omp_get_thread_limit()), NULL);
    ab_doctor_put(d, "num_places", json_integer(omp_get_num_places()), NULL);
    ab_doctor_put(d, "dynamic", json_boolean(omp_get_dynamic()), NULL);
    ab_doctor_text(d, "proc_bind", bind_name(omp_get_proc_bind()), NULL);
    ab_doctor_line(d, "runtime", "%s, %d threads at most, dynamic %s, proc_bind %s, %d place%s",
                   *runtime ? runtime : "unknown", omp_get_max_threads(),
                   omp_get_dynamic() ? "true" : "false", bind_name(omp_get_proc_bind()),
                   omp_get_num_places(), omp_get_num_places() == 1 ? "" : "s");
    say_wait(d, displayed(text, sizeof text) ? settings_of(text) : json_object());
    int got = team_of(d->n_own, &ns);
    ab_doctor_put(d, "team_asked", json_integer(d->n_own), NULL);
    ab_doctor_put(d, "team_got", json_integer(got), NULL);
    /* Thousands of times what it takes: they never met but by the scheduler's turns. */
    bool met = ns < 1e6;
    ab_doctor_number(d, "team_ns", met ? ns : (double)NAN, "the threads never ran at once");
    if (met)
        ab_doctor_line(d, "team", "%d of %d threads came; they meet and part in %.1f us", got,
                       d->n_own, ns / 1e3);
    else
        ab_doctor_line(d, "team", "%d of %d threads came, but never ran at once", got, d->n_own);
    advise(d, got);
}
