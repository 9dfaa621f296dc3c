// SPDX-License-Identifier: Apache-2.0
// Shared objects of others: opened only after a child process has survived it.
#ifndef AB_VERIFY_PLUGIN_OBJECT_H
#define AB_VERIFY_PLUGIN_OBJECT_H

#include "verify/plugin.h"

/* plugin.c: whether an offer is one that can be believed; messages do not name the file. */
enum ab_status ab_plugin_check(const struct ab_verify_plugin *offer, struct ab_error *err);

/* Opens the object at `path` and checks its offer. *handle is 0 after a failure. */
enum ab_status ab_plugin_open(const char *path, void **handle,
                              const struct ab_verify_plugin **offer, struct ab_error *err);
/* The same in a child process, which may crash, hang or end. */
enum ab_status ab_plugin_rehearse(const char *path, struct ab_error *err);
void ab_plugin_close(void *handle); /* NULL: nothing to do */

#endif
