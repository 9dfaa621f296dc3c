// SPDX-License-Identifier: Apache-2.0
// attrbench gate: compare, for machines that check changes. One command, files for others to show,
// and an exit code.
#include "compare.h"

#include "base/outfile.h"
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct gate_settings {
    struct ab_compare_settings common;
    const char *markdown, *junit, *json;
    bool annotations;
};

typedef void writer(FILE *f, const struct ab_comparison *c);

static enum ab_status write_file(const char *path, writer *write, const struct ab_comparison *c,
                                 struct ab_error *err)
{
    struct ab_outfile out;
    const enum ab_status status = ab_outfile_open(&out, path, err);
    if (status != AB_OK) return status;
    write(out.stream, c);
    return ab_outfile_close(&out, AB_OK, err);
}

/* Summaries of a job are one file that its steps add to. */
static enum ab_status append_file(const char *path, writer *write, const struct ab_comparison *c,
                                  struct ab_error *err)
{
    FILE *f = fopen(path, "a");
    if (!f) return ab_fail(err, AB_ERR_IO, "%s: %s; name another file", path, strerror(errno));
    write(f, c);
    const bool good = !ferror(f);
    if ((fclose(f) == 0) & good) return AB_OK;
    return ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
}

static void write_json(FILE *f, const struct ab_comparison *c)
{
    json_t *root = ab_compare_json(c);
    if (root) json_dumpf(root, f, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    fputc('\n', f);
    json_decref(root);
}

/* Every file that was asked for is tried; the first that fails is told. */
static int write_all(const struct gate_settings *s, const struct ab_comparison *c)
{
    struct ab_error err;
    enum ab_status status = AB_OK;
    if (s->markdown)
        status = append_file(s->markdown, ab_compare_markdown, c, &err);
    else
        ab_compare_markdown(stdout, c);
    if (s->junit && status == AB_OK) status = write_file(s->junit, ab_compare_junit, c, &err);
    if (s->json && status == AB_OK) status = write_file(s->json, write_json, c, &err);
    if (s->annotations) ab_compare_annotate(stdout, c);
    if (fflush(stdout) != 0 && status == AB_OK)
        status = ab_fail(&err, AB_ERR_IO, "standard output: cannot be written; redirect elsewhere");
    return status == AB_OK ? 0 : ab_complain_status(status, &err);
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct gate_settings *s = user;
    struct ab_comparison c = {.count = 0};
    int code = ab_compare_do(&s->common, &c);
    if (!code) code = write_all(s, &c);
    if (!code) code = ab_compare_exit(&c);
    ab_comparison_free(&c);
    return code;
}

#define FIELD(name) offsetof(struct gate_settings, name)
static const struct ab_option options[] = {
    AB_COMPARE_OPTIONS(struct gate_settings, common),
    {"markdown", "F", "adds the summary to this file; default: standard output", AB_OPTION_TEXT,
     FIELD(markdown)},
    {"junit", "F", "writes JUnit XML", AB_OPTION_TEXT, FIELD(junit)},
    {"json", "F", "writes the comparison as JSON", AB_OPTION_TEXT, FIELD(json)},
    {"annotations", NULL,
     "prints ::error and ::warning lines on standard output, which GitHub shows beside a change",
     AB_OPTION_FLAG, FIELD(annotations)},
};

const struct ab_command ab_command_gate = {
    .name = "gate",
    .summary = "fails when something became slower or less exact: compare, for automatic checks",
    .usage = "--against BUILD|REV [--max-slowdown SHARE] [--markdown F] [--junit F] "
             "[--annotations] | A B ...",
    .more = "Exit code: 3 a regression, 1 a case that failed, 4 more than a fifth of the rows "
            "inconclusive, or\na slower one undecided, 5 nothing was compared, 130 interrupted, "
            "0 fine.\ndocs/github-actions.yml is a workflow.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct gate_settings),
    .run = run_command,
};
