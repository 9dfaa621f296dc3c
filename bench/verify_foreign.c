// SPDX-License-Identifier: Apache-2.0
// Candidates that are not ours: oneDNN's, and those of --plugin.
#include "verify_inside.h"

#include "verify/plugin.h"

#include <stdlib.h>
#include <string.h>

#if AB_WITH_ONEDNN
#include "backend/onednn_verify.h"
#endif

static enum ab_status add_onednn(struct ab_verify_session *v, struct ab_error *err)
{
#if AB_WITH_ONEDNN
    return ab_plugin_add(ab_onednn_verify(), "onednn", "onednn", &v->plugins, err);
#else
    (void)v, (void)err;
    return AB_OK;
#endif
}

static enum ab_status collect(struct ab_verify_session *v, struct ab_error *err)
{
    int count = 0;
    for (const struct ab_plugin *p = v->plugins; p; p = p->next) count += p->count;
    if (!count) return AB_OK;
    v->extra = calloc((size_t)count, sizeof *v->extra);
    if (!v->extra) return ab_fail(err, AB_ERR_MEMORY, "out of memory for foreign kernels");
    for (const struct ab_plugin *p = v->plugins; p; p = p->next)
        for (int i = 0; i < p->count; i++) v->extra[v->n_extra++] = p->candidates[i];
    return AB_OK;
}

enum ab_status ab_verify_open_foreign(struct ab_verify_session *v, bool onednn,
                                      struct ab_error *err)
{
    const struct ab_words *paths = &v->settings->plugins;
    enum ab_status status = onednn ? add_onednn(v, err) : AB_OK;
    for (int i = 0; i < paths->count && status == AB_OK; i++)
        status = ab_plugin_load(paths->items[i], &v->plugins, err);
    return status == AB_OK ? collect(v, err) : status;
}

void ab_verify_close_foreign(struct ab_verify_session *v)
{
    free(v->extra);
    v->extra = NULL;
    v->n_extra = 0;
    ab_plugin_free(&v->plugins);
}

void ab_verify_repro_options(const struct ab_verify_session *v, const struct ab_candidate *c,
                             char *text, size_t size)
{
    int loaded = 0;
    *text = '\0';
    for (const struct ab_plugin *p = v->plugins; p; p = p->next) {
        if (!p->handle) continue;
        const char *path = v->settings->plugins.items[loaded++];
        for (int i = 0; i < p->count; i++)
            if (c->foreign && p->candidates[i].foreign == c->foreign)
                snprintf(text, size, "--plugin %s ", path);
    }
}
