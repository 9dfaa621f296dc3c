// SPDX-License-Identifier: Apache-2.0
// attrbench explain: the attribution itself, as an array or as a heat map over the image.
#include "command.h"

#include "base/classes.h"
#include "base/image.h"
#include "config/config.h"
#include "model/graph.h"
#include "canvas.h"
#include "grid.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct explain_settings {
    const char *config, *model, *target, *at, *preprocess, *labels, *backend, *out;
    struct ab_words inputs, methods;
    long threads;
    int algo, memory, pages, denormals; /* their enums, counted from 1; 0: not given */
};

enum kind { KIND_NPY, KIND_PNG };

enum { MAX_SECTIONS = 8 }; /* images that contact.png shows */

struct job {
    const struct explain_settings *settings;
    int slot; /* the image at hand is this one of the last execution */
    struct ab_source source;
    struct ab_preprocess preprocess;
    struct ab_images images;
    struct ab_method **methods;
    int n_methods;
    struct ab_targets targets;
    struct ab_dims map;       /* shape of a map: the image's, or that of layer --at */
    struct ab_config *config; /* NULL: the options say all */
    struct ab_plan *plan;
    int batch;    /* images of an execution */
    float *input; /* [batch][c][h][w] */
    int *asked;   /* [batch][targets] */
    float **maps; /* [methods][targets] of [batch] maps */
    float *logits;
    int at;      /* the node of --at; 0: the image */
    bool folder; /* out is one */
    bool sheet;  /* contact.png is wanted: several maps, and a folder to put it in */
    struct ab_grid grid;
    enum kind kind;
};

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && !strcasecmp(path + n - m, ending);
}

/* A file by its ending; anything without one, or an existing folder, is a folder. */
static enum ab_status choose_output(struct job *j, struct ab_error *err)
{
    const char *out = j->settings->out;
    const char *slash = strrchr(out, '/'), *base = slash ? slash + 1 : out;
    j->kind = ends_with(out, ".npy") ? KIND_NPY : KIND_PNG;
    j->folder = ab_is_folder(out) || !strchr(base, '.');
    struct stat info;
    bool special = stat(out, &info) == 0 && !S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode);
    if (!j->folder && !ends_with(out, ".npy") && !ends_with(out, ".png"))
        return ab_fail(err, AB_ERR_ARG,
                       "--out %s: the ending says nothing known; write F.npy, F.png or a folder",
                       out);
    if (special && j->folder)
        return ab_fail(err, AB_ERR_ARG, "--out %s: is a device; write F.npy, F.png or a folder",
                       out);
    char parent[2048] = ".";
    if (slash) snprintf(parent, sizeof parent, "%.*s", (int)(slash - out + 1), out);
    if (!j->folder && !special && access(parent, W_OK | X_OK) != 0)
        return ab_fail(err, AB_ERR_IO, "--out %s: cannot be written: %s; choose another place", out,
                       strerror(errno));
    if (j->folder && !ab_is_folder(out) && mkdir(out, 0777) != 0)
        return ab_fail(err, AB_ERR_IO, "--out %s: cannot be made: %s; choose another place", out,
                       strerror(errno));
    if (j->folder && access(out, W_OK | X_OK) != 0)
        return ab_fail(err, AB_ERR_IO, "--out %s: cannot be written: %s; choose another place", out,
                       strerror(errno));
    return AB_OK;
}

/* An input as it was before its normalisation. */
static void plain_image(const struct job *j, const float *in, float *out)
{
    const struct ab_dims d = j->source.dims;
    const size_t pixels = (size_t)d.h * (size_t)d.w;
    for (size_t k = 0; k < pixels * (size_t)d.c; k++) {
        const size_t c = j->preprocess.count == 1 ? 0 : k / pixels;
        out[k] = in[k] * j->preprocess.std[c] + j->preprocess.mean[c];
    }
}

/* The heat of a map at every pixel of the image; maps of layers are as coarse as they are. */
static bool heat_over_image(const struct job *j, const float *map, float *heat)
{
    const struct ab_dims d = j->source.dims, e = j->map;
    const size_t pixels = (size_t)d.h * (size_t)d.w, few = (size_t)e.h * (size_t)e.w;
    float *coarse = malloc(3 * few * sizeof *coarse);
    const bool good = coarse && ab_heat_planes(map, e, coarse);
    for (size_t i = 0; good && i < 3 * pixels; i++) {
        const size_t y = i % pixels / (size_t)d.w * (size_t)e.h / (size_t)d.h;
        const size_t x = i % (size_t)d.w * (size_t)e.w / (size_t)d.w;
        heat[i] = coarse[i / pixels * few + y * (size_t)e.w + x];
    }
    free(coarse);
    return good;
}

/* A heat map over the image: white of the map's scale lets the gray image through. */
static enum ab_status write_picture(const struct job *j, const char *path, int image,
                                    const float *map, struct ab_error *err)
{
    struct ab_dims d = j->source.dims;
    size_t pixels = (size_t)d.h * (size_t)d.w;
    const float *in = j->images.data + (size_t)image * pixels * (size_t)d.c;
    float *heat = malloc(6 * pixels * sizeof *heat),
          *work = malloc(pixels * (size_t)d.c * sizeof *work);
    uint8_t *rgb = malloc(3 * pixels);
    float *ground = heat ? heat + 3 * pixels : NULL;
    enum ab_status status = AB_OK;
    if (!heat || !work || !rgb || !heat_over_image(j, map, heat))
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for the picture");
    if (status == AB_OK) plain_image(j, in, work);
    if (status == AB_OK) ab_input_planes(work, d, ground);
    for (size_t i = 0; status == AB_OK && i < pixels; i++) {
        float light =
            0.299f * ground[i] + 0.587f * ground[pixels + i] + 0.114f * ground[2 * pixels + i];
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)(255 * heat[c * pixels + i] * (0.55f + 0.45f * light) + 0.5f);
    }
    if (status == AB_OK) status = ab_png_write(path, d.w, d.h, rgb, err);
    free(rgb);
    free(work);
    free(heat);
    return status;
}

static enum ab_status write_one(const struct job *j, const char *path, enum kind kind, int image,
                                const float *map, struct ab_error *err)
{
    enum ab_status status = kind == KIND_NPY ? ab_npy_write(path, map, 1, j->map, err)
                                             : write_picture(j, path, image, map, err);
    if (status == AB_OK) printf("%s\n", path);
    return status;
}

/* A spec as part of a file name. */
static void file_part(const char *spec, char *part, size_t size)
{
    size_t i = 0;
    for (; spec[i] && i + 1 < size; i++) part[i] = strchr(":,/ ", spec[i]) ? '_' : spec[i];
    part[i] = '\0';
}

static struct ab_logits logits_of(const struct job *j)
{
    const size_t classes = (size_t)j->source.classes;
    return (struct ab_logits){.f = j->logits + (size_t)j->slot * classes,
                              .count = j->source.classes};
}

/* Map k of the image at hand. */
static const float *map_of(const struct job *j, int k)
{
    const struct ab_dims d = j->map;
    return j->maps[k] + (size_t)j->slot * (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

/* The class that target t of the image at hand turned out to be. */
static int class_of(const struct job *j, int t)
{
    const struct ab_logits logits = logits_of(j);
    return ab_class_of_target(&logits, j->targets.items[t]);
}

/* In a folder: the array and the picture of every method, <image>.<method>.npy and .png. With a
 * file name and several methods or images: <name>.<image>.<method>.<ending>. With several targets
 * the name also has .class<K>. */
static enum ab_status write_image(const struct job *j, int image, struct ab_error *err)
{
    const char *out = j->settings->out;
    int stem = (int)strlen(out) - (j->folder ? 0 : 4);
    enum ab_status status = AB_OK;
    for (int k = 0; k < j->n_methods * j->targets.count && status == AB_OK; k++) {
        const int m = k / j->targets.count;
        char method[300], path[2048], middle[700] = "";
        file_part(ab_method_spec(j->methods[m]), method, sizeof method - 40);
        const size_t length = strlen(method);
        if (j->targets.count > 1)
            snprintf(method + length, sizeof method - length, ".class%d",
                     class_of(j, k % j->targets.count));
        if (j->folder) {
            for (int picture = 0; picture < 2 && status == AB_OK; picture++) {
                snprintf(path, sizeof path, "%s/%s.%s.%s", out, j->images.names.items[image],
                         method, picture ? "png" : "npy");
                status =
                    write_one(j, path, picture ? KIND_PNG : KIND_NPY, image, map_of(j, k), err);
            }
            continue;
        }
        if (j->images.count > 1)
            snprintf(middle, sizeof middle, ".%s", j->images.names.items[image]);
        size_t used = strlen(middle);
        if (j->n_methods > 1)
            snprintf(middle + used, sizeof middle - used, ".%s", method);
        else if (j->targets.count > 1)
            snprintf(middle + used, sizeof middle - used, "%s", method + length);
        snprintf(path, sizeof path, "%.*s%s%s", stem, out, middle, out + stem);
        status = write_one(j, path, j->kind, image, map_of(j, k), err);
    }
    return status;
}

static void tell_classes(const struct job *j, int image)
{
    const struct ab_logits logits = logits_of(j);
    const int top = ab_class_of_rank(&logits, 0);
    for (int t = 0; t < j->targets.count; t++) {
        const int shown = class_of(j, t);
        char class[320];
        ab_target_text(shown, &j->source, class, sizeof class);
        fprintf(stderr, "%s: explains %s, logit %.4g%s\n", j->images.names.items[image], class,
                (double)logits.f[shown], shown == top ? ", the top one" : "");
    }
}

/* The image's section of contact.png. */
static enum ab_status draw_section(struct job *j, int image, struct ab_error *err)
{
    const struct ab_dims d = j->source.dims, e = j->map;
    const size_t pixels = (size_t)d.h * (size_t)d.w, others = (size_t)e.h * (size_t)e.w;
    const float *in = j->images.data + (size_t)image * pixels * (size_t)d.c;
    float *planes = malloc(3 * (pixels > others ? pixels : others) * sizeof *planes);
    float *work = malloc(pixels * (size_t)d.c * sizeof *work);
    bool good = planes && work;
    if (good) {
        ab_grid_section(&j->grid, j->images.names.items[image]);
        plain_image(j, in, work);
        ab_input_planes(work, d, planes);
        ab_grid_cell(&j->grid, 0, "image", planes, d);
    }
    for (int k = 0; good && k < j->n_methods * j->targets.count; k++) {
        char name[400];
        snprintf(name, sizeof name, "%.300s", ab_method_spec(j->methods[k / j->targets.count]));
        const size_t length = strlen(name);
        if (j->targets.count > 1)
            snprintf(name + length, sizeof name - length, ", class %d",
                     class_of(j, k % j->targets.count));
        good = ab_heat_planes(map_of(j, k), e, planes);
        if (good) ab_grid_cell(&j->grid, k + 1, name, planes, e);
    }
    free(planes);
    free(work);
    return good ? AB_OK : ab_fail(err, AB_ERR_MEMORY, "out of memory for contact.png");
}

static enum ab_status open_sheet(struct job *j, struct ab_error *err)
{
    const int maps = j->n_methods * j->targets.count;
    const int sections = j->images.count < MAX_SECTIONS ? j->images.count : MAX_SECTIONS;
    char text[400];
    j->sheet = j->folder && maps > 1;
    if (!j->sheet) return AB_OK;
    snprintf(text, sizeof text, "attribution maps of %.100s%s%.100s, channels summed",
             j->source.name, j->at ? " at " : "", j->at ? j->settings->at : "");
    return ab_grid_open(&j->grid, maps + 1, sections, text, err);
}

static enum ab_status write_sheet(const struct job *j, struct ab_error *err)
{
    char path[2048];
    if (!j->sheet) return AB_OK;
    snprintf(path, sizeof path, "%s/contact.png", j->settings->out);
    const enum ab_status status = ab_grid_write(&j->grid, path, err);
    if (status == AB_OK) printf("%s\n", path);
    return status;
}

/* Executes on a batch of images from the `first` on; after the last one it is filled up with that
 * one again. */
static enum ab_status execute(struct job *j, int first, struct ab_error *err)
{
    const struct ab_dims d = j->source.dims;
    const size_t image = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    for (int n = 0; n < j->batch; n++) {
        const int i = first + n < j->images.count ? first + n : j->images.count - 1;
        memcpy(j->input + (size_t)n * image, j->images.data + (size_t)i * image,
               image * sizeof *j->input);
    }
    return ab_plan_execute(j->plan, j->input, j->asked, j->maps, j->logits, err);
}

static enum ab_status explain_images(struct job *j, struct ab_error *err)
{
    enum ab_status status = AB_OK;
    for (int i = 0; i < j->images.count && status == AB_OK; i++) {
        j->slot = i % j->batch;
        if (j->slot == 0) status = execute(j, i, err);
        if (status == AB_OK) status = write_image(j, i, err);
        if (status == AB_OK && j->sheet && i < MAX_SECTIONS) status = draw_section(j, i, err);
        if (status == AB_OK) tell_classes(j, i);
    }
    if (status == AB_OK) status = write_sheet(j, err);
    return status;
}

static void tell_notes(const struct job *j)
{
    const char *notes = ab_graph_notes(j->source.graph);
    while (notes && *notes) {
        size_t length = strcspn(notes, "\n");
        fprintf(stderr, "%s: note: %.*s\n", j->source.name, (int)length, notes);
        notes += length + (notes[length] == '\n');
    }
}

static enum ab_status make_buffers(struct job *j, struct ab_error *err)
{
    const struct ab_dims d = j->map, in = j->source.dims;
    const size_t map = (size_t)d.c * (size_t)d.h * (size_t)d.w, batch = (size_t)j->batch;
    const size_t image = (size_t)in.c * (size_t)in.h * (size_t)in.w;
    const int maps = j->n_methods * j->targets.count;
    j->maps = calloc((size_t)maps, sizeof *j->maps);
    j->logits = calloc(batch * (size_t)j->source.classes, sizeof *j->logits);
    j->input = calloc(batch * image, sizeof *j->input);
    j->asked = calloc(batch * (size_t)j->targets.count, sizeof *j->asked);
    bool good = j->maps && j->logits && j->input && j->asked;
    for (int m = 0; good && m < maps; m++)
        good = (j->maps[m] = malloc(batch * map * sizeof **j->maps)) != NULL;
    if (!good) return ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    for (int k = 0; k < j->batch * j->targets.count; k++)
        j->asked[k] = j->targets.items[k % j->targets.count];
    return AB_OK;
}

static enum ab_status make_plan(struct job *j, struct ab_error *err)
{
    const struct explain_settings *s = j->settings;
    const struct ab_deploy *deploy = j->config ? ab_config_deploy(j->config) : NULL;
    struct ab_plan_options options = {.backend = s->backend,
                                      .threads = (int)s->threads,
                                      .algo = s->algo ? (enum ab_algo)(s->algo - 1) : 0,
                                      .memory = s->memory ? (enum ab_memory)(s->memory - 1) : 0,
                                      .pages = s->pages ? (enum ab_pages)(s->pages - 1) : 0};
    enum ab_status status = AB_OK;
    if (deploy) {
        options = ab_deploy_options(deploy);
        status = ab_deploy_enter(deploy, 0, err);
    } else if (s->denormals) {
        ab_denormals_set_all((enum ab_denormals)(s->denormals - 1),
                             options.threads ? options.threads : 1);
    }
    options.targets = j->targets.count;
    options.at = s->at;
    j->batch = options.batch ? options.batch : 1;
    if (!status) status = make_buffers(j, err);
    if (status) return status;
    return ab_plan_create(j->source.graph, (const struct ab_method *const *)j->methods,
                          j->n_methods, &options, &j->plan, err);
}

/* What a map is of. */
static enum ab_status choose_layer(struct job *j, struct ab_error *err)
{
    j->map = j->source.dims;
    if (!j->settings->at) return AB_OK;
    const enum ab_status status = ab_graph_find(j->source.graph, j->settings->at, &j->at, err);
    if (status == AB_OK) j->map = j->source.graph->nodes[j->at].dims;
    return status;
}

/* Of `all`, methods that the model or the layer does not admit are left out with a note. */
static enum ab_status choose_methods(struct job *j, struct ab_error *err)
{
    const struct ab_words *given = &j->settings->methods;
    int kept = 0;
    if (given->count != 1 || strcmp(given->items[0], "all") != 0) return AB_OK;
    for (int m = 0; m < j->n_methods; m++) {
        struct ab_method *method = j->methods[m];
        if (ab_method_fits(j->source.graph, method, j->at, err) == AB_OK) {
            j->methods[kept++] = method;
        } else {
            fprintf(stderr, "%s: note: left out: %s\n", j->source.name, err->text);
            ab_method_destroy(&method);
        }
    }
    j->n_methods = kept;
    return kept ? AB_OK : AB_ERR_UNSUPPORTED;
}

/* What to explain and by which methods: the configuration's or the user's. */
static enum ab_status choose_work(struct job *j, struct ab_error *err)
{
    const struct explain_settings *s = j->settings;
    static char *guided[] = {(char *)"guided-backprop"};
    struct ab_words usual = {guided, 1};
    char *configured[1];
    struct ab_words own = {configured, 1};
    enum ab_status status = AB_OK;
    if (s->config) status = ab_config_load(s->config, &j->config, err);
    if (status == AB_OK && j->config)
        configured[0] = (char *)(uintptr_t)ab_config_method(j->config);
    else if (s->methods.count)
        own = s->methods;
    else
        own = usual;
    if (status == AB_OK && s->backend) status = ab_backend_check(s->backend, err);
    if (status == AB_OK) status = ab_methods_open(&own, &j->methods, &j->n_methods, err);
    if (status == AB_OK)
        status = ab_source_open(j->config ? ab_config_model(j->config) : s->model, s->labels,
                                &j->source, err);
    if (status == AB_OK && j->config) status = ab_config_fits(j->config, j->source.graph, err);
    return status;
}

static enum ab_status explain(struct job *j, struct ab_error *err)
{
    const struct explain_settings *s = j->settings;
    enum ab_status status = choose_work(j, err);
    if (status == AB_OK) tell_notes(j);
    if (status == AB_OK)
        status = ab_preprocess_parse(s->preprocess, j->source.dims, &j->preprocess, err);
    if (status == AB_OK) status = ab_targets_parse(s->target, &j->source, &j->targets, err);
    for (int i = 0; status == AB_OK && i < s->inputs.count; i++)
        status =
            ab_images_add(&j->images, s->inputs.items[i], j->source.dims, &j->preprocess, 0, err);
    if (status == AB_OK) status = choose_layer(j, err);
    if (status == AB_OK) status = choose_methods(j, err);
    if (status == AB_OK) status = choose_output(j, err);
    if (status == AB_OK) status = open_sheet(j, err);
    if (status == AB_OK) status = make_plan(j, err);
    if (status == AB_OK) status = explain_images(j, err);
    return status;
}

/* An option that says what the configuration says too; NULL: none is given. */
static const char *said_twice(const struct explain_settings *s)
{
    return s->model           ? "--model"
           : s->methods.count ? "--method"
           : s->backend       ? "--backend"
           : s->threads       ? "--threads"
           : s->algo          ? "--algo"
           : s->memory        ? "--memory"
           : s->pages         ? "--pages"
           : s->denormals     ? "--denormals"
                              : NULL;
}

static void clean_up(struct job *j)
{
    ab_grid_close(&j->grid);
    ab_plan_destroy(&j->plan);
    for (int m = 0; j->maps && m < j->n_methods * j->targets.count; m++) free(j->maps[m]);
    free(j->maps);
    free(j->logits);
    free(j->input);
    free(j->asked);
    ab_methods_free(j->methods, j->n_methods);
    ab_images_free(&j->images);
    ab_source_close(&j->source);
    ab_config_destroy(&j->config);
}

static int run_explain(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct explain_settings *s = user;
    const char *missing = !s->model && !s->config ? "--model M"
                          : !s->inputs.count      ? "--input F"
                          : !s->out               ? "--out F"
                                                  : NULL;
    const char *twice = s->config ? said_twice(s) : NULL;
    if (twice)
        return ab_complain(AB_EXIT_USAGE,
                           "explain: %s and --config %s both say it; leave one of them out", twice,
                           s->config);
    if (missing)
        return ab_complain(AB_EXIT_USAGE, "explain: %s is missing; see attrbench explain --help",
                           missing);
    struct job j = {.settings = s};
    struct ab_error err;
    const enum ab_status status = explain(&j, &err);
    clean_up(&j);
    return status == AB_OK ? AB_EXIT_OK : ab_complain_status(status, &err);
}

#define FIELD(name) offsetof(struct explain_settings, name)
static const struct ab_option options[] = {
    {"model", "M", "a built-in network (attrbench models) or an ONNX file", AB_OPTION_TEXT,
     FIELD(model)},
    {"input", "F|DIR", "picture, .npy array (taken as it is), or a folder of them; may be repeated",
     AB_OPTION_TEXTS, FIELD(inputs)},
    {"method", "S[,S]...",
     "methods (attrbench methods), NAME or NAME:key=value,..., or all;\ndefault guided-backprop",
     AB_OPTION_METHODS, FIELD(methods)},
    {"target", "T[,T]...",
     "classes to explain: top, topN (the N highest), numbers, labels; default top. Names of\n"
     "files tell the class where there are several",
     AB_OPTION_TEXT, FIELD(target)},
    {"at", "LAYER",
     "the signal at the output of a layer instead of the image: arrays of its shape, pictures\n"
     "of its channels' sum",
     AB_OPTION_TEXT, FIELD(at)},
    {"preprocess", "P",
     "imagenet, unit, none or mean=a/b/c,std=a/b/c; default: imagenet for three\n"
     "channels, unit for others",
     AB_OPTION_TEXT, FIELD(preprocess)},
    {"labels", "F", "names of the classes, one a line; default: labels.txt beside the model",
     AB_OPTION_TEXT, FIELD(labels)},
    {"backend", "B", "native, native:ISA, onednn or reference; default native", AB_OPTION_TEXT,
     FIELD(backend)},
    {"threads", "N", "threads; default 1", AB_OPTION_COUNT, FIELD(threads)},
    {"algo", "auto|direct", "as in attrbench run", AB_OPTION_PICK, FIELD(algo)},
    {"memory", "fast|lean", "as in attrbench run", AB_OPTION_PICK, FIELD(memory)},
    {"pages", "huge|small", "as in attrbench run", AB_OPTION_PICK, FIELD(pages)},
    {"denormals", "keep|flush", "as in attrbench run", AB_OPTION_PICK, FIELD(denormals)},
    {"config", "F",
     "a configuration that attrbench tune wrote for this machine: model, method, and all of\n"
     "the six options above, and which CPUs to run on; one of its instances",
     AB_OPTION_TEXT, FIELD(config)},
    {"out", "F.npy|F.png|DIR",
     "where to: the array (float32, NCHW, signed), a heat map over the image,\n"
     "or a folder for both of every image and method, and contact.png of all of them",
     AB_OPTION_TEXT, FIELD(out)},
};

const struct ab_command ab_command_explain = {
    .name = "explain",
    .summary = "writes the attribution of images: arrays or heat maps",
    .usage = "--model M|--config F --input F --out F [OPTION]...",
    .more = "The names of the files written are printed, one a line.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct explain_settings),
    .run = run_explain,
};
