// SPDX-License-Identifier: Apache-2.0
// What a plugin says of itself is checked before it is believed; its kernels become candidates.
#include "verify/plugin.h"
#include "verify/plugin_object.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any library has of six operations; a count that is not initialised is likely beyond. */
enum { MANY_KERNELS = 4096, LONG_NAME = 63 };

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

enum ab_kernel_op ab_plugin_op(enum ab_verify_operation operation)
{
    static const enum ab_kernel_op ops[AB_VERIFY_OPERATIONS] = {
        [AB_VERIFY_CONV2D] = AB_KERNEL_conv2d,       [AB_VERIFY_DENSE] = AB_KERNEL_dense,
        [AB_VERIFY_MAXPOOL] = AB_KERNEL_maxpool,     [AB_VERIFY_AVGPOOL] = AB_KERNEL_avgpool,
        [AB_VERIFY_POINTWISE] = AB_KERNEL_pointwise,
    };
    return ops[operation];
}

static bool is_name(const char *name)
{
    const size_t length = strspn(name, NAME_CHARS);
    return length > 0 && length <= LONG_NAME && !name[length];
}

static enum ab_status check_kernel(const struct ab_verify_plugin *offer, int i,
                                   struct ab_error *err)
{
    const struct ab_verify_kernel *k = &offer->kernels[i];
    if (!k->name) return ab_fail(err, AB_ERR_FORMAT, "kernel %d has no name", i);
    if (!is_name(k->name)) {
        return ab_fail(err, AB_ERR_FORMAT,
                       "kernel %d is called \"%.80s\": letters, digits, '_', '-' and '.' make a "
                       "name, up to %d of them",
                       i, k->name, LONG_NAME);
    }
    for (int before = 0; before < i; before++) {
        if (!strcmp(offer->kernels[before].name, k->name)) {
            return ab_fail(err, AB_ERR_FORMAT, "kernels %d and %d are both called \"%s\"", before,
                           i, k->name);
        }
    }
    const long operation = (long)k->operation;
    if (operation < 0 || operation >= AB_VERIFY_OPERATIONS) {
        return ab_fail(err, AB_ERR_FORMAT,
                       "kernel \"%s\" is of operation %ld: those of AB_VERIFY_ABI %d are 0 "
                       "(AB_VERIFY_CONV2D) to %d",
                       k->name, operation, AB_VERIFY_ABI, AB_VERIFY_OPERATIONS - 1);
    }
    if (!k->run) return ab_fail(err, AB_ERR_FORMAT, "kernel \"%s\" has no run function", k->name);
    if (!isfinite(k->amplification) || k->amplification < 0) {
        return ab_fail(err, AB_ERR_FORMAT,
                       "kernel \"%s\" declares the amplification %g: 0 for sums of plain products, "
                       "else a positive factor",
                       k->name, k->amplification);
    }
    return AB_OK;
}

enum ab_status ab_plugin_check(const struct ab_verify_plugin *offer, struct ab_error *err)
{
    if (!offer) {
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "refuses to be loaded: ab_verify_plugin() returned NULL");
    }
    if (offer->abi != AB_VERIFY_ABI) {
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "made for AB_VERIFY_ABI %d, this command has %d: compile it with this "
                       "command's attrbench/verify.h",
                       offer->abi, AB_VERIFY_ABI);
    }
    if (!offer->name || !*offer->name) {
        return ab_fail(err, AB_ERR_FORMAT, "has no name: results are recorded under one");
    }
    if (offer->count < 1 || offer->count > MANY_KERNELS) {
        return ab_fail(err, AB_ERR_FORMAT, "offers %d kernels: 1 to %d are possible", offer->count,
                       MANY_KERNELS);
    }
    if (!offer->kernels) return ab_fail(err, AB_ERR_FORMAT, "has no array of kernels");
    for (int i = 0; i < offer->count; i++) {
        const enum ab_status status = check_kernel(offer, i, err);
        if (status) return status;
    }
    return AB_OK;
}

/* ---- the list ---- */

/* "/lib/my conv.so.1" -> "my_conv" */
static void prefix_of(const char *path, char *prefix, size_t size)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    size_t n = 0;
    for (; name[n] && (name[n] != '.' || n == 0) && n + 1 < size; n++) {
        prefix[n] = strchr(NAME_CHARS, name[n]) ? name[n] : '_';
    }
    prefix[n] = '\0';
}

static enum ab_status check_prefix(const struct ab_plugin *list, const char *prefix,
                                   struct ab_error *err)
{
    for (; list; list = list->next) {
        if (!strcmp(list->prefix, prefix)) {
            return ab_fail(err, AB_ERR_ARG,
                           "its kernels would be called \"%s:...\", as those of \"%.80s\" are: "
                           "load it once, or rename the file",
                           prefix, list->offer->name);
        }
    }
    return AB_OK;
}

static struct ab_candidate *candidates_of(const struct ab_verify_plugin *offer, const char *prefix,
                                          const char *isa)
{
    struct ab_candidate *all = calloc((size_t)offer->count, sizeof *all);
    for (int i = 0; all && i < offer->count; i++) {
        const struct ab_verify_kernel *k = &offer->kernels[i];
        snprintf(all[i].name, sizeof all[i].name, "%.31s:%.63s", prefix, k->name);
        snprintf(all[i].isa, sizeof all[i].isa, "%.15s", isa);
        all[i].op = ab_plugin_op(k->operation);
        all[i].foreign = k;
    }
    return all;
}

static enum ab_status append(const struct ab_verify_plugin *offer, void *handle, const char *prefix,
                             const char *isa, struct ab_plugin **list, struct ab_error *err)
{
    struct ab_plugin *plugin = calloc(1, sizeof *plugin);
    struct ab_candidate *candidates = plugin ? candidates_of(offer, prefix, isa) : NULL;
    if (!candidates) {
        free(plugin);
        return ab_fail(err, AB_ERR_MEMORY, "out of memory");
    }
    snprintf(plugin->prefix, sizeof plugin->prefix, "%s", prefix);
    plugin->offer = offer;
    plugin->handle = handle;
    plugin->candidates = candidates;
    plugin->count = offer->count;
    while (*list) list = &(*list)->next;
    *list = plugin;
    return AB_OK;
}

enum ab_status ab_plugin_add(const struct ab_verify_plugin *offer, const char *prefix,
                             const char *isa, struct ab_plugin **list, struct ab_error *err)
{
    enum ab_status status = ab_plugin_check(offer, err);
    if (!status) status = check_prefix(*list, prefix, err);
    return status ? status : append(offer, NULL, prefix, isa, list, err);
}

enum ab_status ab_plugin_load(const char *path, struct ab_plugin **list, struct ab_error *err)
{
    struct ab_error why = {""};
    char prefix[sizeof(*list)->prefix];
    prefix_of(path, prefix, sizeof prefix);
    void *handle = NULL;
    const struct ab_verify_plugin *offer = NULL;
    enum ab_status status = check_prefix(*list, prefix, &why);
    if (!status) status = ab_plugin_rehearse(path, &why);
    if (!status) status = ab_plugin_open(path, &handle, &offer, &why);
    if (!status) status = append(offer, handle, prefix, "plugin", list, &why);
    if (!status) return AB_OK;
    ab_plugin_close(handle);
    return ab_fail(err, status, "plugin %.200s: %s", path, why.text);
}

void ab_plugin_free(struct ab_plugin **list)
{
    while (*list) {
        struct ab_plugin *plugin = *list;
        *list = plugin->next;
        ab_plugin_close(plugin->handle);
        free(plugin->candidates);
        free(plugin);
    }
}
