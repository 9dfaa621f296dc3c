// SPDX-License-Identifier: Apache-2.0
// The doctor's noise floors: measured, shown, kept in the store.
#include "doctor.h"

#include "db.h"
#include "json_number.h"
#include "noise.h"
#include "run.h"

#include <math.h>
#include <string.h>

static void progress(double more, const char *what)
{
    ab_progress_step(more, "noise floor: %s", what);
}

static bool stop(void)
{
    return ab_interrupted;
}

/* "0.31 %"; "-": too few. */
static const char *percent(double share, char text[32])
{
    if (isnan(share))
        snprintf(text, 32, "-");
    else
        snprintf(text, 32, "%.2f %%", 100 * share);
    return text;
}

/* Whether it had a floor to print. */
static bool say_class(struct ab_doctor *d, const struct ab_noise_class *c, json_t *classes)
{
    char turns[32], apart[32], worst[32], worst_apart[32];
    double floors[AB_NOISE_WAYS], worsts[AB_NOISE_WAYS];
    for (int way = 0; way < AB_NOISE_WAYS; way++) {
        floors[way] = ab_noise_floor(c, (enum ab_noise_way)way);
        worsts[way] = ab_noise_worst(c, (enum ab_noise_way)way);
    }
    json_object_set_new(
        classes, c->name,
        json_pack("{s:o,s:o,s:i,s:o,s:o,s:i}", "turns", ab_json_number(floors[AB_NOISE_TURNS]),
                  "turns_worst", ab_json_number(worsts[AB_NOISE_TURNS]), "turns_pairs",
                  c->count[AB_NOISE_TURNS], "apart", ab_json_number(floors[AB_NOISE_APART]),
                  "apart_worst", ab_json_number(worsts[AB_NOISE_APART]), "apart_pairs",
                  c->count[AB_NOISE_APART]));
    bool known = !isnan(floors[AB_NOISE_TURNS]) || !isnan(floors[AB_NOISE_APART]);
    if (known)
        ab_doctor_line(d, c->name, "by turns %8s (worst %8s of %4d)   apart %8s (worst %8s of %4d)",
                       percent(floors[AB_NOISE_TURNS], turns),
                       percent(worsts[AB_NOISE_TURNS], worst), c->count[AB_NOISE_TURNS],
                       percent(floors[AB_NOISE_APART], apart),
                       percent(worsts[AB_NOISE_APART], worst_apart), c->count[AB_NOISE_APART]);
    if (!strcmp(c->name, "kernel") && floors[AB_NOISE_TURNS] > 0.01)
        ab_doctor_advise(d, 65, "find a quieter machine, or give comparisons more time",
                         "the same program differs from itself by %.1f %% even by turns",
                         100 * floors[AB_NOISE_TURNS]);
    return known;
}

static enum ab_status save(struct ab_db *db, const struct ab_noise *n, const json_t *context,
                           int *saved, struct ab_error *err)
{
    char fingerprint[32], name[AB_NOISE_CLASS + 16];
    enum ab_status status = AB_OK;
    ab_fingerprint(context, fingerprint);
    for (int i = 0; i < n->count; i++)
        for (int way = 0; way < AB_NOISE_WAYS && status == AB_OK; way++) {
            double floor = ab_noise_floor(&n->classes[i], (enum ab_noise_way)way);
            if (isnan(floor)) continue;
            snprintf(name, sizeof name, "%s%s", n->classes[i].name,
                     way == AB_NOISE_APART ? " apart" : "");
            status = ab_db_put_floor(db, fingerprint, name, floor, err);
            *saved += status == AB_OK;
        }
    return status;
}

static void say(struct ab_doctor *d, const struct ab_noise *n, const char *notes)
{
    char title[160];
    snprintf(title, sizeof title,
             "Noise floor: this program against itself, %d fresh processes, %.1f s", n->processes,
             n->seconds);
    ab_doctor_section(d, "noise", title);
    json_t *classes = json_object();
    ab_doctor_put(d, "processes", json_integer(n->processes), NULL);
    ab_doctor_put(d, "races", json_integer(n->cases), NULL);
    ab_doctor_number(d, "seconds", n->seconds, NULL);
    ab_doctor_put(d, "classes", classes, NULL);
    ab_doctor_text(d, "not_measured", notes, "everything was");
    int known = 0;
    for (int i = 0; i < n->count; i++) known += say_class(d, &n->classes[i], classes);
    if (!known) ab_doctor_line(d, "floors", "not known: too few pairs in the time there was");
    if (*notes) ab_doctor_line(d, "left out", "%s", notes);
    if (n->processes < AB_DOCTOR_MANY)
        ab_doctor_line(d, "how sure", "%d processes give coarse numbers; --aa 20 gives better ones",
                       n->processes);
}

enum ab_status ab_doctor_noise(struct ab_doctor *d, const json_t *context,
                               const struct ab_doctor_noise *o, struct ab_error *err)
{
    struct ab_noise n = {0};
    /* Asked for: half of what comparisons give a case, as each pair is one of several there. */
    struct ab_noise_options options = {.processes = o->processes,
                                       .kernels = o->kernels,
                                       .seconds = o->most > 0 ? 0.04 : 0.25,
                                       .most = o->most,
                                       .progress = progress,
                                       .stop = stop};
    char notes[256];
    int saved = 0;
    struct ab_db *db = NULL;
    enum ab_status status = o->save ? ab_db_open(o->db, AB_DB_WRITE, &db, err) : AB_OK;
    if (status != AB_OK) return status;
    ab_progress_start(1, false);
    status = ab_noise_measure(&options, &n, notes, err);
    ab_progress_end();
    if (status == AB_OK) say(d, &n, notes);
    if (status == AB_OK && db && !ab_interrupted) {
        status = save(db, &n, context, &saved, err);
        ab_doctor_text(d, "saved_to", o->db, NULL);
        ab_doctor_line(d, "saved", "%d floors in %s", saved, o->db);
    }
    ab_db_close(&db);
    ab_noise_free(&n);
    return status;
}
