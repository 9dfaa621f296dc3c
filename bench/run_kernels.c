// SPDX-License-Identifier: Apache-2.0
// attrbench run --kernels GLOB --shapes F: single convolutions, each kernel of an instruction set
// against oneDNN's best, forward and backward-data.
#include "kernel_run.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>

static const double DEFAULT_SECONDS = 0.3; /* a shape, both passes */

static enum ab_status run_pass(struct ab_kernel_run *k, const struct ab_shape *shape,
                               enum ab_pass pass, struct ab_error *err)
{
    const struct ab_run_settings *s = k->run->settings;
    struct ab_kernel_pass *p = malloc(sizeof *p);
    if (!p) return ab_fail(err, AB_ERR_MEMORY, "out of memory for samples");
    enum ab_status status = ab_kernel_pass_open(p, shape, pass, s->kernels, k->isa, k->onednn, err);
    if (status == AB_OK && p->n_runners) {
        p->cold = s->cache == AB_CACHE_COLD;
        p->l3 = k->run->machine.l3;
        ab_run_denormals(k->run, true, 1);
        ab_kernel_pass_time(p, k->run->seconds / 2);
        ab_run_denormals(k->run, false, 1);
        ab_kernel_pass_check(p, !s->no_agree);
        if (!ab_interrupted) status = ab_kernel_report(k, p, err);
    }
    ab_kernel_pass_close(p);
    free(p);
    return status;
}

static enum ab_status run_shapes(struct ab_kernel_run *k, const struct ab_shape *shapes, int count,
                                 struct ab_error *err)
{
    const struct ab_counts *batches = &k->run->settings->batches;
    const int each = batches->count ? batches->count : 1;
    enum ab_status status = AB_OK;
    ab_progress_start(count * each, false);
    for (int i = 0; i < count * each && status == AB_OK && !ab_interrupted; i++) {
        struct ab_shape shape = shapes[i % count];
        char text[160];
        if (batches->count) shape.conv.n = batches->items[i / count];
        ab_shape_print(&shape, text, sizeof text);
        ab_progress_step(i ? 1 : 0, "%s", text);
        for (int pass = 0; pass < 2 && status == AB_OK && !ab_interrupted; pass++) {
            bool there;
            status = ab_kernel_restore(k, &shape, pass ? AB_BWD : AB_FWD, &there, err);
            if (status == AB_OK && !there)
                status = run_pass(k, &shape, pass ? AB_BWD : AB_FWD, err);
        }
    }
    ab_progress_end();
    return status;
}

static void put_context(const struct ab_kernel_run *k)
{
    const struct ab_run_settings *s = k->run->settings;
    json_t *o = json_pack("{s:s, s:s, s:s}", "names", s->kernels, "shapes", s->shapes, "isa",
                          ab_isa_name(k->isa));
    json_object_set_new(o, "onednn_isa", k->onednn ? json_string(k->onednn_isa) : json_null());
    json_object_set_new(k->run->context, "kernels", o);
}

static enum ab_status measure(struct ab_kernel_run *k, const struct ab_shape *shapes, int count,
                              struct ab_error *err)
{
    struct ab_run *run = k->run;
    run->pin = ab_pin_create(&run->machine);
    ab_pin_threads(run->pin, 1, k->where, sizeof k->where);
    run->context = ab_context_json(&run->machine);
    put_context(k);
    enum ab_status status = ab_run_open_files(run, err);
    if (status != AB_OK) return status;
    ab_interrupt_catch();
    ab_kernel_table_head(k);
    status = run_shapes(k, shapes, count, err);
    if (ab_interrupted)
        json_object_set_new(run->context, "interrupted", json_true());
    else
        ab_context_put_roofs(run->context, &run->machine);
    if (status == AB_OK) status = ab_kernel_finish(k, err);
    if (status == AB_OK) status = ab_run_close_files(run, err);
    return status;
}

int ab_run_kernels(struct ab_run *run)
{
    const struct ab_run_settings *s = run->settings;
    struct ab_kernel_run k = {.run = run, .talk = s->json ? stderr : stdout};
    struct ab_shape *shapes = NULL;
    struct ab_error err;
    int count;
    if (s->time <= 0) run->seconds = DEFAULT_SECONDS;
    enum ab_status status = ab_kernel_run_setup(&k, &err);
    if (status == AB_OK) status = ab_shapes_read(s->shapes, &shapes, &count, &err);
    if (status == AB_OK) status = measure(&k, shapes, count, &err);
    free(shapes);
    free(k.rows);
    if (status != AB_OK) return ab_complain_status(status, &err);
    if (s->json && !ab_records_print(stdout, run->context, run->store.rows))
        return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
    fprintf(k.talk, "\nresults: %s/results.json, %s/kernels.md\n", run->store.folder,
            run->store.folder);
    const int code = ab_run_tell_saved(run, k.talk, AB_EXIT_OK);
    if (code != AB_EXIT_OK) return code;
    if (ab_interrupted) return AB_EXIT_INTERRUPTED;
    return run->disagreed ? AB_EXIT_DISAGREE : AB_EXIT_OK;
}
