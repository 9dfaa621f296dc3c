// SPDX-License-Identifier: Apache-2.0
// attrbench theory, inside: what an experiment is given, what it hands back, and what helps it.
//
// To write an experiment: one file bench/theory_<symbol>.c that defines
//
//     const struct ab_experiment ab_experiment_<symbol> = {
//         .name = "class", .question = "Do maps of two classes differ?", .seconds = 5, .run = run};
//
// and one line in theory.def. `run` gets a subject (a network, images, what is explained, methods)
// and an empty result. It computes, reports progress, and fills the result with tables, plots,
// notes and, last of all, verdicts; it prints nothing and writes no file. The command renders the
// result as text on stdout, as SVG files, and as an entry of theory.json, as soon as `run` returns.
//
//     static enum ab_status run(const struct ab_subject *s, struct ab_result *r,
//                               struct ab_error *err)
//     {
//         struct ab_maps maps;
//         enum ab_status status = ab_maps_make(s, NULL, s->methods, s->n_methods, s->targets,
//                                              &maps, err);
//         ...
//         struct ab_table *t = ab_result_table(r, "methods", "Cosine of maps of two classes",
//                                              "method", "mean|sd");
//         for (int m = 0; m < s->n_methods; m++) {
//             double cells[] = {mean[m], sd[m]};
//             ab_table_row(t, ab_subject_label(s, m), cells, 3, "a map is zero");
//         }
//         ab_result_verdict(r, AB_CLAIM_EXPECTED, gbp > 0.9, "cosine of guided-backprop", gbp,
//                           "maps of guided-backprop hardly depend on the class");
//         ab_maps_free(&maps);
//         return status;
//     }
//
// Rules:
// * Deterministic: random numbers come from ab_normal and ab_uniform with a seed made by
//   ab_subject_seed from the run's seed and a word of the experiment's own. Results must not depend
//   on the number of threads: divide work by images, and add up in their order.
// * What cannot be computed is NaN; say why (`why` of a row). Never 0, never left out silently.
// * Return early, with AB_OK, when ab_result_progress returns false (Ctrl-C). A result without a
//   verdict counts as unfinished and is dropped.
// * An error (return value and err) ends this experiment alone: the next one runs, and the command
//   exits with 1. What a network or a tier merely cannot show is a note, or a method left out with
//   a note, not an error.
#ifndef AB_BENCH_THEORY_H
#define AB_BENCH_THEORY_H

#include "plot.h"
#include "source.h"

#include "model/graph.h"
#include "plan/plan.h"

/* ---- what an experiment is given ---- */

/* How maps are prepared before they are compared (randomisation): the sums of their channels as
 * they are; their absolute values; signed, clipped at the 99.5th percentile of the absolute values.
 * Each is then divided by its largest absolute value. */
enum ab_normalise { AB_NORMALISE_SIGNED, AB_NORMALISE_ABS, AB_NORMALISE_CLIP };

/* Which class of a network with redrawn weights is explained, and where the weights come from: each
 * time newly drawn, or copied layer by layer from one second network. */
enum ab_explained { AB_EXPLAIN_ORIGINAL, AB_EXPLAIN_RANDOMISED };
enum ab_redrawn { AB_REDRAW_FRESH, AB_REDRAW_SECOND };

struct ab_theory_options {
    uint64_t seed;
    int threads;         /* for plans, and for loops over images */
    const char *backend; /* NULL: native */
    enum ab_explained explained;
    enum ab_normalise normalise;
    enum ab_redrawn redrawn;
};

/* A network with images. Everything is read-only. */
struct ab_subject {
    struct ab_theory_options options;
    const char *name; /* "synthetic", "digits", or the model as the user wrote it */
    bool trained;     /* its weights were learned: a file, not a built-in network */
    bool synthetic;   /* the images are noise with a 1/f spectrum, not pictures */
    const struct ab_graph *graph;
    struct ab_dims dims; /* of an image */
    size_t image;        /* dims.c * dims.h * dims.w */
    int classes;
    int n;                    /* images, at least 1 */
    const float *images;      /* [n][c][h][w], as the network takes them */
    const char *const *names; /* [n], of images */
    const int *targets;       /* [n]: the class that the network ranks first */
    const int *labels;        /* [n]: the true class; NULL: not known */
    /* What --method asks for, or the usual ones (those of them that suit the network). Of the usual
     * ones, rectgrad does not multiply by the image (input_mul=0), and z+, alpha-beta and DTD start
     * from 1 (seed=one). */
    const struct ab_method *const *methods;
    int n_methods;
    bool methods_given; /* by --method: do not add others */
};

/* A seed of its own for each purpose: by the run's seed and `word`. */
uint64_t ab_subject_seed(const struct ab_subject *s, const char *word);

/* What tables and plots call method `method` of the subject. Lives as long as the subject. */
const char *ab_subject_label(const struct ab_subject *s, int method);

/* Kinds of methods by their rules: whether a map is a relevance (shared in proportion, compared
 * with |x|) or a gradient-like signal (compared with x). */
bool ab_method_is_relevance(const struct ab_method *method);

/* The CONV and DENSE nodes, from the image to the logits; returns how many. nodes: [graph->n_nodes]
 */
int ab_linear_nodes(const struct ab_graph *graph, int *nodes);

/* ---- what it hands back ---- */

struct ab_result;

/* `done`: the share of the experiment finished since the last call (all calls together: 1). False:
 * the user has interrupted, return. */
bool ab_result_progress(struct ab_result *r, double done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Texts are copied; `id` is a short word, unique in the experiment: part of file names and keys of
 * the JSON. None of these fails: memory that runs out is reported when the result is rendered. */

/* columns: names of the numbers of a row, separated by '|', each another one; first: what the rows
 * are, "method". */
struct ab_table *ab_result_table(struct ab_result *r, const char *id, const char *title,
                                 const char *first, const char *columns);
/* One number a column. `digits` after the point; negative: that many significant ones. `why`: the
 * reason if a value is NaN (NULL: "not defined here"). */
void ab_table_row(struct ab_table *t, const char *label, const double *values, int digits,
                  const char *why);

/* The file is <experiment>-<id>.svg. Owned by the result. */
struct ab_plot *ab_result_plot(struct ab_result *r, const char *id, const char *title);

/* A line for the reader: a caution, what was left out and why. */
void ab_result_note(struct ab_result *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* EXACT: mathematics, must hold but for the stated tolerance; the command exits with 6 if it does
 * not. EXPECTED: an observation of the literature that this run shows or does not show. */
enum ab_claim { AB_CLAIM_EXACT, AB_CLAIM_EXPECTED };
/* Closing lines: what theory predicts (the format: one sentence, present tense, no full stop),
 * whether this run shows it, and the size of the effect: one number with its name. */
void ab_result_verdict(struct ab_result *r, enum ab_claim claim, bool shown, const char *effect,
                       double size, const char *format, ...) __attribute__((format(printf, 6, 7)));

struct ab_experiment {
    const char *name;     /* for --experiment, file names and JSON: lower case, no blanks */
    const char *question; /* one line */
    double seconds;       /* on the synthetic tier with 16 images, roughly: weighs its progress */
    enum ab_status (*run)(const struct ab_subject *s, struct ab_result *r, struct ab_error *err);
};

#define AB_EXPERIMENT(symbol) extern const struct ab_experiment ab_experiment_##symbol;
#include "theory.def"
#undef AB_EXPERIMENT

const struct ab_experiment *const *ab_experiments(int *count);

/* ---- running plans ---- */

/* A plan that takes any number of images, in batches of its own size. Keep one where the same
 * network is executed often. */
struct ab_runner;
struct ab_runner_spec {
    const struct ab_graph *graph; /* NULL: the subject's */
    const struct ab_method *const *methods;
    int n_methods;               /* 0: logits alone, one forward pass */
    int batch;                   /* 0: 8 */
    struct ab_plan_options plan; /* backend and threads are the subject's, batch as above; the rest
                                    (retain, ...) as given */
};
enum ab_status ab_runner_create(const struct ab_subject *s, const struct ab_runner_spec *spec,
                                struct ab_runner **runner, struct ab_error *err);
void ab_runner_destroy(struct ab_runner **runner);
/* images: [n][c][h][w]; targets: [n] or NULL (top); maps: n_methods pointers to [n][c][h][w], or
 * NULL; logits: [n][classes] or NULL. */
enum ab_status ab_runner_execute(struct ab_runner *runner, const float *images, int n,
                                 const int *targets, float *const *maps, float *logits,
                                 struct ab_error *err);
struct ab_plan *ab_runner_plan(struct ab_runner *runner); /* to look inside after a batch */

/* Maps and logits of all images of the subject. */
struct ab_maps {
    int n_methods, n;
    size_t image;
    float **map;   /* [n_methods] of [n][c][h][w] */
    float *logits; /* [n][classes] */
};
/* graph NULL: the subject's; another one has the same shapes. On failure there is nothing to free.
 */
enum ab_status ab_maps_make(const struct ab_subject *s, const struct ab_graph *graph,
                            const struct ab_method *const *methods, int n_methods,
                            const int *targets, struct ab_maps *maps, struct ab_error *err);
void ab_maps_free(struct ab_maps *maps);
/* Map of method m and image i. */
const float *ab_maps_at(const struct ab_maps *maps, int m, int i);

/* Copies `graph` with the linear layers redrawn for which `redraw[node]` is set (NULL: all), each
 * from the seed and its name. HE: normal, variance 2 / inputs. ORTHOGONAL: rows (or, where there
 * are more rows than inputs, columns) orthonormal, times sqrt(2). Biases become 0. */
enum ab_init { AB_INIT_HE, AB_INIT_ORTHOGONAL };
enum ab_status ab_graph_redraw(const struct ab_graph *graph, const bool *redraw, enum ab_init init,
                               uint64_t seed, struct ab_graph **copy, struct ab_error *err);

/* rows x columns normal numbers, row by row, made orthonormal: the rows, or where there are more of
 * them, the columns. */
void ab_draw_orthonormal(double *matrix, size_t rows, size_t columns, uint64_t seed);

/* ---- comparing maps ---- */

/* All of maps [c][h][w]: NaN where a map is zero or constant. Cosine over all elements; the others
 * over the sums of the channels. ssim: 2-D, 7x7 windows, the larger of both signs of one map. */
struct ab_likeness {
    double cosine, spearman, spearman_abs, ssim;
};
enum ab_status ab_likeness_of(const float *a, const float *b, struct ab_dims dims,
                              enum ab_normalise normalise, struct ab_likeness *likeness,
                              struct ab_error *err);

/* Sums of the channels: [h][w]. */
void ab_channel_sums(const float *map, struct ab_dims dims, double *sums);

/* ---- statistics over images ---- */

/* NaN values are left out and not counted. low, high: 95 % interval of the mean by bootstrap (2000
 * resamples), NaN below 2 values. */
struct ab_spread {
    int count;
    double mean, sd, median, low, high;
};
struct ab_spread ab_spread_of(const double *values, int count, uint64_t seed);

/* ---- the synthetic tier, also for tests ---- */

/* A VGG-like network: 8 convolutions 3x3 (32 32 | 64 64 | 128 128 | 256 256, max-pools between) and
 * 2 dense layers, 10 classes, He-initialised, no biases; images of `dims` whose amplitude falls as
 * 1/f, every channel of mean 0 and standard deviation 1. */
enum ab_status ab_synthetic_graph(uint64_t seed, struct ab_graph **graph, struct ab_error *err);
enum ab_status ab_synthetic_images(uint64_t seed, struct ab_dims dims, int n, float *images,
                                   struct ab_error *err);

#endif
