// SPDX-License-Identifier: Apache-2.0
// attrbench verify: options, the order of work, exit codes.
#include "verify_inside.h"

#include "run.h"
#include "verify/shape.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what was asked for ---- */

/* The instruction sets that there are, and whether other architectures have them. */
static const struct {
    const char *name, *architecture;
} isas[] = {
#define AB_ISA(name, architecture, flags) {#name, #architecture},
#include "simd/isa.def"
#undef AB_ISA
};
enum { ISAS = sizeof isas / sizeof *isas };

#if defined __aarch64__
static const char ARCHITECTURE[] = "aarch64";
#else
static const char ARCHITECTURE[] = "x86_64";
#endif

static bool is_foreign_architecture(int isa)
{
    return strcmp(isas[isa].architecture, "any") != 0 &&
           strcmp(isas[isa].architecture, ARCHITECTURE) != 0;
}

static bool has_word(const struct ab_words *words, const char *word)
{
    for (int i = 0; i < words->count; i++)
        if (!strcmp(words->items[i], word)) return true;
    return false;
}

/* Whether --isa says so, or says nothing. */
static bool asks_for(const struct ab_verify_settings *s, const char *isa)
{
    return !s->isas.count || has_word(&s->isas, "all") || has_word(&s->isas, isa);
}

static enum ab_status take_isas(struct ab_verify_session *v, struct ab_error *err)
{
    const struct ab_words *given = &v->settings->isas;
    enum ab_status status = AB_OK;
    for (int i = 0; i < given->count && status == AB_OK; i++) {
        const char *word = given->items[i];
        struct ab_error inner;
        if (!strcmp(word, "all") || !strcmp(word, "onednn")) continue;
        status = ab_verify_request_set(&v->request, "isa", word, &inner);
        if (status == AB_ERR_ARG)
            ab_fail(err, AB_ERR_ARG, "verify: --%s, onednn, all", inner.text);
        else if (status != AB_OK)
            *err = inner;
    }
    return status;
}

/* A name of --op must fit something, wherever it could run. */
static enum ab_status check_pattern(const struct ab_verify_session *v, char *pattern,
                                    struct ab_error *err)
{
    int count, n = 0;
    const struct ab_kernel *kernels = ab_kernels(&count);
    const struct ab_verify_words one = {&pattern, 1};
    const char *names[256];
    for (int i = 0; i < AB_KERNEL_OPS && n < 256; i++)
        names[n++] = ab_kernel_op_name((enum ab_kernel_op)i);
    for (int i = 0; i < count && n < 256; i++) names[n++] = kernels[i].name;
    for (int i = 0; i < v->n_extra && n < 256; i++) names[n++] = v->extra[i].name;
    const struct ab_method_info *methods = ab_methods(&count);
    if (n < 256) names[n++] = AB_VERIFY_METHOD;
    for (int i = 0; i < count && n < 256; i++) names[n++] = methods[i].name;
    for (int i = 0; i < n; i++)
        if (ab_verify_wanted(&one, names[i], names[i])) return AB_OK;
    if (ab_verify_is_emulated(pattern)) return AB_OK;
    const char *near = ab_nearest(pattern, names, n);
    return ab_fail(err, AB_ERR_ARG,
                   "verify: --op '%.90s' fits nothing%s%s%s; attrbench verify --list has the names",
                   pattern, near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum ab_status take_ops(struct ab_verify_session *v, struct ab_error *err)
{
    const struct ab_words *ops = &v->settings->ops;
    enum ab_status status = AB_OK;
    for (int i = 0; i < ops->count && status == AB_OK; i++) {
        status = check_pattern(v, ops->items[i], err);
        if (status == AB_OK) status = ab_verify_request_set(&v->request, "op", ops->items[i], err);
    }
    return status;
}

static enum ab_status take_shapes(struct ab_verify_session *v, struct ab_error *err)
{
    const struct ab_verify_settings *s = v->settings;
    struct ab_shape *shapes = NULL;
    int count = 0;
    enum ab_status status = AB_OK;
    for (int i = 0; i < s->shapes.count && status == AB_OK; i++)
        status = ab_verify_request_set(&v->request, "shape", s->shapes.items[i], err);
    if (status == AB_OK && s->shape_file)
        status = ab_shapes_read(s->shape_file, &shapes, &count, err);
    for (int i = 0; i < count && status == AB_OK; i++) {
        char text[160];
        shapes[i].times = 1;
        *shapes[i].name = '\0';
        ab_shape_print(&shapes[i], text, sizeof text);
        status = ab_verify_request_set(&v->request, "shape", text, err);
    }
    free(shapes);
    return status;
}

static enum ab_status take_value(struct ab_verify_session *v, const char *key, const char *value,
                                 struct ab_error *err)
{
    struct ab_error inner;
    if (!value) return AB_OK;
    const enum ab_status status = ab_verify_request_set(&v->request, key, value, &inner);
    if (status != AB_OK) ab_fail(err, status, "verify: --%s", inner.text);
    if (status == AB_OK && v->request.fill == AB_FILL_FILE && access(v->request.file, R_OK) != 0)
        return ab_fail(err, AB_ERR_IO, "%s: cannot be read: %s; give an .npy of float32",
                       v->request.file, strerror(errno));
    return status;
}

static enum ab_status check_combination(const struct ab_verify_settings *s, struct ab_error *err)
{
    const char *alone = s->repro ? "--repro" : s->selftest ? "--selftest" : NULL;
    if (s->repro && s->selftest)
        return ab_fail(err, AB_ERR_ARG, "verify: --repro and --selftest do not go together");
    if (alone && (s->fuzz > 0 || s->ops.count || s->isas.count || s->shapes.count || s->list ||
                  s->shape_file || s->fill || s->exponent || s->seed))
        return ab_fail(err, AB_ERR_ARG,
                       "verify: %s says what to run; leave out --op, --isa, --shape, --shapes, "
                       "--fill, --exponent, --seed, --fuzz and --list",
                       alone);
    if (s->dump && !s->repro)
        return ab_fail(err, AB_ERR_ARG, "verify: --dump goes with --repro 'LINE'");
    return AB_OK;
}

static enum ab_status take_all(struct ab_verify_session *v, struct ab_error *err)
{
    const struct ab_verify_settings *s = v->settings;
    enum ab_status status = check_combination(s, err);
    if (status == AB_OK) status = take_isas(v, err);
    if (status == AB_OK) status = take_ops(v, err);
    if (status == AB_OK) status = take_shapes(v, err);
    if (status == AB_OK) status = take_value(v, "fill", s->fill, err);
    if (status == AB_OK) status = take_value(v, "exponent", s->exponent, err);
    if (status == AB_OK) status = take_value(v, "seed", s->seed, err);
    return status;
}

/* ---- the work ---- */

static int usable_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return CPU_COUNT(&set);
}

/* Instruction sets that were asked for, or would have been, and are not here. */
static enum ab_status skip_isas(struct ab_verify_session *v, struct ab_error *err)
{
    bool good = true;
    for (int i = 0; i < ISAS && good; i++) {
        if (!asks_for(v->settings, isas[i].name) || ab_cpu_isas() >> i & 1) continue;
        if (!is_foreign_architecture(i))
            good = ab_tally_skip(&v->tally, isas[i].name, "this CPU lacks it");
        else if (strcmp(isas[i].name, "neon") != 0)
            good = ab_tally_skip(&v->tally, isas[i].name, "of another architecture");
        else if (!v->settings->isas.count || v->settings->fuzz > 0)
            good = ab_tally_skip(&v->tally, isas[i].name,
                                 "of another architecture; --isa all runs its fixed set under "
                                 "qemu");
    }
    return good ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for the table");
}

static bool emulates(const struct ab_verify_settings *s)
{
    const bool asked = has_word(&s->isas, "all") || has_word(&s->isas, "neon");
    return asked && !(ab_cpu_isas() >> AB_ISA_neon & 1) && !(s->fuzz > 0);
}

static enum ab_status run_kernels(struct ab_verify_session *v, struct ab_verify_plan *plan,
                                  struct ab_error *err)
{
    enum ab_status status = AB_OK;
    if (v->settings->fuzz > 0) {
        status = ab_verify_fuzz(v, plan, err);
    } else {
        status = ab_verify_plan_fixed(plan, &v->request, err);
        if (status == AB_OK) status = ab_verify_execute(v, plan, err);
        if (status == AB_OK) status = ab_verify_methods_fixed(v, err);
        if (status == AB_OK && emulates(v->settings) && !ab_interrupted && !v->stopped)
            status = ab_verify_emulated(v, err);
    }
    return status == AB_OK ? skip_isas(v, err) : status;
}

/* ---- results ---- */

static enum ab_status write_files(const struct ab_verify_session *v, struct ab_error *err)
{
    const char *folder = v->settings->out;
    enum ab_status status = AB_OK;
    char path[1100];
    if (v->settings->junit) status = ab_verify_write_junit(v, v->settings->junit, err);
    if (!folder || status != AB_OK) return status;
    if (strlen(folder) > 1000)
        return ab_fail(err, AB_ERR_ARG, "--out: the name is too long; choose a shorter one");
    if (!ab_make_folders(folder))
        return ab_fail(err, AB_ERR_IO, "%s: cannot be made: %s; choose another --out", folder,
                       strerror(errno));
    snprintf(path, sizeof path, "%s/verify.json", folder);
    return ab_verify_write_json(v, path, err);
}

static int print_json(const struct ab_verify_session *v)
{
    json_t *root = ab_verify_json(v);
    const bool good = root && ab_records_print(stdout, json_object_get(root, "context"),
                                               json_object_get(root, "results"));
    json_decref(root);
    if (good && fflush(stdout) == 0) return AB_EXIT_OK;
    return ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
}

/* Tells what was found, also where it is not all; `code` is what the work came to. */
static int finish(struct ab_verify_session *v, double start, int code)
{
    struct ab_error err;
    v->seconds = (ab_now_ns() - start) / 1e9;
    if (!v->settings->repro) ab_verify_print(v->talk, v);
    fflush(v->talk);
    if (write_files(v, &err) != AB_OK) code = ab_complain(AB_EXIT_ERROR, "%s", err.text);
    if (v->settings->json && print_json(v) != AB_EXIT_OK) code = AB_EXIT_ERROR;
    if (ab_interrupted)
        return ab_complain(AB_EXIT_INTERRUPTED,
                           "interrupted: the table holds what was found until then");
    if (code == AB_EXIT_OK && ab_tally_failures(&v->tally)) code = AB_EXIT_DISAGREE;
    return code;
}

static int run_session(struct ab_verify_session *v)
{
    struct ab_error err = {.text = ""};
    struct ab_verify_plan plan = {0};
    const bool onednn = asks_for(v->settings, "onednn");
    enum ab_status status = ab_verify_open_foreign(v, onednn, &err);
    if (status == AB_OK) status = take_all(v, &err);
    if (status != AB_OK) return ab_complain_status(status, &err);
    ab_interrupt_catch();
    const double start = ab_now_ns();
    if (v->settings->selftest) return ab_verify_selftest(v);
    if (v->settings->repro) {
        const int code = ab_verify_repro(v, v->settings->repro);
        return code == AB_EXIT_USAGE ? code : finish(v, start, code);
    }
    status = ab_verify_plan_candidates(&plan, &v->request, v->extra, v->n_extra, &err);
    int code = AB_EXIT_OK;
    if (status == AB_OK && v->settings->list) {
        status = ab_verify_plan_fixed(&plan, &v->request, &err);
        if (status == AB_OK)
            code = ab_verify_list(v, &plan);
        else
            code = ab_complain_status(status, &err);
    } else {
        if (status == AB_OK) status = run_kernels(v, &plan, &err);
        if (status != AB_OK) code = ab_complain_status(status, &err);
        if (status != AB_ERR_ARG) code = finish(v, start, code);
    }
    ab_verify_plan_free(&plan);
    return code;
}

static int run_verify(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct ab_verify_settings *settings = user;
    struct ab_verify_session v = {
        .settings = settings, .talk = settings->json ? stderr : stdout, .workers = usable_cores()};
    ab_verify_request_init(&v.request);
    const int code = run_session(&v);
    ab_verify_request_free(&v.request);
    ab_verify_close_foreign(&v);
    ab_tally_free(&v.tally);
    return code;
}

#define FIELD(name) offsetof(struct ab_verify_settings, name)
static const struct ab_option options[] = {
    {"op", "GLOB[,GLOB]...",
     "operations or candidates by name, e.g. 'conv2d', '*_avx2*'; default: all", AB_OPTION_LIST,
     FIELD(ops)},
    {"isa", "I[,I]...", "instruction sets; default: those of this CPU; all: NEON under qemu too",
     AB_OPTION_LIST, FIELD(isas)},
    {"shape", "S", "this shape in the place of the fixed ones, e.g. n1c64h56w56o64k3s1p1",
     AB_OPTION_TEXTS, FIELD(shapes)},
    {"shapes", "F", "convolutions of a file, one a line, or of a log of ONEDNN_VERBOSE=1",
     AB_OPTION_TEXT, FIELD(shape_file)},
    {"fill", "NAME|F.npy",
     "operands: int, uint, normal, relu, nonneg, cancel, lognormal, onehot, ramp,\ndenormal, "
     "huge, negzero, nan, inf, or the values of a file; default: each case's own",
     AB_OPTION_TEXT, FIELD(fill)},
    {"exponent", "N", "the signal times 2^N, -20 to 20; default: each case's own", AB_OPTION_TEXT,
     FIELD(exponent)},
    {"seed", "N", "other random numbers", AB_OPTION_TEXT, FIELD(seed)},
    {"methods", "yes|no", "methods end to end on random networks; default yes", AB_OPTION_CHOICE,
     FIELD(methods)},
    {"plugin", "F.so", "kernels of a shared object too (include/attrbench/verify.h)",
     AB_OPTION_TEXTS, FIELD(plugins)},
    {"fuzz", "T", "random cases for so long (60s, 10m); failures are made as small as they get",
     AB_OPTION_SECONDS, FIELD(fuzz)},
    {"repro", "'LINE'", "exactly one case, as a failure prints it", AB_OPTION_TEXT, FIELD(repro)},
    {"dump", "DIR", "with --repro: operands, result and reference as .npy", AB_OPTION_TEXT,
     FIELD(dump)},
    {"fail-fast", NULL, "stops at the first failure", AB_OPTION_FLAG, FIELD(fail_fast)},
    {"selftest", NULL, "seeded bugs in the place of kernels: every one must be caught",
     AB_OPTION_FLAG, FIELD(selftest)},
    {"list", NULL, "candidates and their fixed cases; runs nothing", AB_OPTION_FLAG, FIELD(list)},
    {"json", NULL, "results as JSON on standard output; talk goes to standard error",
     AB_OPTION_FLAG, FIELD(json)},
    {"junit", "F.xml", "results for continuous integration", AB_OPTION_TEXT, FIELD(junit)},
    {"out", "DIR", "where verify.json goes; default: nowhere", AB_OPTION_TEXT, FIELD(out)},
};

const struct ab_command ab_command_verify = {
    .name = "verify",
    .summary = "proves kernels against a double-precision reference with derived bounds",
    .usage = "[OPTION]...",
    .more = "About a minute without options. How to read the table, and how to validate a kernel "
            "of your own:\ndocs/verify.md. Exit code 6: something failed.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct ab_verify_settings),
    .run = run_verify,
};
