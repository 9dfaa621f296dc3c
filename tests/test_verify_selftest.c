// SPDX-License-Identifier: Apache-2.0
// Every seeded bug is caught by a check that is there for it, and what they are planted in passes.
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "verify/bugs.h"
#include "verify/selftest.h"

struct found {
    int bad;
    char first[1200];
};

static bool take(void *user, const struct ab_selftest_line *line)
{
    struct found *f = user;
    printf("%-9s %-32s %-12s %4d trials %6.2f s\n", ab_selftest_verdict_name(line->verdict),
           line->name, ab_check_name(line->check), line->trials, line->seconds);
    fflush(stdout);
    if (!ab_selftest_is_bad(line->verdict)) return true;
    if (f->bad++ == 0)
        snprintf(f->first, sizeof f->first, "%s %s (%s): %s: %s: %s", line->name,
                 ab_selftest_verdict_name(line->verdict), line->what, line->trial,
                 ab_check_name(line->check), line->why);
    return true;
}

/* The counts of a run over what is named like `only`. */
static struct ab_selftest_counts run(const char *only, struct found *found)
{
    const struct ab_selftest test = {
        .only = only,
        .workers = 2,
        .timeout = AB_TEST_SLOW ? 100.0 : 15.0,
        .report = take,
        .user = found,
    };
    struct ab_selftest_counts counts;
    struct ab_error err;
    CHECK(ab_selftest(&test, &counts, &err) == AB_OK, "%s", err.text);
    return counts;
}

TEST(every_bug_is_caught)
{
    struct found found = {0};
    const struct ab_selftest_counts counts = run(NULL, &found);
    int bugs;
    ab_bugs(&bugs);
    CHECK(found.bad == 0, "%d are wrong, the first: %s", found.bad, found.first);
    CHECK(counts.lines[AB_SELFTEST_CAUGHT] + counts.lines[AB_SELFTEST_SKIPPED] == bugs,
          "%d of %d bugs were caught", counts.lines[AB_SELFTEST_CAUGHT], bugs);
    CHECK(counts.lines[AB_SELFTEST_CAUGHT] >= 100, "this CPU lacks too many kernels");
    CHECK(counts.lines[AB_SELFTEST_SOUND] >= 5, "texts without a bug were left out");
}

TEST(names_select)
{
    struct found found = {0};
    const struct ab_selftest_counts counts = run("select_overwrites", &found);
    CHECK(found.bad == 0 && counts.lines[AB_SELFTEST_CAUGHT] == 1, "%s", found.first);
    const struct ab_selftest test = {.only = "no such bug", .workers = 1, .report = take};
    struct ab_selftest_counts none;
    struct ab_error err;
    CHECK(ab_selftest(&test, &none, &err) == AB_ERR_ARG && strstr(err.text, "no such bug"),
          "an unknown name is accepted");
}

static const struct test_case cases[] = {
    CASE(names_select),
    CASE(every_bug_is_caught),
};
TEST_MAIN("verify self-test", cases)
