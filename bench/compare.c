// SPDX-License-Identifier: Apache-2.0
// attrbench compare: two runs or two builds, row by row.
#include "compare.h"

#include "run.h"

struct compare_settings {
    struct ab_compare_settings common;
    bool all, json;
};

static int print_json(const struct ab_comparison *c)
{
    json_t *root = ab_compare_json(c);
    if (!root) return ab_complain(AB_EXIT_ERROR, "compare: out of memory; compare fewer rows");
    const int bad = json_dumpf(root, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    json_decref(root);
    return bad || putchar('\n') == EOF ? AB_EXIT_ERROR : 0;
}

static int run_command(void *user, int argc, char **argv)
{
    (void)argc, (void)argv;
    const struct compare_settings *s = user;
    struct ab_comparison c = {.count = 0};
    int code = ab_compare_do(&s->common, &c);
    if (!code && !s->json) ab_compare_print(stdout, &c, s->all);
    if (!code && s->json) code = print_json(&c);
    if (!code && fflush(stdout) != 0)
        code = ab_complain(AB_EXIT_ERROR, "standard output: cannot be written; redirect elsewhere");
    if (!code) code = ab_compare_exit(&c);
    ab_comparison_free(&c);
    return code;
}

#define FIELD(name) offsetof(struct compare_settings, name)
static const struct ab_option options[] = {
    AB_COMPARE_OPTIONS(struct compare_settings, common),
    {"all", NULL, "rows that are the same are listed too", AB_OPTION_FLAG, FIELD(all)},
    {"json", NULL, "the comparison as JSON", AB_OPTION_FLAG, FIELD(json)},
};

const struct ab_command ab_command_compare = {
    .name = "compare",
    .summary = "compares two saved runs, or two builds by turns, row by row",
    .usage = "A B [--cross] [--max-slowdown SHARE] [--only GLOB] | --against BUILD|REV "
             "[--kernels GLOB] [--time T]",
    .more = "A row is a regression when the whole confidence interval of B's time over A's lies "
            "above what is\ntolerated, or when its error against the reference grew: fourfold and "
            "above 1e-6, or until it no\nlonger agrees. Of builds, slower rows are measured again "
            "in fresh processes before that is said.\nExit code: 3 a regression, 1 a case that "
            "failed, 4 more than a fifth of the rows inconclusive,\nor a slower one undecided, "
            "5 nothing comparable, 130 interrupted, 0.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct compare_settings),
    .run = run_command,
};
