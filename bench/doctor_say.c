// SPDX-License-Identifier: Apache-2.0
// The doctor's report as it grows: lines, JSON, advice.
#include "doctor.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Lines of advice that are printed; the JSON has all. */
enum { LINES = 5 };

void ab_doctor_section(struct ab_doctor *d, const char *key, const char *title)
{
    if (d->out) fprintf(d->out, "%s%s\n", d->begun ? "\n" : "", title);
    d->begun = true;
    d->section = json_object();
    json_object_set_new(d->root, key, d->section);
}

static void print_line(struct ab_doctor *d, const char *label, const char *text)
{
    if (!d->out) return;
    fprintf(d->out, "  %-15s %s\n", label, text);
    fflush(d->out);
}

void ab_doctor_line(struct ab_doctor *d, const char *label, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_line(d, label, text);
}

void ab_doctor_put(struct ab_doctor *d, const char *key, json_t *value, const char *why)
{
    char reason[96];
    json_object_set_new(d->section, key, value ? value : json_null());
    if (value || !why) return;
    snprintf(reason, sizeof reason, "%s_reason", key);
    json_object_set_new(d->section, reason, json_string(why));
}

void ab_doctor_number(struct ab_doctor *d, const char *key, double value, const char *why)
{
    ab_doctor_put(d, key, isfinite(value) ? json_real(value) : NULL, why);
}

/* json_string refuses what is not UTF-8, which then is null. */
void ab_doctor_text(struct ab_doctor *d, const char *key, const char *value, const char *why)
{
    ab_doctor_put(d, key, value && *value ? json_string(value) : NULL, why);
}

void ab_doctor_absent(struct ab_doctor *d, const char *key, const char *label, const char *format,
                      ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    ab_doctor_put(d, key, NULL, why);
    ab_doctor_line(d, label, "absent: %s", why);
}

void ab_doctor_advise(struct ab_doctor *d, int weight, const char *remedy, const char *format, ...)
{
    if (d->n_advice == AB_DOCTOR_ADVICE) return;
    struct ab_doctor_advice *a = &d->advice[d->n_advice++];
    va_list args;
    va_start(args, format);
    vsnprintf(a->finding, sizeof a->finding, format, args);
    va_end(args);
    snprintf(a->remedy, sizeof a->remedy, "%s", remedy);
    a->weight = weight;
}

/* Heaviest first, equal ones as they came. */
static int heavier(const void *x, const void *y)
{
    const struct ab_doctor_advice *a = x, *b = y;
    if (a->weight != b->weight) return a->weight < b->weight ? 1 : -1;
    return (a > b) - (a < b);
}

void ab_doctor_print_advice(struct ab_doctor *d)
{
    qsort(d->advice, (size_t)d->n_advice, sizeof *d->advice, heavier);
    json_t *list = json_array();
    for (int i = 0; i < d->n_advice; i++)
        json_array_append_new(list,
                              json_pack("{s:i,s:s,s:s}", "weight", d->advice[i].weight, "finding",
                                        d->advice[i].finding, "remedy", d->advice[i].remedy));
    json_object_set_new(d->root, "advice", list);
    if (!d->out) return;
    fprintf(d->out, "\nAdvice\n");
    if (!d->n_advice) fprintf(d->out, "  none: nothing was found that would spoil measurements\n");
    for (int i = 0; i < d->n_advice && i < LINES; i++)
        fprintf(d->out, "  %d. %s: %s\n", i + 1, d->advice[i].finding, d->advice[i].remedy);
    if (d->n_advice > LINES)
        fprintf(d->out, "  (%d of less weight with --json)\n", d->n_advice - LINES);
}

const char *ab_doctor_bytes(double bytes, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
    snprintf(text, 32, "%.4g %s", bytes, units[unit]);
    return text;
}
