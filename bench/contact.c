// SPDX-License-Identifier: Apache-2.0
// maps.png: every method's heat map side by side. Images down, methods across, latency below; and
// the maps one by one.
#include "run.h"

#include "base/image.h"
#include "cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELL = AB_CELL,
    GAP = AB_CELL_GAP,
    MARGIN = AB_CELL_MARGIN,
    MAX_COLUMNS = 11, /* more methods go into further bands */
    MAX_IMAGES = 4,   /* of a model */
    MAX_ROWS = 8,     /* images times targets */
    HEADING = AB_CELL_HEADING,
    FOOTING = 68 /* lines of text below a band */
};

/* What is shown of one setting: the first of each model. */
struct sheet {
    struct ab_run *run;
    struct ab_setting *setting;
    int threads;
    int images, targets, methods; /* targets: of those asked for, as many as there is room for */
    float **maps;                 /* [images][targets][methods] of the model's map dims */
};

static int row_count(const struct sheet *s)
{
    return s->images * s->targets;
}

static size_t map_floats(const struct sheet *s)
{
    struct ab_dims d = s->setting->model->map;
    return (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

static size_t image_floats(const struct sheet *s)
{
    struct ab_dims d = s->setting->model->source.dims;
    return (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

static void sheet_free(struct sheet *s)
{
    for (int i = 0; s->maps && i < row_count(s) * s->methods; i++) free(s->maps[i]);
    free(s->maps);
}

struct subset {
    const struct ab_method **methods;
    float **maps; /* [methods][targets of the model] */
    int *index, count;
};

static bool choose(const struct sheet *s, struct subset *set)
{
    set->methods = calloc((size_t)s->methods, sizeof *set->methods);
    set->maps = calloc((size_t)(s->methods * s->setting->model->targets.count), sizeof *set->maps);
    set->index = calloc((size_t)s->methods, sizeof *set->index);
    if (!set->methods || !set->maps || !set->index) return false;
    for (int m = 0; m < s->methods; m++) {
        if (!s->setting->supported || !s->setting->supported[m]) continue;
        set->index[set->count] = m;
        set->methods[set->count++] = s->run->methods[m];
    }
    return true;
}

/* Room for the maps of image i; what the judging has computed already is copied. */
static enum ab_status make_maps(struct sheet *s, const struct subset *set, int i, bool *known,
                                struct ab_error *err)
{
    const struct ab_joint *joint = &s->setting->joint[0];
    *known = joint->ran && i < s->setting->batch && i < s->setting->model->images.count;
    const size_t floats = map_floats(s);
    for (int k = 0; k < set->count * s->targets; k++) {
        const int m = set->index[k / s->targets], t = k % s->targets;
        float *map = calloc(floats, sizeof *map);
        if (!map) return ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
        if (*known)
            memcpy(map, joint->maps[m] + (size_t)(t * s->setting->batch + i) * floats,
                   floats * sizeof *map);
        s->maps[(i * s->targets + t) * s->methods + m] = map;
        set->maps[k / s->targets * s->setting->model->targets.count + t] = map;
    }
    return AB_OK;
}

/* Maps of all supported methods from one plan, image after image. */
static enum ab_status compute(struct sheet *s, struct ab_error *err)
{
    struct ab_run *run = s->run;
    struct ab_run_model *model = s->setting->model;
    struct ab_plan_options options = {.backend = run->backends[0],
                                      .threads = run->machine.cores,
                                      .targets = model->targets.count,
                                      .at = run->settings->at};
    struct ab_plan *plan = NULL;
    struct subset set = {0};
    enum ab_status status = AB_OK;
    if (!choose(s, &set)) status = ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    for (int i = 0; status == AB_OK && set.count && i < s->images && !ab_interrupted; i++) {
        bool known;
        status = make_maps(s, &set, i, &known, err);
        if (status != AB_OK || known) continue;
        if (!plan)
            status =
                ab_plan_create(model->source.graph, set.methods, set.count, &options, &plan, err);
        if (status == AB_OK)
            status = ab_plan_execute(plan, model->images.data + (size_t)i * image_floats(s),
                                     model->targets.items, set.maps, NULL, err);
    }
    ab_plan_destroy(&plan);
    free(set.methods);
    free(set.maps);
    free(set.index);
    return status;
}

static int band_count(const struct sheet *s)
{
    return (s->methods + MAX_COLUMNS - 2) / (MAX_COLUMNS - 1);
}

/* Methods per band: as even as the bands allow. */
static int band_width(const struct sheet *s)
{
    const int bands = band_count(s);
    return (s->methods + bands - 1) / bands;
}

static int sheet_height(const struct sheet *s)
{
    return 30 + band_count(s) * (HEADING + row_count(s) * (CELL + GAP) + FOOTING);
}

static int sheet_width(const struct sheet *s)
{
    return (band_width(s) + 1) * (CELL + GAP) - GAP;
}

static const struct ab_record *record_of(const struct sheet *s, int m, const char *backend)
{
    for (int g = 0; g < s->run->n_groups; g++) {
        const struct ab_group *group = &s->run->groups[g];
        if (group->setting != s->setting || group->method != m) continue;
        for (int i = 0; i < group->n_rows; i++)
            if (group->rows[i].done && !strcmp(group->rows[i].record.backend, backend))
                return &group->rows[i].record;
        break;
    }
    return NULL;
}

/* Latency, what oneDNN takes, and whether it agrees. */
static void caption(struct ab_canvas *canvas, const struct sheet *s, int m, int x, int y)
{
    const struct ab_record *r = record_of(s, m, s->run->backends[0]);
    char text[64], time[32];
    if (!r || !r->stats.samples) {
        ab_cell_text(canvas, x, y, 2, ab_gray, r && *r->error ? "not supported" : "not timed");
        return;
    }
    ab_cell_text(canvas, x, y, 2, ab_ink, ab_time_text(r->stats.median, time, sizeof time));
    if (isfinite(r->ratio) && r->agreement.verdict != AB_DISAGREE) {
        snprintf(text, sizeof text, "%.2fx oneDNN", r->ratio);
        ab_cell_text(canvas, x, y + 20, 2, r->ratio >= 1 ? ab_accent : ab_gray, text);
    }
    if (r->agreement.verdict == AB_SKIPPED) return;
    snprintf(text, sizeof text, "%s, error %.0e", ab_verdict_name(r->agreement.verdict),
             r->agreement.rel_l2);
    ab_cell_text(canvas, x, y + 40, 1, ab_gray, text);
}

/* The image of row i as colours; `work` has room for it. */
static void input_planes(const struct sheet *s, int i, float *planes, float *work)
{
    const struct ab_run_model *m = s->setting->model;
    struct ab_dims d = m->source.dims;
    size_t pixels = (size_t)d.h * (size_t)d.w;
    const float *in = m->images.data + (size_t)(i / s->targets) * image_floats(s);
    for (size_t k = 0; k < image_floats(s); k++) {
        size_t c = m->preprocess.count == 1 ? 0 : k / pixels;
        work[k] = in[k] * m->preprocess.std[c] + m->preprocess.mean[c];
    }
    ab_input_planes(work, d, planes);
}

/* The image, and which target the row is about if there are several. */
static void draw_input(struct ab_canvas *canvas, const struct sheet *s, int i, int x, int y,
                       float *planes, float *work)
{
    const struct ab_run_model *m = s->setting->model;
    struct ab_dims d = m->source.dims;
    input_planes(s, i, planes, work);
    ab_cell_frame(canvas, x, y);
    ab_canvas_picture(canvas, x, y, CELL, planes, d.w, d.h);
    if (m->targets.count == 1) return;
    char text[160];
    ab_target_text(m->targets.items[i % s->targets], &m->source, text, sizeof text);
    text[CELL / 6] = '\0';
    ab_canvas_fill(canvas, x, y + CELL - 14, CELL, 14, (struct ab_colour){255, 255, 255});
    ab_cell_text(canvas, x, y + CELL - 11, 1, ab_ink, text);
}

static bool draw_band(struct ab_canvas *canvas, const struct sheet *s, int first, int y)
{
    struct ab_dims d = s->setting->model->source.dims;
    const struct ab_dims e = s->setting->model->map;
    const size_t pixels = (size_t)d.h * (size_t)d.w, others = (size_t)e.h * (size_t)e.w;
    float *planes = malloc(3 * (pixels > others ? pixels : others) * sizeof *planes);
    float *work = malloc(image_floats(s) * sizeof *work);
    bool good = planes && work;
    int last = first + band_width(s) < s->methods ? first + band_width(s) : s->methods;
    for (int column = 0; good && column <= last - first; column++) {
        int m = first + column - 1, x = MARGIN + column * (CELL + GAP);
        ab_cell_label(canvas, x, y + HEADING - 6,
                      column ? ab_method_spec(s->run->methods[m]) : "input");
        for (int i = 0; good && i < row_count(s); i++) {
            int top = y + HEADING + i * (CELL + GAP);
            if (!column) {
                draw_input(canvas, s, i, x, top, planes, work);
                continue;
            }
            const float *map = s->maps[i * s->methods + m];
            ab_cell_frame(canvas, x, top);
            if (!map) continue;
            good = ab_heat_planes(map, e, planes);
            if (good) ab_canvas_picture(canvas, x, top, CELL, planes, e.w, e.h);
        }
        if (column) caption(canvas, s, m, x, y + HEADING + row_count(s) * (CELL + GAP) - 2);
    }
    free(planes);
    free(work);
    return good;
}

static bool draw_sheet(struct ab_canvas *canvas, const struct sheet *s, int y)
{
    struct ab_dims d = s->setting->model->source.dims;
    char title[256];
    snprintf(title, sizeof title, "%s%s  %dx%dx%d  %s  batch %d  %d thread%s",
             s->setting->model->source.name,
             *s->setting->model->source.path ? "" : " (random weights)", d.c, d.h, d.w,
             s->run->backends[0], s->setting->batch, s->threads, s->threads == 1 ? "" : "s");
    ab_canvas_fill(canvas, MARGIN, y - 10, canvas->width - 2 * MARGIN, 1, ab_rule);
    ab_canvas_text(canvas, MARGIN, y, 2, ab_gray, title);
    y += 30;
    for (int first = 1; first <= s->methods; first += band_width(s)) {
        if (!draw_band(canvas, s, first - 1, y)) return false;
        y += HEADING + row_count(s) * (CELL + GAP) + FOOTING;
    }
    return true;
}

static void draw_head(struct ab_canvas *canvas, const struct ab_run *run)
{
    const char *cpu =
        json_string_value(json_object_get(json_object_get(run->context, "cpu"), "model"));
    char text[256];
    snprintf(text, sizeof text, "attribution maps, channels summed; latency of one execution on %s",
             cpu ? cpu : "this CPU");
    ab_sheet_head(canvas, text);
}

static enum ab_status draw(struct ab_run *run, struct sheet *sheets, int count, const char *path,
                           struct ab_error *err)
{
    struct ab_canvas canvas;
    int width = 900, height = 100;
    for (int i = 0; i < count; i++) {
        int w = sheet_width(&sheets[i]) + 2 * MARGIN;
        if (w > width) width = w;
        height += sheet_height(&sheets[i]);
    }
    bool good = ab_canvas_create(&canvas, width, height);
    if (good) draw_head(&canvas, run);
    int y = 100;
    for (int i = 0; good && i < count; i++) {
        good = draw_sheet(&canvas, &sheets[i], y);
        y += sheet_height(&sheets[i]);
    }
    enum ab_status status = good ? ab_png_write(path, width, height, canvas.rgb, err)
                                 : ab_fail(err, AB_ERR_MEMORY, "out of memory for the picture");
    ab_canvas_destroy(&canvas);
    return status;
}

/* ---- single maps, for reports ---- */

/* maps/NNN.png, pixel for pixel, and which they are in the run's context. */
struct singles {
    const char *folder;
    json_t *list; /* of the context */
    size_t pixels;
    float *planes, *work;
    uint8_t *rgb;
};

/* Of all single maps: some eighty of 224 x 224. The sheet has the others. */
static const size_t SINGLE_PIXELS = (size_t)4 << 20;

static enum ab_status write_single(struct singles *o, const struct sheet *s, int i, int m,
                                   struct ab_dims d, struct ab_error *err)
{
    const struct ab_run_model *model = s->setting->model;
    const size_t pixels = (size_t)d.h * (size_t)d.w;
    char file[32], path[1100], target[160];
    for (size_t k = 0; k < pixels; k++)
        for (size_t c = 0; c < 3; c++)
            o->rgb[3 * k + c] =
                (uint8_t)lrintf(255 * fminf(fmaxf(o->planes[c * pixels + k], 0), 1));
    snprintf(file, sizeof file, "maps/%03zu.png", json_array_size(o->list) + 1);
    snprintf(path, sizeof path, "%s/%s", o->folder, file);
    enum ab_status status = ab_png_write(path, d.w, d.h, o->rgb, err);
    if (status != AB_OK) return status;
    ab_target_text(model->targets.items[i % s->targets], &model->source, target, sizeof target);
    json_t *entry = json_pack("{s:s,s:s,s:s,s:s,s:s}", "file", file, "model", model->source.name,
                              "image", model->images.names.items[i / s->targets], "target", target,
                              "backend", s->run->backends[0]);
    if (entry && m >= 0)
        json_object_set_new(entry, "method", json_string(ab_method_spec(s->run->methods[m])));
    json_array_append_new(o->list, entry);
    o->pixels += pixels;
    return AB_OK;
}

/* An image and its maps. */
static enum ab_status write_row(struct singles *o, const struct sheet *s, int i,
                                struct ab_error *err)
{
    struct ab_dims d = s->setting->model->source.dims, e = s->setting->model->map;
    input_planes(s, i, o->planes, o->work);
    enum ab_status status = write_single(o, s, i, -1, d, err);
    for (int m = 0; m < s->methods && status == AB_OK; m++) {
        const float *map = s->maps[i * s->methods + m];
        if (!map) continue;
        if (!ab_heat_planes(map, e, o->planes))
            return ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
        status = write_single(o, s, i, m, e, err);
    }
    return status;
}

static enum ab_status write_sheet(struct singles *o, const struct sheet *s, struct ab_error *err)
{
    struct ab_dims d = s->setting->model->source.dims, e = s->setting->model->map;
    const size_t pixels = (size_t)d.h * (size_t)d.w, others = (size_t)e.h * (size_t)e.w;
    const size_t most = pixels > others ? pixels : others;
    const size_t row = pixels + (size_t)s->methods * others;
    enum ab_status status = AB_OK;
    o->planes = malloc(3 * most * sizeof *o->planes);
    o->work = malloc(image_floats(s) * sizeof *o->work);
    o->rgb = malloc(3 * most);
    if (!o->planes || !o->work || !o->rgb)
        status = ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    for (int i = 0; i < row_count(s) && status == AB_OK && o->pixels + row <= SINGLE_PIXELS; i++)
        status = write_row(o, s, i, err);
    free(o->planes);
    free(o->work);
    free(o->rgb);
    return status;
}

static enum ab_status write_singles(struct ab_run *run, const struct sheet *sheets, int count,
                                    struct ab_error *err)
{
    struct singles o = {.folder = run->store.folder, .list = json_array()};
    char folder[1100];
    snprintf(folder, sizeof folder, "%s/maps", o.folder);
    json_object_set_new(run->context, "maps", o.list);
    if (!o.list || !ab_make_folders(folder))
        return ab_fail(err, AB_ERR_IO, "%s: cannot be written; choose another --out", folder);
    enum ab_status status = AB_OK;
    for (int i = 0; i < count && status == AB_OK; i++) status = write_sheet(&o, &sheets[i], err);
    return status;
}

/* Whether some row of the setting was measured, and with how many threads. */
static bool was_measured(const struct ab_run *run, const struct ab_setting *setting, int *threads)
{
    for (int g = 0; g < run->n_groups; g++) {
        if (run->groups[g].setting != setting || !run->groups[g].measured) continue;
        *threads = run->groups[g].threads;
        return true;
    }
    return false;
}

enum ab_status ab_contact_write(struct ab_run *run, const char *path, struct ab_error *err)
{
    struct sheet *sheets = calloc((size_t)run->n_models, sizeof *sheets);
    if (!sheets) return ab_fail(err, AB_ERR_MEMORY, "out of memory for the picture");
    enum ab_status status = AB_OK;
    int count = 0;
    for (int i = 0; i < run->n_settings && status == AB_OK; i++) {
        struct ab_setting *setting = &run->all_settings[i];
        int threads, images = setting->model->images.count;
        int targets = setting->model->targets.count;
        targets = targets < MAX_ROWS ? targets : MAX_ROWS;
        images = images < MAX_ROWS / targets ? images : MAX_ROWS / targets;
        if (count && sheets[count - 1].setting->model == setting->model) continue;
        if (!was_measured(run, setting, &threads)) continue;
        struct sheet *s = &sheets[count++];
        *s = (struct sheet){.run = run,
                            .setting = setting,
                            .threads = threads,
                            .images = images < MAX_IMAGES ? images : MAX_IMAGES,
                            .targets = targets,
                            .methods = setting->n_methods};
        s->maps = calloc((size_t)(row_count(s) * s->methods), sizeof *s->maps);
        status = s->maps ? compute(s, err) : ab_fail(err, AB_ERR_MEMORY, "out of memory for maps");
    }
    if (status == AB_OK && count) status = draw(run, sheets, count, path, err);
    if (status == AB_OK && count) status = write_singles(run, sheets, count, err);
    for (int i = 0; i < count; i++) sheet_free(&sheets[i]);
    free(sheets);
    return status;
}
