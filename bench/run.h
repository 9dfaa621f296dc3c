// SPDX-License-Identifier: Apache-2.0
// attrbench run, inside: settings (a model at a batch size), groups of rows timed together, rows.
//
//     model -> setting (batch): reference maps, each backend's joint maps and agreement
//              -> group (method, threads): one plan per backend, timed by turns
//                 -> row (backend): a record
#ifndef AB_RUN_H
#define AB_RUN_H

#include "gbench.h"
#include "pin.h"
#include "record.h"
#include "save.h"
#include "source.h"

#include <signal.h>

struct ab_run_settings {
    struct ab_words models, methods, backends, inputs;
    struct ab_counts threads, batches;
    const char *target, *at, *preprocess, *labels, *out, *kernels, *shapes;
    const char *save, *resume, *db;
    double time;
    int algo, memory;     /* enum ab_algo, enum ab_memory */
    int cache, denormals; /* enum ab_cache, enum ab_denormals */
    int pages;            /* enum ab_pages */
    bool json, profile, no_agree, no_joint;
};

/* A model with its images. */
struct ab_run_model {
    struct ab_source source;
    struct ab_preprocess preprocess;
    struct ab_images images;
    struct ab_targets targets;
    int brief;          /* methods of a brief run, the first; 0: all */
    int at;             /* the node that maps are of; 0: the image */
    struct ab_dims map; /* shape of one map of one image */
};

enum { AB_MAX_BACKENDS = 8 };

/* What one backend makes of all methods at once. */
struct ab_joint {
    float **maps;                /* [methods] of [targets][batch][c][h][w], or NULL */
    struct ab_agreement *agreed; /* [methods]: the worst of the targets */
    bool ran;                    /* maps are filled, for the supported methods */
    double seconds;              /* of the execution that filled them */
    bool untimed;                /* left out of a brief run */
    char error[512];
};

struct ab_setting {
    struct ab_run_model *model;
    int n_methods; /* the first of the run's */
    int batch;
    double weight, group_weight; /* rough seconds of judging, and of timing a group */
    float *input;                /* [batch][c][h][w]: the images in turn */
    int *targets;                /* [batch][targets] */
    bool prepared;
    char *supported;      /* [methods]: whether the model can be explained so */
    char (*refused)[256]; /* [methods]: why not */
    double **reference;   /* [methods]: maps of the reference, as in `maps`, or NULL */
    struct ab_joint joint[AB_MAX_BACKENDS];
    char referee_error[512];
    bool reference_untimed;   /* too slow to be timed unasked */
    double reference_seconds; /* of all methods together, 0: not run */
};

struct ab_row;
struct ab_group {
    struct ab_run *run;
    struct ab_setting *setting;
    int method, threads, measured; /* measured: repetitions done */
    struct ab_row *rows;
    int n_rows;
};

struct ab_row {
    struct ab_group *group;
    int backend;         /* index in settings->backends */
    int reported;        /* repetitions handed to Google Benchmark */
    bool done, restored; /* restored: from the store, by --resume */
    struct ab_record record;
};

/* All methods in one plan. */
struct ab_joint_row {
    struct ab_setting *setting;
    int backend; /* index in the run's backends */
    struct ab_record record;
};

struct ab_run {
    const struct ab_run_settings *settings;
    const json_t *words; /* the options as a list, to be given again by --resume */
    const char *backends[AB_MAX_BACKENDS];
    int n_backends;
    struct ab_run_model *models;
    int n_models;
    struct ab_method **methods;
    int n_methods;
    struct ab_setting *all_settings;
    int n_settings;
    struct ab_group *groups;
    int n_groups;
    struct ab_machine machine;
    struct ab_pin *pin;
    json_t *context;
    struct ab_store store;
    struct ab_save save;
    struct ab_db_row *stored; /* of --resume: what there was, in the order it was measured */
    int n_stored;
    struct ab_together *together; /* together.c: the plans of all methods at hand, or NULL */
    struct ab_joint_row *joint;   /* what they took, setting by setting */
    int n_joint;
    bool disagreed, failed;
    bool brief;     /* neither models nor methods were asked for: about a minute */
    double seconds; /* of sampling per group */
    char cache[1024];
    struct ab_error error; /* of the files of the run */
};

/* Set by SIGINT and SIGTERM: finish the sample at hand, keep what is there. */
extern volatile sig_atomic_t ab_interrupted;
void ab_interrupt_catch(void);
/* For the library's hooks: whether ab_interrupted is set. */
bool ab_interrupt_asked(void);

/* Reference, joint maps and agreement; once per setting. Failures land in the setting. */
void ab_setting_prepare(struct ab_run *run, struct ab_setting *setting);
void ab_setting_free(struct ab_setting *setting);
/* What a method alone made of the setting's images with backend `b`, judged: from the joint maps if
 * they are equal bit by bit, on its own otherwise. */
void ab_setting_judge(struct ab_run *run, struct ab_setting *setting, int b, int method,
                      int threads, const float *map, struct ab_agreement *result);

/* Options of the plans that the run makes of a setting on backend `b`. */
struct ab_plan_options ab_run_plan_options(const struct ab_run *run,
                                           const struct ab_setting *setting, int b, int threads);

/* How threads treat subnormal numbers where executions are timed and judged (`on`), as the user
 * asked; elsewhere as IEEE 754 does. Of the calling thread and threads - 1 workers. */
void ab_run_denormals(const struct ab_run *run, bool on, int threads);
/* Evicts the caches of the cores that `threads` run on: `before` of a cold ab_local. */
void ab_run_evict(const struct ab_run *run, int threads);
/* Makes what --cache cold needs, and tells what it does there and in the context. */
enum ab_status ab_run_check_cold(const struct ab_run *run, struct ab_error *err);
/* What the samples of the run are taken under, into a record. */
void ab_run_conditions(const struct ab_run *run, struct ab_record *r);

/* Floats of one target's maps of a setting, and of all of one method's. */
size_t ab_setting_map_count(const struct ab_setting *setting);
size_t ab_setting_maps_count(const struct ab_setting *setting);
/* Fills maps[targets] with the starts of each target's in `all`. */
void ab_setting_split(const struct ab_setting *setting, float *all, float **maps);

/* Whether the row is left out: the reference of a large model, not asked for. */
bool ab_row_untimed(const struct ab_row *row);

/* Times a group by turns; appends to its rows' samples and stores their records. */
void ab_group_measure(struct ab_group *group);

/* All methods in one plan: a sample on each backend beside the group's own, until another setting
 * or number of threads begins; then, and at the end of the run (`finish`), a record of kind
 * "joint". */
void ab_together_sample(struct ab_group *group, const char *pinned);
void ab_together_finish(struct ab_run *run);
void ab_together_print(FILE *f, const struct ab_run *run);
/* The methods that the setting's model supports; free() it. NULL: out of memory. */
const struct ab_method **ab_supported_methods(const struct ab_run *run,
                                              const struct ab_setting *setting, int *count);

/* Bytes of every operand and weight of a step, each once: what must move if nothing is cached. */
double ab_step_bytes(const struct ab_plan *plan, const struct ab_step *step);

/* What a plan is and does, into a record: kernels, isa, flops, bytes, peak, memory. */
void ab_record_plan(struct ab_record *r, const struct ab_plan *plan, int threads);

/* Measures what the settings ask for; argv: Google Benchmark's flags. Returns the exit code. */
int ab_run_measure(const struct ab_run_settings *settings, const json_t *words, int argc,
                   char **argv);
/* The same for the options that the run of --resume was begun with. */
int ab_run_resume(const struct ab_run_settings *settings, int argc, char **argv);

/* Opens where rows go: results.jsonl in --out, and the run of --save or --resume in the store,
 * whose rows are brought back into the groups that they are of. */
enum ab_status ab_run_open_files(struct ab_run *run, struct ab_error *err);
/* Writes results.json and, unless interrupted, finishes the run in the store. */
enum ab_status ab_run_close_files(struct ab_run *run, struct ab_error *err);
/* Tells on `talk` what was saved. Returns `code`, or AB_EXIT_ERROR if the store has not all. */
int ab_run_tell_saved(const struct ab_run *run, FILE *talk, int code);
/* Fills groups and joint rows from `stored`; what is complete is not measured again. */
enum ab_status ab_run_restore(struct ab_run *run, struct ab_error *err);
/* Every row of the group was brought back. */
bool ab_group_restored(const struct ab_group *group);

/* ---- what the user sees ---- */

/* Progress on stderr: one line that changes on a terminal, plain lines elsewhere. `weights` are
 * rough seconds of work, to be scaled by what has happened. */
void ab_progress_start(double total, bool quiet);
void ab_progress_step(double done, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ab_progress_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Takes the line off the terminal, before something else is printed. */
void ab_progress_clear(void);
void ab_progress_end(void);

void ab_table_print(FILE *f, const struct ab_run *run);
/* Steps of one more execution of each plan of the group, and their records. */
enum ab_status ab_profile_group(struct ab_group *group, FILE *f, struct ab_error *err);
/* The same of a plan of all methods. */
enum ab_status ab_profile_joint(struct ab_run *run, const struct ab_joint_row *row, FILE *f,
                                struct ab_error *err);
/* maps.png: heat maps of every method side by side. */
enum ab_status ab_contact_write(struct ab_run *run, const char *path, struct ab_error *err);
int ab_run_kernels(struct ab_run *run);

/* "1.23 ms", "45.6 us" with three digits. */
const char *ab_time_text(double ns, char *text, size_t size);

#endif
