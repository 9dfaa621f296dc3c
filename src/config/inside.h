// SPDX-License-Identifier: Apache-2.0
// Inside configurations: what is read from a file, and what tells machines apart.
#ifndef AB_CONFIG_INSIDE_H
#define AB_CONFIG_INSIDE_H

#include "config/config.h"

/* ---- machine.c ---- */

/* What must be the same for measured speeds to mean anything. */
struct ab_identity {
    char cpu[128]; /* as the system calls it; "": it does not say */
    char architecture[32];
    char isas[96]; /* "ref, plain, avx2" */
    int cpus;      /* that may be kept busy */
};
void ab_identity_here(struct ab_identity *here);

/* Whether this process may run on a CPU: by the affinity of its first thread when somebody first
 * asked, since threads are bound later. */
bool ab_cpu_allowed(int cpu);
/* "0-3, 8" */
void ab_cpu_list(char *text, size_t size);

/* ---- deploy.c ---- */

/* What ab_deploy_check says of any machine. */
enum ab_status ab_deploy_check_values(const struct ab_deploy *d, struct ab_error *err);

/* ---- config.c, read.c ---- */

struct ab_config {
    char *path, *model, *method; /* model: the path of a file is complete */
    uint64_t hash;               /* ab_graph_hash of the model */
    struct ab_identity machine;
    struct ab_deploy deploy;
};
/* A file of any machine; AB_ERR_FORMAT where something in it cannot be on any. NULL on failure. */
enum ab_status ab_config_parse(const char *path, struct ab_config **config, struct ab_error *err);

#endif
