// SPDX-License-Identifier: Apache-2.0
// The values that the knobs of a deployment can have on a machine, and which of them are asked for.
#include "tune_inside.h"

#include "simd/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A batch beyond it is a mistake: images of one execution share an arena. */
enum { MOST_BATCH = 1024 };

static const char *const knob_names[AB_KNOBS] = {"engine", "algo",  "memory", "shape",
                                                 "batch",  "place", "pages",  "denormals"};
/* Knobs of a few words, each in the order of its enumeration, the default first. */
static const struct {
    const char *const *of;
    int count;
} words[AB_KNOBS] = {[AB_KNOB_ALGO] = {ab_algo_words, 2},
                     [AB_KNOB_MEMORY] = {ab_memory_words, 2},
                     [AB_KNOB_PLACE] = {ab_place_words, 3},
                     [AB_KNOB_PAGES] = {ab_pages_words, 2},
                     [AB_KNOB_DENORMALS] = {ab_denormals_words, 2}};

/* Names that --space knows beside the knobs: they narrow the shapes. */
enum { THREADS = AB_KNOBS, INSTANCES, NAMES };

/* What --space asks for; NULL: nothing. */
struct wishes {
    const char *of[NAMES];
};

const char *ab_knob_name(enum ab_knob knob)
{
    return knob_names[knob];
}

static const char *name_of(int i)
{
    return i == THREADS ? "threads" : i == INSTANCES ? "instances" : knob_names[i];
}

/* "a, b, c" */
static void list_values(const struct ab_knob_values *v, char *text, size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (int i = 0; i < v->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", v->text[i]);
}

static bool has(const struct ab_knob_values *v, const char *value)
{
    for (int i = 0; i < v->count; i++)
        if (!strcmp(v->text[i], value)) return true;
    return false;
}

static bool add(struct ab_knob_values *v, const char *value)
{
    if (has(v, value)) return true;
    if (v->count == AB_KNOB_VALUES) return false;
    snprintf(v->text[v->count++], sizeof v->text[0], "%s", value);
    return true;
}

/* ---- what is asked for ---- */

static enum ab_status read_wish(const char *text, struct wishes *w, struct ab_error *err)
{
    const char *equals = strchr(text, '=');
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    for (int i = 0; i < NAMES; i++) {
        const char *name = name_of(i);
        if (strlen(name) != length || strncmp(name, text, length) != 0) continue;
        if (!equals || !equals[1])
            return ab_fail(err, AB_ERR_ARG, "--space %s: name its values: %s=V,V", text, name);
        if (w->of[i])
            return ab_fail(err, AB_ERR_ARG,
                           "--space %s: %s is named twice; name all its values in one %s=V,V", text,
                           name, name);
        w->of[i] = equals + 1;
        return AB_OK;
    }
    char word[64];
    const char *all[NAMES];
    for (int i = 0; i < NAMES; i++) all[i] = name_of(i);
    snprintf(word, sizeof word, "%.*s", (int)(length < 60 ? length : 60), text);
    const char *near = ab_nearest(word, all, NAMES);
    return ab_fail(
        err, AB_ERR_ARG,
        "--space %s: no such knob%s%s%s; there are engine, algo, memory, shape, threads, "
        "instances, batch, place, pages, denormals",
        text, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* The next of "a,b,c" into `value`; NULL: that was the last. */
static const char *next_value(const char *list, char value[32])
{
    if (!*list) return NULL;
    const size_t length = strcspn(list, ",");
    snprintf(value, 32, "%.*s", (int)length, list);
    return list + length + (list[length] == ',');
}

static enum ab_status refuse(struct ab_error *err, int name, const char *value,
                             const struct ab_knob_values *can, const char *why)
{
    char text[300];
    list_values(can, text, sizeof text);
    return ab_fail(err, AB_ERR_ARG, "--space %s=%s: %s; %s can be %s", name_of(name), value, why,
                   name_of(name), text);
}

/* Those of `can` that the list names, in the order of `can`. */
static enum ab_status choose(int name, const char *list, const struct ab_knob_values *can,
                             const char *why, struct ab_knob_values *v, struct ab_error *err)
{
    char value[32];
    struct ab_knob_values asked = {.count = 0};
    for (const char *at = list; (at = next_value(at, value)) != NULL;) {
        if (!has(can, value)) return refuse(err, name, value, can, why);
        add(&asked, value);
    }
    v->count = 0;
    for (int i = 0; i < can->count; i++)
        if (has(&asked, can->text[i])) add(v, can->text[i]);
    return AB_OK;
}

/* ---- engines ---- */

static bool have_onednn(void)
{
    int count;
    const struct ab_backend_info *b = ab_backends(&count);
    for (int i = 0; i < count; i++)
        if (!strcmp(b[i].name, "onednn")) return true;
    return false;
}

/* The best first. What a compiler makes of plain loops is offered only where nothing else is. */
static void engines(const struct ab_site *site, struct ab_knob_values *offer,
                    struct ab_knob_values *can)
{
    char text[32];
    for (int isa = AB_ISA_COUNT - 1; isa > AB_ISA_plain; isa--) {
        if (!(site->isas >> isa & 1)) continue;
        snprintf(text, sizeof text, "native:%s", ab_isa_name((enum ab_isa)isa));
        add(offer, text);
    }
    if (!offer->count) add(offer, "native:plain");
    *can = *offer;
    add(can, "native:plain");
    if (have_onednn()) add(offer, "onednn"), add(can, "onednn");
}

static enum ab_status choose_engines(const char *list, const struct ab_site *site,
                                     struct ab_knob_values *v, struct ab_error *err)
{
    struct ab_knob_values offer = {.count = 0}, can = {.count = 0};
    char value[32], plain[AB_KNOB_VALUES * 33] = "";
    size_t used = 0;
    engines(site, &offer, &can);
    *v = offer;
    if (!list) return AB_OK;
    /* "native" is the best of them. */
    for (const char *at = list; (at = next_value(at, value)) != NULL && used < sizeof plain - 34;)
        used += (size_t)snprintf(plain + used, sizeof plain - used, "%s%s", used ? "," : "",
                                 strcmp(value, "native") != 0 ? value : offer.text[0]);
    return choose(AB_KNOB_ENGINE, plain, &can, "not of this CPU or this build", v, err);
}

/* ---- numbers ---- */

struct numbers {
    int of[AB_KNOB_VALUES], count;
};

static bool listed(const struct numbers *n, int value)
{
    for (int i = 0; i < n->count; i++)
        if (n->of[i] == value) return true;
    return false;
}

static bool read_number(const char *text, int most, int *value)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    const long v = strtol(text, &end, 10);
    *value = (int)v;
    return !*end && v >= 1 && v <= most;
}

/* Ascending. `limit`: why there can be no more than `most`. */
static enum ab_status read_numbers(int name, const char *list, int most, const char *limit,
                                   struct numbers *n, struct ab_error *err)
{
    char value[32];
    for (const char *at = list; (at = next_value(at, value)) != NULL;) {
        int number;
        if (!read_number(value, most, &number))
            return ab_fail(err, AB_ERR_ARG,
                           "--space %s=%s: %s; name whole numbers from 1 to %d, such as %s=1%s",
                           name_of(name), value, limit, most, name_of(name), most > 1 ? ",2" : "");
        if (listed(n, number)) continue;
        if (n->count == AB_KNOB_VALUES)
            return ab_fail(err, AB_ERR_ARG, "--space %s=%s: too many values; name %d at most",
                           name_of(name), list, AB_KNOB_VALUES);
        int at_place = n->count++;
        for (; at_place > 0 && n->of[at_place - 1] > number; at_place--)
            n->of[at_place] = n->of[at_place - 1];
        n->of[at_place] = number;
    }
    return AB_OK;
}

static enum ab_status choose_batches(const char *list, struct ab_knob_values *v,
                                     struct ab_error *err)
{
    struct numbers n = {{1, 2, 4, 8}, 4};
    if (list) {
        n.count = 0;
        enum ab_status status = read_numbers(AB_KNOB_BATCH, list, MOST_BATCH,
                                             "no number of images of one execution", &n, err);
        if (status != AB_OK) return status;
    }
    for (int i = 0; i < n.count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d", n.of[i]);
        add(v, text);
    }
    return AB_OK;
}

/* ---- shapes ---- */

/* Powers of two, the whole, and what is left for each thread or instance of the other. */
static bool usual(int number, int other, int usable)
{
    return (number & (number - 1)) == 0 || number == usable || number == usable / other;
}

/* Of machines so large that shapes do not fit: first those go that neither use all CPUs nor are of
 * one thread or instance. */
static bool kept(int thinning, int t, int i, int usable)
{
    if (thinning == 0 || t == 1 || i == 1) return true;
    if (thinning == 1) return i == usable / t || t == usable / i;
    return thinning == 2 && i == usable / t && (t & (t - 1)) == 0;
}

static bool put_shapes(const struct numbers *threads, const struct numbers *instances, int usable,
                       int thinning, struct ab_knob_values *v)
{
    char text[32];
    v->count = 0;
    for (int count = 1; count <= usable; count++)
        for (int i = 1; i <= count; i++) {
            const int t = count / i;
            if (t * i != count || !kept(thinning, t, i, usable)) continue;
            if (threads->count ? !listed(threads, t) : !usual(t, i, usable)) continue;
            if (instances->count ? !listed(instances, i) : !usual(i, t, usable)) continue;
            snprintf(text, sizeof text, "%dx%d", t, i);
            if (!add(v, text)) return false;
        }
    return true;
}

static enum ab_status shapes_by_numbers(const struct wishes *w, const struct ab_site *site,
                                        struct ab_knob_values *v, struct ab_error *err)
{
    const int usable = ab_site_usable(site);
    struct numbers threads = {.count = 0}, instances = {.count = 0};
    char say[160], limit[200];
    ab_site_say(site, say, sizeof say);
    snprintf(limit, sizeof limit, "not with %s", say);
    enum ab_status status = AB_OK;
    if (w->of[THREADS])
        status = read_numbers(THREADS, w->of[THREADS], usable, limit, &threads, err);
    if (status == AB_OK && w->of[INSTANCES])
        status = read_numbers(INSTANCES, w->of[INSTANCES], usable, limit, &instances, err);
    if (status != AB_OK) return status;
    for (int thinning = 0; thinning < 4; thinning++)
        if (put_shapes(&threads, &instances, usable, thinning, v)) break;
    if (!v->count)
        return ab_fail(err, AB_ERR_ARG,
                       "--space threads=%s, instances=%s: every pair needs more than there are: "
                       "%s; name smaller numbers",
                       w->of[THREADS] ? w->of[THREADS] : "any",
                       w->of[INSTANCES] ? w->of[INSTANCES] : "any", say);
    return AB_OK;
}

/* As put_shapes orders them: fewer CPUs first, then fewer instances. */
static int by_size(const void *left, const void *right)
{
    struct ab_deploy a = {0}, b = {0};
    ab_knob_set(&a, AB_KNOB_SHAPE, left);
    ab_knob_set(&b, AB_KNOB_SHAPE, right);
    const int more = a.threads * a.instances - b.threads * b.instances;
    return more ? more : a.instances - b.instances;
}

static enum ab_status choose_shapes(const struct wishes *w, const struct ab_site *site,
                                    struct ab_knob_values *v, struct ab_error *err)
{
    const char *list = w->of[AB_KNOB_SHAPE];
    const int usable = ab_site_usable(site);
    char value[32], say[160];
    if (!list) return shapes_by_numbers(w, site, v, err);
    if (w->of[THREADS] || w->of[INSTANCES])
        return ab_fail(err, AB_ERR_ARG,
                       "--space shape=%s: names threads and instances already; "
                       "take threads= and instances= away",
                       list);
    ab_site_say(site, say, sizeof say);
    for (const char *at = list; (at = next_value(at, value)) != NULL;) {
        char *x = strchr(value, 'x'), text[32];
        int t, i;
        if (x) *x = '\0';
        const bool good = x && read_number(value, AB_DEPLOY_MAX_CPUS, &t) &&
                          read_number(x + 1, AB_DEPLOY_MAX_CPUS, &i);
        if (x) *x = 'x';
        if (!good)
            return ab_fail(err, AB_ERR_ARG,
                           "--space shape=%s: not THREADSxINSTANCES, such as 2x1 for two threads "
                           "of one instance",
                           value);
        if (t * i > usable)
            return ab_fail(err, AB_ERR_ARG, "--space shape=%s: needs %d CPUs, but there are %s",
                           value, t * i, say);
        snprintf(text, sizeof text, "%dx%d", t, i);
        if (!add(v, text))
            return ab_fail(err, AB_ERR_ARG, "--space shape=%s: too many values; name %d at most",
                           list, AB_KNOB_VALUES);
    }
    qsort(v->text, (size_t)v->count, sizeof v->text[0], by_size);
    return AB_OK;
}

/* ---- knobs of words ---- */

static bool have_siblings(const struct ab_site *site)
{
    for (int i = 1; i < site->n_cpus; i++)
        if (site->core[i] == site->core[i - 1]) return ab_site_usable(site) > 1;
    return false;
}

static enum ab_status choose_words(enum ab_knob knob, const char *list, const struct ab_site *site,
                                   struct ab_knob_values *v, struct ab_error *err)
{
    struct ab_knob_values can = {.count = 0};
    const bool place = knob == AB_KNOB_PLACE, siblings = have_siblings(site);
    for (int i = 0; i < words[knob].count; i++)
        if (!place || i != AB_PLACE_SMT || siblings) add(&can, words[knob].of[i]);
    *v = can;
    if (!list) return AB_OK;
    const char *why = place && !siblings ? "no core has two hardware threads that may be kept busy"
                                         : "no such value";
    return choose((int)knob, list, &can, why, v, err);
}

enum ab_status ab_knob_offer(const struct ab_words *narrowing, const struct ab_site *site,
                             struct ab_knob_values knobs[AB_KNOBS], bool named[AB_KNOBS],
                             struct ab_error *err)
{
    struct wishes w = {{NULL}};
    enum ab_status status = AB_OK;
    for (int i = 0; narrowing && i < narrowing->count && status == AB_OK; i++)
        status = read_wish(narrowing->items[i], &w, err);
    for (int k = 0; k < AB_KNOBS && status == AB_OK; k++) {
        struct ab_knob_values *v = &knobs[k];
        *v = (struct ab_knob_values){.count = 0};
        named[k] = w.of[k] || (k == AB_KNOB_SHAPE && (w.of[THREADS] || w.of[INSTANCES]));
        if (k == AB_KNOB_ENGINE)
            status = choose_engines(w.of[k], site, v, err);
        else if (k == AB_KNOB_SHAPE)
            status = choose_shapes(&w, site, v, err);
        else if (k == AB_KNOB_BATCH)
            status = choose_batches(w.of[k], v, err);
        else
            status = choose_words((enum ab_knob)k, w.of[k], site, v, err);
    }
    return status;
}

/* The place of `value` among the knob's words; 0, the default, if it is none. */
static int word_of(enum ab_knob knob, const char *value)
{
    for (int i = 0; i < words[knob].count; i++)
        if (!strcmp(words[knob].of[i], value)) return i;
    return 0;
}

void ab_knob_set(struct ab_deploy *d, enum ab_knob knob, const char *value)
{
    const int word = word_of(knob, value);
    switch (knob) {
    case AB_KNOB_ENGINE: snprintf(d->backend, sizeof d->backend, "%s", value); break;
    case AB_KNOB_ALGO: d->algo = (enum ab_algo)word; break;
    case AB_KNOB_MEMORY: d->memory = (enum ab_memory)word; break;
    case AB_KNOB_SHAPE: {
        const char *x = strchr(value, 'x');
        d->threads = (int)strtol(value, NULL, 10);
        d->instances = x ? (int)strtol(x + 1, NULL, 10) : 1;
        break;
    }
    case AB_KNOB_BATCH: d->batch = (int)strtol(value, NULL, 10); break;
    case AB_KNOB_PLACE: d->place = (enum ab_place)word; break;
    case AB_KNOB_PAGES: d->pages = (enum ab_pages)word; break;
    case AB_KNOB_DENORMALS: d->denormals = (enum ab_denormals)word; break;
    case AB_KNOBS: break;
    }
}
