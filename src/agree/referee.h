// SPDX-License-Identifier: Apache-2.0
// Inside the referee: decisions of an execution, the rounding error that a unit can have, flips.
#ifndef AB_REFEREE_H
#define AB_REFEREE_H

#include "agree/agree.h"

/* The decisions of one execution: per value id, as ab_plan_force takes them, or NULL where the
 * value is no decision or does not exist in that backend; the class that each target stood for, and
 * the highest of the others, which a contrasting seed may take. */
struct ab_decisions {
    int n_values;
    void **of;
    int *target, *rival; /* [batch][targets] */
};

struct ab_referee {
    struct ab_method *methods;
    int n_methods, n_targets, batch;
    float *input;
    int *targets; /* [batch][n_targets], as asked: a class, or the rank of one */
    uint64_t at;  /* of the layer whose signal the maps are: a hash of its name; 0: the image */
    struct ab_plan *plan;
    struct ab_decisions own;
    double *maps;  /* [method][target][batch] of the plan's map dims, which are the same for all */
    bool *depends; /* [method][target][value id]: the map is computed from it */
    struct ab_sampled_part
        *sampled; /* sampled.c: the other methods; all above is of single passes */
};

size_t ab_referee_map_count(const struct ab_referee *referee); /* doubles of one map, all images */
int ab_referee_outputs(const struct ab_referee *referee);      /* maps: n_methods * n_targets */
/* Whether map number `map` depends on the choice of a rival. */
bool ab_referee_has_rival(const struct ab_referee *referee, int map);

/* ---- referee.c, judge.c: methods of a single pass ---- */

/* What the reference computes from: equal hashes, equal maps. `sources`: what it is itself, which
 * is another thing in each build whose library is another: ab_referee_sources(). */
uint64_t ab_referee_hash(const struct ab_referee *referee, const char *sources);
const char *ab_referee_sources(void);
/* A referee that has computed nothing yet: no own maps and decisions. */
enum ab_status ab_referee_blank(const struct ab_graph *graph, const struct ab_judged *judged,
                                int threads, struct ab_referee **referee, struct ab_error *err);
/* As ab_referee_create, _destroy, _map and _judge, but there may be no method. */
enum ab_status ab_referee_single(const struct ab_graph *graph, const struct ab_judged *judged,
                                 int threads, const char *cache_dir, struct ab_referee **referee,
                                 struct ab_error *err);
void ab_referee_single_destroy(struct ab_referee **referee);
const double *ab_referee_single_map(const struct ab_referee *referee, int map);
enum ab_status ab_referee_judge_single(struct ab_referee *referee, const struct ab_plan *plan,
                                       struct ab_agreement *results, struct ab_error *err);
/* Runs the reference with what `plan` decided in its last execution on the referee's input and
 * targets, and adds to results[n_methods * n_targets] the flips. The reference's maps can be peeked
 * at afterwards. */
enum ab_status ab_referee_follow(const struct ab_referee *referee, const struct ab_plan *plan,
                                 struct ab_agreement *results, struct ab_error *err);
/* Marks value `id` and all that it is computed from: needed[n_values]. */
void ab_referee_mark(const struct ab_program *program, int id, bool *needed);
struct ab_flips;
/* The flips of the choice of classes in the plan's last execution: choices[n_targets]. */
enum ab_status ab_referee_check_choices(const struct ab_referee *referee,
                                        const struct ab_plan *plan, struct ab_flips *choices,
                                        struct ab_error *err);

/* ---- decisions.c ---- */

bool ab_decisions_alloc(const struct ab_program *program, int batch, struct ab_decisions *d);
void ab_decisions_free(struct ab_decisions *d);
/* Bytes of one decision: 1, or 2 for switches. */
size_t ab_decision_size(const struct ab_value *value);
/* Reads what `plan` decided in its last execution, for which `targets` were asked. On failure d is
 * empty. */
enum ab_status ab_decisions_read(const struct ab_plan *plan, const int *targets,
                                 struct ab_decisions *d, struct ab_error *err);
/* Whether the decisions of value `id` are in both and differ. */
bool ab_decisions_differ(const struct ab_plan *plan, int id, const struct ab_decisions *a,
                         const struct ab_decisions *b);
/* Whether [batch][targets] choices of a class differ for target t. */
bool ab_choices_differ(const struct ab_plan *plan, int t, const int *a, const int *b);

/* ---- adopt.c ---- */

/* Elements of denominators that are too near zero for rounding to leave a quotient, by value id. */
struct ab_adoption {
    int n_values;
    struct ab_adopted **of;
    size_t *count;
};

/* Lists those of the last execution of `plan`, under judgement, for the divisions of `program`, the
 * reference's, whose results are in `needed` ([n_values]). On failure `a` is empty. */
enum ab_status ab_adoption_find(const struct ab_plan *plan, const struct ab_program *program,
                                const bool *needed, struct ab_adoption *a, struct ab_error *err);
void ab_adoption_free(struct ab_adoption *a);

/* ---- bounds.c ---- */

struct ab_unit {
    int n, c, y, x;
};

/* Looks at the values of a reference plan's last execution. */
struct ab_look {
    const struct ab_plan *plan;
    struct ab_view_f64 *view; /* by value id */
    int *depth; /* by value id: linear layers in a row that rounding has passed through */
    double *amplification; /* by value id: ab_kernel_amplification of the judged plan's kernel */
    bool transformed;      /* grant errors that a transforming kernel spreads over its tiles */
    bool inherited;        /* add up what linear layers' operands bring along, instead of depth */
    bool whole;            /* such errors of an image's whole value at once, without a limit on the
                              work: cheaper where many elements are looked at */
    void *const *followed; /* by value id: not NULL where the execution followed the decisions of
                              the one under judgement; or NULL: nowhere */
    double **error;        /* by value id, not whole: as far as they are known, or NaN */
    float **inheritance;   /* [value id][image], whole: NULL where not known */
    long passes;           /* linear layers of one image whose whole errors were computed */
    double work;           /* terms looked at for those that are not whole */
    int nested;            /* linear layers whose terms are being looked at */
    bool failed;           /* out of memory, or stopped: bounds mean nothing */
};
bool ab_look_open(struct ab_look *look, const struct ab_plan *plan, const struct ab_plan *judged);
void ab_look_close(struct ab_look *look);
double ab_look_at(struct ab_look *look, int id, struct ab_unit u);
/* What rounding to float, all the way from the image, can do to one element: docs/numerics.md. */
double ab_look_error(struct ab_look *look, int id, struct ab_unit u);

/* ---- inherit.c, and what it needs of bounds.c ---- */

/* Makes look->inheritance of a CONV or DENSE step's result in image n, and of all linear layers
 * that it inherits from; false: look->failed. */
bool ab_look_inherit(struct ab_look *look, const struct ab_step *s, int n);

/* The terms of one element of a linear layer's output. */
struct ab_terms {
    double squares, count, magnitude;
    double inherited; /* squares of the terms' own errors, if `inherits` */
    bool inherits;
};
/* From the products alone: adds bias and summand. `spread`: what the kernel's transform can do. */
double ab_look_of_terms(struct ab_look *look, const struct ab_step *s, struct ab_unit to,
                        struct ab_terms *t, double spread);
/* What the largest sum of magnitudes near an element of a transforming kernel explains. */
double ab_look_spread(const struct ab_look *look, const struct ab_step *s, double most);
/* Operands whose errors reach the result. */
bool ab_look_carries(const struct ab_step *s, int operand);
/* The weight that the step multiplies with. */
double ab_look_weight(const struct ab_step *s, double w);
/* The index along one axis of src that kernel index k (`step` = k times dilation) joins with dst
 * index i, or -1. */
int ab_look_source(enum ab_pass pass, int i, int pad, int step, int stride, int size);

/* ---- flips.c ---- */

/* How the decisions of one value differ from those its operands in the replayed execution call for,
 * and what was adopted of it. */
struct ab_flips {
    long count, adopted, illegal;
    const char *what; /* the worst illegal one: a decision or an adopted element */
    struct ab_unit unit;
    double margin, bound;
};
/* flips: [ab_flips_count]: by value, then the choices of the class of each target, then of their
 * rivals; `theirs` and `adoption` were forced upon the last execution of referee->plan. Values not
 * in `needed` ([n_values]) are passed over. */
int ab_flips_count(const struct ab_referee *referee);
enum ab_status ab_flips_find(const struct ab_referee *referee, const struct ab_plan *judged,
                             const struct ab_decisions *theirs, const struct ab_adoption *adoption,
                             const bool *needed, struct ab_flips *flips, struct ab_error *err);
/* One line on the worst illegal flip of entry id. */
void ab_flips_describe(const struct ab_referee *referee, int id, const struct ab_flips *flips,
                       char *text, size_t size);

/* ---- reach.c ---- */

/* How far rounding reaches at the largest element of a map in the last execution of referee->plan,
 * as a part of it, and in the worst image; `judged` says by which kernels. */
enum ab_status ab_referee_reach(const struct ab_referee *referee, const struct ab_plan *judged,
                                int map, double *reach, struct ab_error *err);

/* ---- cache.c ---- */

/* Fills referee->maps and ->own from the entry for these methods, images and targets; false if
 * there is none, or none that is whole. */
bool ab_cache_load(struct ab_referee *referee, const char *dir, uint64_t hash);
/* Writes the entry; a cache that cannot be written costs time only, so nothing is reported. */
void ab_cache_save(const struct ab_referee *referee, const char *dir, uint64_t hash);
/* The same for an array alone. */
bool ab_cache_read(const char *dir, uint64_t hash, void *data, size_t bytes);
void ab_cache_write(const char *dir, uint64_t hash, const void *data, size_t bytes);

#endif
