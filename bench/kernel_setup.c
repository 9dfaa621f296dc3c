// SPDX-License-Identifier: Apache-2.0
// What a run of kernels is asked for: one instruction set, with or without oneDNN, which is held to
// the same set; and the options that do not go with it.
#include "kernel_run.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has(enum ab_isa isa)
{
    return ab_cpu_isas() >> isa & 1;
}

static bool any_kernel(const char *glob, enum ab_isa isa)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    for (int i = 0; i < count; i++)
        if (ab_kernel_pass_wants(&kernels[i], glob, isa)) return true;
    return false;
}

static enum ab_isa widest(void)
{
    int isa = AB_ISA_COUNT - 1;
    while (isa > 0 && !has((enum ab_isa)isa)) isa--;
    return (enum ab_isa)isa;
}

static enum ab_isa isa_named(const char *name)
{
    for (int i = 0; i < AB_ISA_COUNT; i++)
        if (!strcmp(name, ab_isa_name((enum ab_isa)i))) return (enum ab_isa)i;
    return AB_ISA_COUNT;
}

static enum ab_status read_backends(struct ab_kernel_run *k, const struct ab_words *given,
                                    struct ab_error *err)
{
    const char *native = NULL;
    for (int i = 0; i < given->count; i++) {
        const char *name = given->items[i], *colon = strchr(name, ':');
        if (!strcmp(name, "onednn")) {
            k->onednn = true;
            continue;
        }
        if (strncmp(name, "native", 6) != 0)
            return ab_fail(err, AB_ERR_ARG,
                           "--backend %s: has no kernels to time; with --kernels give native, "
                           "native:ISA and onednn",
                           name);
        enum ab_isa isa = colon ? isa_named(colon + 1) : widest();
        if (native && isa != k->isa)
            return ab_fail(
                err, AB_ERR_ARG,
                "--backend %s,%s: oneDNN can be held to one instruction set per process; "
                "run once for each",
                native, name);
        native = name;
        k->isa = isa;
    }
    if (native) return AB_OK;
    return ab_fail(
        err, AB_ERR_ARG,
        "--backend onednn: --kernels times kernels of attrbench; add native or native:ISA");
}

/* Without --backend: the widest instruction set of which the pattern names a kernel. */
static enum ab_status choose_isa(struct ab_kernel_run *k, struct ab_error *err)
{
    const struct ab_run_settings *s = k->run->settings;
    if (s->backends.count) {
        enum ab_status status = read_backends(k, &s->backends, err);
        if (status != AB_OK) return status;
    } else {
        k->onednn = true;
        k->isa = widest();
        while (k->isa > 0 && !(has(k->isa) && any_kernel(s->kernels, k->isa))) k->isa--;
    }
    if (any_kernel(s->kernels, k->isa)) return AB_OK;
    if (s->backends.count)
        return ab_fail(err, AB_ERR_ARG,
                       "--kernels '%s': no convolution kernel of %s has such a name; another "
                       "--backend native:ISA has other kernels, see attrbench kernels",
                       s->kernels, ab_isa_name(k->isa));
    return ab_fail(err, AB_ERR_ARG,
                   "--kernels '%s': no convolution kernel of this CPU has such a name; see "
                   "attrbench kernels",
                   s->kernels);
}

static enum ab_status refuse_options(const struct ab_run_settings *s, struct ab_error *err)
{
    const struct {
        const char *name;
        bool given;
    } foreign[] = {
        {"model", s->models.count > 0},
        {"method", s->methods.count > 0},
        {"input", s->inputs.count > 0},
        {"target", s->target != NULL},
        {"at", s->at != NULL},
        {"labels", s->labels != NULL},
        {"preprocess", s->preprocess != NULL},
        {"profile", s->profile},
        {"algo", s->algo != 0},
        {"memory", s->memory != 0},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (foreign[i].given)
            return ab_fail(err, AB_ERR_ARG,
                           "--%s does not go with --kernels, which times single convolutions; "
                           "leave one of them out",
                           foreign[i].name);
    for (int i = 0; i < s->threads.count; i++)
        if (s->threads.items[i] != 1)
            return ab_fail(err, AB_ERR_ARG,
                           "--threads %d: kernels are timed on one thread; leave --threads out",
                           s->threads.items[i]);
    return AB_OK;
}

/* ---- oneDNN's instruction set ---- */

/* oneDNN's name for the set; "" where it has none (ARM): it is left as it is. */
static const char *cap_name(enum ab_isa isa)
{
    static const char *const names[AB_ISA_COUNT] = {[AB_ISA_ref] = "SSE41",
                                                    [AB_ISA_plain] = "SSE41",
                                                    [AB_ISA_avx2] = "AVX2",
                                                    [AB_ISA_avx512] = "AVX512_CORE"};
    return has(AB_ISA_neon) || !names[isa] ? "" : names[isa];
}

/* The user's word counts, for better or worse; it is told if that makes the comparison uneven. */
static void hold_onednn(struct ab_kernel_run *k)
{
    const struct ab_backend *backend = ab_peer_backend();
    if (!k->onednn || !backend) {
        if (k->onednn) ab_progress_note("this build has no oneDNN: kernels are timed alone");
        k->onednn = false;
        return;
    }
    const char *cap = cap_name(k->isa), *variable = "ONEDNN_MAX_CPU_ISA";
    const char *wish = getenv(variable);
    if (!wish) wish = getenv(variable = "DNNL_MAX_CPU_ISA");
    bool agrees = !wish || !*cap || !strcasecmp(wish, cap);
    k->onednn_isa = backend->hold(agrees && *cap ? k->isa : AB_ISA_COUNT);
    if (!agrees)
        ab_progress_note("note: %s=%s is set, so oneDNN runs with %s against %s kernels", variable,
                         wish, k->onednn_isa, ab_isa_name(k->isa));
}

enum ab_status ab_kernel_run_setup(struct ab_kernel_run *k, struct ab_error *err)
{
    enum ab_status status = refuse_options(k->run->settings, err);
    if (status == AB_OK) status = choose_isa(k, err);
    if (status == AB_OK) hold_onednn(k);
    return status;
}
