// SPDX-License-Identifier: Apache-2.0
// The line of a trial: parsing and printing; verify.h describes it.
#include "verify/verify.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const with_names[] = {"bias", "add", "chain", "panel", "alias", "split"};
enum { WITHS = sizeof with_names / sizeof with_names[0] };
static const char *const side_names[] = {"left", "right"};

/* ---- what an operation has ---- */

static bool is_sum(enum ab_kernel_op op)
{
    return op == AB_KERNEL_conv2d || op == AB_KERNEL_dense || op == AB_KERNEL_conv2d_f64 ||
           op == AB_KERNEL_dense_f64;
}

static bool has_pass(enum ab_kernel_op op)
{
    return op != AB_KERNEL_pointwise && op != AB_KERNEL_select;
}

static bool has_f(enum ab_kernel_op op)
{
    return op != AB_KERNEL_conv2d_f64 && op != AB_KERNEL_dense_f64;
}

/* ---- words ---- */

/* The index of `word` in names, or -1 with an error that lists them. */
static int word_of(const char *what, const char *word, const char *const *names, int count,
                   struct ab_error *err)
{
    char list[320] = "";
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        if (strcmp(word, names[i]) == 0) return i;
        int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        if ((size_t)n < sizeof list - used) used += (size_t)n;
    }
    const char *near = ab_nearest(word, names, count);
    ab_fail(err, AB_ERR_ARG, "unknown %s '%.40s'%s%s%s (%s)", what, word,
            near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "", list);
    return -1;
}

/* The same for a name that a function gives. */
#define WORD_OF(function, type, entries)                                                           \
    static int function##_of(const char *what, const char *word, struct ab_error *err)             \
    {                                                                                              \
        const char *names[entries];                                                                \
        for (int i = 0; i < (int)(entries); i++) names[i] = function((type)i);                     \
        return word_of(what, word, names, entries, err);                                           \
    }
WORD_OF(ab_fill_name, enum ab_fill, AB_FILLS)
WORD_OF(ab_pointwise_name, enum ab_pointwise_kind, AB_PW_COUNT)
WORD_OF(ab_wmod_name, enum ab_wmod, AB_W_COUNT)

static const struct ab_verify_op *op_of(const char *word, struct ab_error *err)
{
    const struct ab_verify_op *ops[AB_KERNEL_OPS];
    const char *names[AB_KERNEL_OPS];
    int count = 0;
    for (int i = 0; i < AB_KERNEL_OPS; i++) {
        ops[count] = ab_verify_op_of((enum ab_kernel_op)i);
        if (ops[count]) names[count] = ops[count]->name, count++;
    }
    int i = word_of("operation", word, names, count, err);
    return i < 0 ? NULL : ops[i];
}

/* ---- values ---- */

typedef enum ab_status value_reader(const char *value, struct ab_trial *t, struct ab_error *err);

static enum ab_status read_wmod(const char *value, struct ab_trial *t, struct ab_error *err)
{
    if (!is_sum(t->op))
        return ab_fail(err, AB_ERR_ARG, "wmod=%s: %s has no weights", value,
                       ab_kernel_op_name(t->op));
    int i = ab_wmod_name_of("wmod", value, err);
    t->wmod = (enum ab_wmod)i;
    return i < 0 ? AB_ERR_ARG : AB_OK;
}

static enum ab_status read_f(const char *value, struct ab_trial *t, struct ab_error *err)
{
    if (!has_f(t->op))
        return ab_fail(err, AB_ERR_ARG, "f=%s: %s has no epilogue", value,
                       ab_kernel_op_name(t->op));
    int i = ab_pointwise_name_of("f", value, err);
    t->f = (enum ab_pointwise_kind)i;
    if (t->op == AB_KERNEL_select && i >= 0 && i != AB_PW_COPY && i != AB_PW_MUL)
        return ab_fail(err, AB_ERR_ARG, "f=%s: select counts x alone (copy) or its product (mul)",
                       value);
    return i < 0 ? AB_ERR_ARG : AB_OK;
}

static enum ab_status read_fill(const char *value, struct ab_trial *t, struct ab_error *err)
{
    int i = ab_fill_name_of("fill", value, err);
    t->fill = (enum ab_fill)i;
    return i < 0 ? AB_ERR_ARG : AB_OK;
}

static enum ab_status read_side(const char *value, struct ab_trial *t, struct ab_error *err)
{
    int i = word_of("side", value, side_names, 2, err);
    t->side = (enum ab_guard_side)i;
    return i < 0 ? AB_ERR_ARG : AB_OK;
}

static bool integer(const char *text, long lo, long hi, int *value)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (end == text || *end || errno || isspace((unsigned char)*text) || v < lo || v > hi)
        return false;
    *value = (int)v;
    return true;
}

static enum ab_status read_exp(const char *value, struct ab_trial *t, struct ab_error *err)
{
    if (integer(value, -20, 20, &t->exponent)) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "exp=%.40s is no integer from -20 to 20", value);
}

static enum ab_status read_offset(const char *value, struct ab_trial *t, struct ab_error *err)
{
    if (integer(value, 0, 60, &t->offset) && t->offset % 4 == 0) return AB_OK;
    return ab_fail(err, AB_ERR_ARG, "offset=%.40s is no multiple of 4 from 0 to 60", value);
}

static enum ab_status read_seed(const char *value, struct ab_trial *t, struct ab_error *err)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno)
        return ab_fail(err, AB_ERR_ARG, "seed=%.40s is no integer from 0 to 2^64 - 1", value);
    t->seed = v;
    return AB_OK;
}

static enum ab_status read_with(const char *value, struct ab_trial *t, struct ab_error *err)
{
    while (true) {
        char word[16];
        size_t length = strcspn(value, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, value);
        int i = word_of("with", word, with_names, WITHS, err);
        if (i < 0) return AB_ERR_ARG;
        t->with |= 1u << i;
        if (!value[length]) return AB_OK;
        value += length + 1;
    }
}

static enum ab_status read_file(const char *value, struct ab_trial *t, struct ab_error *err)
{
    size_t length = strlen(value);
    if (length == 0) return ab_fail(err, AB_ERR_ARG, "file= names no file");
    if (length >= sizeof t->file)
        return ab_fail(err, AB_ERR_ARG, "file=%.40s...: longer than %zu characters", value,
                       sizeof t->file - 1);
    memcpy(t->file, value, length + 1);
    return AB_OK;
}

/* ---- parsing ---- */

static const char *const keys[] = {"wmod", "f",      "fill", "exp", "seed",
                                   "side", "offset", "with", "file"};
static value_reader *const readers[] = {read_wmod, read_f,      read_fill, read_exp, read_seed,
                                        read_side, read_offset, read_with, read_file};
enum { KEYS = sizeof keys / sizeof keys[0] };

/* Copies the next word, up to blanks; false at the end and if it is too long. */
static bool next_word(const char **text, char *word, size_t size)
{
    *text += strspn(*text, " \t");
    size_t length = strcspn(*text, " \t");
    if (length == 0 || length >= size) return false;
    memcpy(word, *text, length);
    word[length] = 0;
    *text += length;
    return true;
}

/* One word after the shape. For file= the word is the rest of the line. */
static enum ab_status read_word(const char *word, struct ab_trial *t, unsigned *given,
                                struct ab_error *err)
{
    bool fwd = strcmp(word, "fwd") == 0, bwd = strcmp(word, "bwd") == 0;
    const char *equals = strchr(word, '=');
    if (!equals && !fwd && !bwd)
        return ab_fail(err, AB_ERR_ARG, "'%.40s' is none of fwd, bwd, key=value", word);
    int i = KEYS;
    if (equals) {
        char key[16];
        snprintf(key, sizeof key, "%.*s", (int)(equals - word), word);
        i = word_of("key", key, keys, KEYS, err);
        if (i < 0) return AB_ERR_ARG;
    }
    if (*given >> i & 1)
        return ab_fail(err, AB_ERR_ARG, "%s is given twice", i < KEYS ? keys[i] : "the pass");
    *given |= 1u << i;
    if (equals) return readers[i](equals + 1, t, err);
    if (!has_pass(t->op))
        return ab_fail(err, AB_ERR_ARG, "%s: %s has no passes", word, ab_kernel_op_name(t->op));
    t->pass = bwd ? AB_BWD : AB_FWD;
    return AB_OK;
}

static enum ab_status check(const struct ab_trial *t, struct ab_error *err)
{
    if ((t->fill == AB_FILL_FILE) != (t->file[0] != 0))
        return ab_fail(err, AB_ERR_ARG, "fill=file and file=PATH come together or not at all");
    return AB_OK;
}

static enum ab_status parse(const char *text, struct ab_trial *t, struct ab_error *err)
{
    char word[256];
    if (!next_word(&text, word, sizeof word))
        return ab_fail(err, AB_ERR_ARG, "no operation; OPERATION SHAPE [fwd|bwd] [key=value]...");
    const struct ab_verify_op *op = op_of(word, err);
    if (!op) return AB_ERR_ARG;
    t->op = op->op;
    if (!next_word(&text, word, sizeof word))
        return ab_fail(err, AB_ERR_ARG, "no shape after '%s'", op->name);
    if (!op->shape_parse(word, t, err)) return AB_ERR_ARG;
    unsigned given = 0;
    while (*(text += strspn(text, " \t"))) {
        const char *all = text;
        bool rest = strncmp(text, "file=", 5) == 0;
        if (!rest && !next_word(&text, word, sizeof word))
            return ab_fail(err, AB_ERR_ARG, "'%.40s...' is too long", all);
        enum ab_status status = read_word(rest ? all : word, t, &given, err);
        if (status) return status;
        if (rest) break;
    }
    return check(t, err);
}

enum ab_status ab_trial_parse(const char *text, struct ab_trial *trial, struct ab_error *err)
{
    struct ab_error why = {""};
    memset(trial, 0, sizeof *trial);
    enum ab_status status = parse(text, trial, &why);
    return status ? ab_fail(err, status, "trial '%.120s': %.360s", text, why.text) : AB_OK;
}

/* ---- printing ---- */

struct out {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->text + o->used, o->size - o->used, format, args);
    va_end(args);
    o->used += (size_t)n < o->size - o->used ? (size_t)n : o->size - o->used - 1;
}

void ab_trial_print(const struct ab_trial *t, char *text, size_t size)
{
    if (size == 0) return;
    char shape[160] = "";
    const struct ab_verify_op *op = ab_verify_op_of(t->op);
    if (op) op->shape_print(t, shape, sizeof shape);
    struct out o = {text, size, 0};
    put(&o, "%s %s", ab_kernel_op_name(t->op), shape);
    if (has_pass(t->op)) put(&o, " %s", t->pass == AB_BWD ? "bwd" : "fwd");
    if (t->wmod) put(&o, " wmod=%s", ab_wmod_name(t->wmod));
    if (t->f || t->op == AB_KERNEL_pointwise) put(&o, " f=%s", ab_pointwise_name(t->f));
    put(&o, " fill=%s", ab_fill_name(t->fill));
    if (t->exponent) put(&o, " exp=%d", t->exponent);
    put(&o, " seed=%llu side=%s", (unsigned long long)t->seed, side_names[t->side]);
    if (t->offset) put(&o, " offset=%d", t->offset);
    const char *before = " with=";
    for (int i = 0; i < WITHS; i++) {
        if (!(t->with >> i & 1)) continue;
        put(&o, "%s%s", before, with_names[i]);
        before = ",";
    }
    if (t->file[0]) put(&o, " file=%s", t->file);
}
