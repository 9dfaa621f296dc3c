// SPDX-License-Identifier: Apache-2.0
// Foreign kernels: shared objects that offer struct ab_verify_plugin, and tables that are linked.
#ifndef AB_VERIFY_PLUGIN_H
#define AB_VERIFY_PLUGIN_H

#include "verify/verify.h"

/* Kernels of one origin, as candidates called "PREFIX:KERNEL". */
struct ab_plugin {
    struct ab_plugin *next;
    char prefix[32];
    const struct ab_verify_plugin *offer; /* borrowed from the object, or from the caller */
    void *handle;                         /* of dlopen; NULL: linked */
    struct ab_candidate *candidates;      /* what ab_plugin_free frees */
    int count;
};

/* Loads the shared object at `path` (a file, not a name to search for) and appends it to *list.
 * The prefix is the file's name up to its first '.'.
 *
 * Loading runs code of others, which may crash, hang or end the process. So it happens in a child
 * process first, whose fate is reported; here it is loaded only if that went well. AB_ERR_IO: no
 * such file; AB_ERR_FORMAT: not a plugin, or one that says what cannot be; AB_ERR_UNSUPPORTED: of
 * another architecture or another AB_VERIFY_ABI, or it refuses. *list is unchanged by a failure. */
enum ab_status ab_plugin_load(const char *path, struct ab_plugin **list, struct ab_error *err);

/* Appends kernels that are linked. `offer` is validated likewise and outlives *list; `isa` (up to
 * 15 characters) is what tables show. */
enum ab_status ab_plugin_add(const struct ab_verify_plugin *offer, const char *prefix,
                             const char *isa, struct ab_plugin **list, struct ab_error *err);

/* Unloads all and clears *list. */
void ab_plugin_free(struct ab_plugin **list);

/* The operation by which a foreign kernel is judged. */
enum ab_kernel_op ab_plugin_op(enum ab_verify_operation operation);

#endif
