// SPDX-License-Identifier: Apache-2.0
// The subject of `attrbench theory`: network, images, classes and methods.
#include "theory_subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYNTHETIC_IMAGES = 16, MAX_IMAGES = 4096 };

/* Input multiplication is off: what is studied is the signal that the rules propagate. Relevance
 * that keeps its sign is seeded with 1, so that a map does not change sign with the logit; the
 * epsilon rule divides by the logit and has to be seeded with it to be free of its sign. */
static const struct {
    const char *spec, *label; /* label NULL: the spec */
} usual_methods[] = {
    {"gradient", NULL},
    {"input-x-gradient", NULL},
    {"deconvnet", NULL},
    {"rectgrad:q=98,input_mul=0", "rectgrad q=98"},
    {"rectgrad:q=80,input_mul=0", "rectgrad q=80"},
    {"guided-backprop", NULL},
    {"lrp-epsilon", NULL},
    {"epsilon-plus", NULL},
    {"lrp-alpha-beta:seed=one", "lrp-alpha-beta"},
    {"dtd:seed=one", "dtd"},
    {"lrp-zplus:seed=one", "lrp-zplus"},
};
enum { USUAL = sizeof usual_methods / sizeof *usual_methods };

const char *ab_subject_label(const struct ab_subject *s, int method)
{
    const char *spec = ab_method_spec(s->methods[method]);
    for (int i = 0; i < USUAL && !s->methods_given; i++) {
        struct ab_method *usual;
        if (!usual_methods[i].label || ab_method_parse(usual_methods[i].spec, &usual, NULL))
            continue;
        const bool same = !strcmp(ab_method_spec(usual), spec);
        ab_method_destroy(&usual);
        if (same) return usual_methods[i].label;
    }
    return spec;
}

uint64_t ab_subject_seed(const struct ab_subject *s, const char *word)
{
    return ab_hash(s->options.seed, word, strlen(word));
}

bool ab_method_is_relevance(const struct ab_method *method)
{
    return method->composite.relevance;
}

/* ---- network and images ---- */

static enum ab_status take_synthetic_images(struct ab_subject_owner *o, int count,
                                            struct ab_error *err)
{
    const struct ab_subject *s = &o->subject;
    if (s->dims.h < 2 || s->dims.w < 2)
        return ab_fail(err, AB_ERR_ARG,
                       "%s: takes vectors, not images; give --input F.npy of [n][%d]", s->name,
                       s->dims.c);
    o->images.data = malloc((size_t)count * s->image * sizeof *o->images.data);
    if (!o->images.data)
        return ab_fail(err, AB_ERR_MEMORY, "out of memory for %d images; give fewer --images",
                       count);
    o->images.count = count;
    for (int i = 0; i < count; i++) {
        char name[32];
        const int length = snprintf(name, sizeof name, "noise-%d", i);
        if (!ab_words_add(&o->images.names, name, (size_t)length))
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for the names of images");
    }
    return ab_synthetic_images(ab_subject_seed(s, "images"), s->dims, count, o->images.data, err);
}

static enum ab_status open_network(const struct ab_subject_request *q, struct ab_subject_owner *o,
                                   struct ab_error *err)
{
    struct ab_subject *s = &o->subject;
    enum ab_status status = AB_OK;
    if (!q->model && q->tier == AB_TIER_SYNTHETIC) {
        s->name = o->source.name = "synthetic";
        status = ab_synthetic_graph(ab_subject_seed(s, "weights"), &o->source.graph, err);
    } else {
        s->name = q->model ? q->model : "digits";
        status = ab_source_open(s->name, NULL, &o->source, err);
    }
    if (status != AB_OK) return status;
    s->trained = *o->source.path != '\0';
    s->graph = o->source.graph;
    s->dims = o->source.dims = ab_graph_input(s->graph);
    s->classes = o->source.classes = ab_graph_classes(s->graph);
    s->image = (size_t)s->dims.c * (size_t)s->dims.h * (size_t)s->dims.w;
    return AB_OK;
}

static enum ab_status read_pictures(const struct ab_subject_request *q, struct ab_subject_owner *o,
                                    struct ab_error *err)
{
    struct ab_preprocess p;
    enum ab_status status = ab_preprocess_parse(q->preprocess, o->source.dims, &p, err);
    for (int i = 0; i < q->inputs->count && status == AB_OK; i++)
        status = ab_images_add(&o->images, q->inputs->items[i], o->source.dims, &p, q->images, err);
    if (status != AB_OK || q->inputs->count) return status;
    char path[1024];
    ab_data_path("digits", path, sizeof path);
    return ab_images_add(&o->images, path, o->source.dims, &p, q->images, err);
}

static enum ab_status open_images(const struct ab_subject_request *q, struct ab_subject_owner *o,
                                  struct ab_error *err)
{
    struct ab_subject *s = &o->subject;
    const bool digits = !strcmp(s->name, "digits");
    s->synthetic = !q->inputs->count && !digits;
    enum ab_status status;
    if (s->synthetic)
        status = take_synthetic_images(o, q->images ? q->images : SYNTHETIC_IMAGES, err);
    else
        status = read_pictures(q, o, err);
    if (status != AB_OK) return status;
    s->n = o->images.count;
    s->images = o->images.data;
    s->names = (const char *const *)o->images.names.items;
    if (!q->images || s->n >= q->images) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "--images %d: there are only %d; give at most that many",
                   q->images, s->n);
}

/* The digits that come with the program carry their class in their names: sample-7. */
static enum ab_status read_labels(const struct ab_subject_request *q, struct ab_subject_owner *o,
                                  struct ab_error *err)
{
    struct ab_subject *s = &o->subject;
    if (s->synthetic || q->inputs->count || strcmp(s->name, "digits") != 0) return AB_OK;
    o->labels = calloc((size_t)s->n, sizeof *o->labels);
    if (!o->labels) return ab_fail(err, AB_ERR_MEMORY, "out of memory for labels");
    for (int i = 0; i < s->n; i++) {
        int label;
        if (sscanf(s->names[i], "sample-%d", &label) != 1 || label < 0 || label >= s->classes)
            return ab_fail(err, AB_ERR_FORMAT, "%s: tells no class; expected sample-0 to sample-%d",
                           s->names[i], s->classes - 1);
        o->labels[i] = label;
    }
    s->labels = o->labels;
    return AB_OK;
}

static enum ab_status find_targets(struct ab_subject_owner *o, struct ab_error *err)
{
    struct ab_subject *s = &o->subject;
    const size_t classes = (size_t)s->classes;
    const struct ab_runner_spec spec = {.n_methods = 0};
    struct ab_runner *runner;
    enum ab_status status = ab_runner_create(s, &spec, &runner, err);
    if (status != AB_OK) return status;
    float *logits = malloc((size_t)s->n * classes * sizeof *logits);
    o->targets = calloc((size_t)s->n, sizeof *o->targets);
    if (logits && o->targets)
        status = ab_runner_execute(runner, s->images, s->n, NULL, NULL, logits, err);
    else
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for logits");
    for (int i = 0; status == AB_OK && i < s->n; i++)
        for (int k = 1; k < s->classes; k++) {
            const float *row = logits + (size_t)i * classes;
            if (row[k] > row[o->targets[i]]) o->targets[i] = k;
        }
    s->targets = o->targets;
    free(logits);
    ab_runner_destroy(&runner);
    return status;
}

/* ---- methods ---- */

static enum ab_status open_methods(const struct ab_subject_request *q, struct ab_subject_owner *o,
                                   struct ab_error *err)
{
    struct ab_words usual = {0};
    const struct ab_words *specs = q->methods;
    enum ab_status status = AB_OK;
    if (!specs->count) {
        for (int i = 0; i < USUAL && status == AB_OK; i++)
            if (!ab_words_add(&usual, usual_methods[i].spec, strlen(usual_methods[i].spec)))
                status = ab_fail(err, AB_ERR_MEMORY, "out of memory for methods");
        specs = &usual;
    }
    if (status == AB_OK) status = ab_methods_open(specs, &o->methods, &o->n_methods, err);
    ab_words_free(&usual);
    return status;
}

/* Of the usual methods, those stay that have rules for this network. */
static enum ab_status keep_suitable(struct ab_subject_owner *o, struct ab_error *err)
{
    const struct ab_subject *s = &o->subject;
    int kept = 0;
    for (int m = 0; m < o->n_methods; m++) {
        struct ab_method *method = o->methods[m];
        const struct ab_method *const one = method;
        struct ab_program program;
        struct ab_error why;
        const enum ab_status status = ab_lower(s->graph, &one, 1, NULL, &program, &why);
        if (status == AB_OK) {
            ab_program_free(&program);
            o->methods[m] = o->methods[kept];
            o->methods[kept++] = method;
        } else if (status != AB_ERR_UNSUPPORTED) {
            return ab_fail(err, status, "%s", why.text);
        } else if (!ab_words_add(&o->left_out, why.text, strlen(why.text))) {
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for methods");
        }
    }
    o->subject.n_methods = kept;
    if (kept) return AB_OK;
    return ab_fail(err, AB_ERR_UNSUPPORTED, "%s: none of the usual methods suits it: %s", s->name,
                   o->left_out.items[0]);
}

/* What the user asked for must be possible. */
static enum ab_status try_methods(const struct ab_subject_owner *o, struct ab_error *err)
{
    const struct ab_subject *s = &o->subject;
    const struct ab_runner_spec spec = {
        .methods = s->methods, .n_methods = s->n_methods, .batch = 1};
    struct ab_runner *runner;
    const enum ab_status status = ab_runner_create(s, &spec, &runner, err);
    ab_runner_destroy(&runner);
    return status;
}

static enum ab_status check_methods(struct ab_subject_owner *o, struct ab_error *err)
{
    o->subject.methods = (const struct ab_method *const *)o->methods;
    o->subject.n_methods = o->n_methods;
    return o->subject.methods_given ? try_methods(o, err) : keep_suitable(o, err);
}

static enum ab_status check_request(const struct ab_subject_request *q, struct ab_error *err)
{
    if (q->images > MAX_IMAGES)
        return ab_fail(err, AB_ERR_ARG, "--images %d: at most %d", q->images, MAX_IMAGES);
    if (q->inputs->count && !q->model)
        return ab_fail(err, AB_ERR_ARG,
                       "--input needs --model: which network is to explain these images?");
    if (q->preprocess && !q->inputs->count)
        return ab_fail(err, AB_ERR_ARG,
                       "--preprocess needs --input: generated images are taken as they are");
    return AB_OK;
}

enum ab_status ab_subject_open(const struct ab_subject_request *q, struct ab_subject_owner *o,
                               struct ab_error *err)
{
    *o = (struct ab_subject_owner){.subject = {.options = q->options}};
    o->subject.methods_given = q->methods->count > 0;
    enum ab_status status = check_request(q, err);
    if (status == AB_OK && q->options.backend) status = ab_backend_check(q->options.backend, err);
    if (status == AB_OK) status = open_methods(q, o, err);
    if (status == AB_OK) status = open_network(q, o, err);
    if (status == AB_OK) status = open_images(q, o, err);
    if (status == AB_OK) status = read_labels(q, o, err);
    if (status == AB_OK) status = check_methods(o, err);
    if (status == AB_OK) status = find_targets(o, err);
    if (status != AB_OK) ab_subject_close(o);
    return status;
}

void ab_subject_close(struct ab_subject_owner *o)
{
    ab_methods_free(o->methods, o->n_methods);
    ab_images_free(&o->images);
    ab_source_close(&o->source);
    ab_words_free(&o->left_out);
    free(o->targets);
    free(o->labels);
    *o = (struct ab_subject_owner){0};
}
