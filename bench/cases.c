// SPDX-License-Identifier: Apache-2.0
// The cases that are measured unless told otherwise.
#include "case.h"

#include "source.h"
#include "verify/subject.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Layers as networks have them, forward and back as methods call them, cut down until one call
 * takes some 3 to 500 us on one core, on operands that its own caches hold. `special`: layers of a
 * shape that general kernels, which have no variant, are not for. */
static const struct {
    const char *trial;
    bool special;
} trials[] = {
    {"conv2d n1c64h28w28o64k3s1p1 fwd f=relu+bits fill=normal with=bias", false},
    {"conv2d n1c64h28w28o64k3s1p1 bwd f=gate+bits fill=normal", false},
    {"conv2d n1c128h14w14o128k3s1p1 bwd wmod=pos f=mul fill=nonneg", false},
    {"conv2d n1c256h14w14o64k1s1p0 fwd fill=normal with=bias", false},
    {"conv2d n1c64h28w28o64k3s2p1 bwd fill=normal", false},
    {"conv2d n1c64h28w28o64k3s1p1g64 fwd fill=normal with=bias", true},
    {"conv2d n1c64h28w28o64k3s1p1g64 bwd fill=normal", true},
    {"conv2d n1c3h64w64o32k3s1p1 fwd fill=normal with=bias", true},
    {"conv2d n1c3h64w64o32k3s1p1 bwd fill=normal", true},
    {"dense n1i256o256 fwd fill=normal with=bias", false},
    {"dense n1i256o256 bwd fill=normal", false},
    {"dense n8i256o256 bwd wmod=pos f=mul fill=nonneg", false},
    {"maxpool n1c64ih28iw28oh14ow14k2s2 fwd fill=normal", false},
    {"maxpool n1c64ih28iw28oh14ow14k2s2 bwd fill=normal", false},
    {"avgpool n1c64ih28iw28oh14ow14k3s2p1 fwd fill=normal", false},
    {"avgpool n1c64ih28iw28oh14ow14k3s2p1 bwd fill=normal", false},
    {"pointwise n1c64h28w28 f=relu+bits fill=normal", false},
    {"pointwise n1c64h28w28 f=gate fill=normal", false},
    {"pointwise n1c64h28w28 f=muldiv fill=normal", false},
    {"pointwise n1c64h28w28 f=affine fill=normal", false},
    {"select n1c64h28w28 fill=normal", false},
    {"select n1c64h28w28 f=mul fill=normal", false},
};

bool ab_cases_add(struct ab_cases *cases, const char *text)
{
    char **grown = realloc(cases->texts, ((size_t)cases->count + 1) * sizeof *grown);
    if (!grown) return false;
    cases->texts = grown;
    char *copy = strdup(text);
    if (copy) cases->texts[cases->count++] = copy;
    return copy != NULL;
}

void ab_cases_free(struct ab_cases *cases)
{
    for (int i = 0; i < cases->count; i++) free(cases->texts[i]);
    free(cases->texts);
    *cases = (struct ab_cases){0};
}

/* Whether a kernel is measured on trial number i. */
static bool takes(const struct ab_kernel *k, int i)
{
    struct ab_trial t;
    if (trials[i].special && !*k->variant) return false;
    if (ab_trial_parse(trials[i].trial, &t, NULL) != AB_OK || t.op != k->op) return false;
    union ab_call_args args = {0};
    if (t.op == AB_KERNEL_conv2d)
        args.conv2d =
            (struct ab_conv2d_args){.shape = t.shape.conv, .pass = t.pass, .wmod = t.wmod};
    return !k->applies || k->applies(&args);
}

static enum ab_status add_kernel(const struct ab_kernel *k, struct ab_cases *cases,
                                 struct ab_error *err)
{
    char text[AB_CASE_KEY];
    for (int i = 0; i < (int)(sizeof trials / sizeof *trials); i++) {
        if (!takes(k, i)) continue;
        snprintf(text, sizeof text, "kernel %s %s", k->name, trials[i].trial);
        if (!ab_cases_add(cases, text)) return ab_fail(err, AB_ERR_MEMORY, "out of memory");
    }
    return AB_OK;
}

static enum ab_status add_methods(struct ab_cases *cases, struct ab_error *err)
{
    const struct ab_words methods = ab_usual_methods();
    char text[AB_CASE_KEY];
    for (int i = 0; i < methods.count; i++) {
        snprintf(text, sizeof text, "method digits %.300s native 1 1", methods.items[i]);
        if (!ab_cases_add(cases, text)) return ab_fail(err, AB_ERR_MEMORY, "out of memory");
    }
    return AB_OK;
}

enum ab_status ab_cases_usual(const char *pattern, struct ab_cases *cases, struct ab_error *err)
{
    int count;
    const struct ab_kernel *kernels = ab_kernels(&count);
    enum ab_status status = AB_OK;
    *cases = (struct ab_cases){0};
    for (int i = 0; i < count && status == AB_OK; i++) {
        const struct ab_kernel *k = &kernels[i];
        const bool here = !k->baseline && k->isa > AB_ISA_plain && ab_cpu_isas() >> k->isa & 1;
        if (here && (!pattern || fnmatch(pattern, k->name, 0) == 0))
            status = add_kernel(k, cases, err);
    }
    if (status == AB_OK && !pattern) status = add_methods(cases, err);
    if (status == AB_OK && !cases->count)
        status = ab_fail(err, AB_ERR_ARG,
                         "no hand-written kernel of this CPU is called '%.80s'; see attrbench "
                         "kernels",
                         pattern ? pattern : "");
    if (status != AB_OK) ab_cases_free(cases);
    return status;
}
