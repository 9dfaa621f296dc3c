// SPDX-License-Identifier: Apache-2.0
// Option tables: every kind of value, both ways of writing it, and what is told about bad ones.
#include "../bench/command.h"
#include "support.h"

#include <string.h>

struct settings {
    bool flag;
    const char *text;
    struct ab_words list, specs;
    struct ab_counts counts;
    long count;
    double time;
};
#define FIELD(name) offsetof(struct settings, name)
static const struct ab_option options[] = {
    {"flag", NULL, "", AB_OPTION_FLAG, FIELD(flag)},
    {"text", "T", "", AB_OPTION_TEXT, FIELD(text)},
    {"list", "L", "", AB_OPTION_LIST, FIELD(list)},
    {"method", "S", "", AB_OPTION_METHODS, FIELD(specs)},
    {"threads", "N", "", AB_OPTION_COUNTS, FIELD(counts)},
    {"count", "N", "", AB_OPTION_COUNT, FIELD(count)},
    {"time", "T", "", AB_OPTION_SECONDS, FIELD(time)},
};
static const struct ab_command command = {.name = "test",
                                          .options = options,
                                          .n_options = sizeof options / sizeof *options,
                                          .benchmark_flags = true};

static bool parse(struct settings *s, struct ab_error *err, int count, const char *const *words)
{
    char *argv[16] = {(char *)"test"};
    for (int i = 0; i < count; i++) argv[i + 1] = (char *)words[i];
    int argc = count + 1;
    *s = (struct settings){0};
    return ab_options_parse(&command, &argc, argv, s, err);
}
#define PARSE(s, err, ...)                                                                         \
    parse(s, err, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                   \
          (const char *[]){__VA_ARGS__})

TEST(all_kinds)
{
    struct settings s;
    struct ab_error err;
    CHECK(PARSE(&s, &err, "--flag", "--text", "a b", "--list=x,y", "--list", "z", "--threads",
                "1,2,4", "--count=0", "--time", "500ms"),
          "%s", err.text);
    CHECK(s.flag && !strcmp(s.text, "a b") && s.list.count == 3 && s.counts.count == 3 &&
              s.counts.items[2] == 4 && s.time == 0.5,
          "values");
    CHECK(!strcmp(s.list.items[2], "z"), "%s", s.list.items[2]);
    ab_options_free(&command, &s);
}

TEST(method_specs_keep_their_commas)
{
    struct settings s;
    struct ab_error err;
    CHECK(PARSE(&s, &err, "--method", "gradient,lrp-alpha-beta:alpha=2,beta=1,dtd:low=0,rectgrad"),
          "%s", err.text);
    static const char *const specs[] = {"gradient", "lrp-alpha-beta:alpha=2,beta=1", "dtd:low=0",
                                        "rectgrad"};
    CHECK(s.specs.count == 4, "%d", s.specs.count);
    for (int i = 0; i < 4; i++) CHECK(!strcmp(s.specs.items[i], specs[i]), "%s", s.specs.items[i]);
    ab_options_free(&command, &s);
}

TEST(parentheses_keep_their_commas)
{
    struct settings s;
    struct ab_error err;
    CHECK(PARSE(&s, &err, "--method",
                "smoothgrad:n=5,base=lrp-alpha-beta(alpha=2,beta=1),noise=0.1,gradient,"
                "m:rules=a=b(c=1,d=2);e=f,dtd:low=0"),
          "%s", err.text);
    static const char *const specs[] = {
        "smoothgrad:n=5,base=lrp-alpha-beta(alpha=2,beta=1),noise=0.1", "gradient",
        "m:rules=a=b(c=1,d=2);e=f", "dtd:low=0"};
    CHECK(s.specs.count == 4, "%d", s.specs.count);
    for (int i = 0; i < 4; i++) CHECK(!strcmp(s.specs.items[i], specs[i]), "%s", s.specs.items[i]);
    ab_options_free(&command, &s);
}

TEST(bad_ones)
{
    static const char *const bad[][3] = {
        {"--txet", "x", "--text"},        {"--text", NULL, "no value"},
        {"--text=", NULL, "--text"},      {"--threads", "0", "counts"},
        {"--threads", "1,,2", "counts"},  {"--threads", "-1", "counts"},
        {"--threads", "2x", "counts"},    {"--count", "1.5", "whole"},
        {"--time", "soon", "duration"},   {"--time", "-1", "duration"},
        {"--time", "nan", "duration"},    {"--flag=yes", NULL, "no value"},
        {"stray", NULL, "not an option"}, {"--list", ",", "commas"},
        {"--", NULL, "unknown"},          {"-x", NULL, "not an option"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct settings s;
        struct ab_error err = {""};
        context("%s %s", bad[i][0], bad[i][1] ? bad[i][1] : "");
        CHECK(!parse(&s, &err, bad[i][1] ? 2 : 1, bad[i]), "accepted");
        CHECK(strstr(err.text, bad[i][2]) && !strchr(err.text, '\n'), "said: %s", err.text);
        ab_options_free(&command, &s);
    }
}

TEST(operands)
{
    static const struct ab_option table[] = {
        {"flag", NULL, "", AB_OPTION_FLAG, FIELD(flag)},
        {"RUN", NULL, "", AB_OPTION_OPERANDS, FIELD(list)},
    };
    static const struct ab_command with = {.name = "test", .options = table, .n_options = 2};
    struct settings s = {0};
    struct ab_error err = {""};
    char *argv[] = {(char *)"test", (char *)"a,b", (char *)"--flag", (char *)"#3", NULL};
    int argc = 4;
    CHECK(ab_options_parse(&with, &argc, argv, &s, &err), "%s", err.text);
    CHECK(argc == 1 && s.flag && s.list.count == 2, "%d words", s.list.count);
    CHECK(!strcmp(s.list.items[0], "a,b") && !strcmp(s.list.items[1], "#3"), "%s %s",
          s.list.items[0], s.list.items[1]);
    ab_options_free(&with, &s);
    static const char *const bad[][2] = {
        {"--RUN=x", "unknown"}, {"", "empty"}, {"-x", "not an option"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *words[] = {(char *)"test", (char *)bad[i][0], NULL};
        argc = 2;
        CHECK(!ab_options_parse(&with, &argc, words, &s, &err) && strstr(err.text, bad[i][1]),
              "%s said: %s", bad[i][0], err.text);
        ab_options_free(&with, &s);
    }
}

TEST(benchmark_flags_stay)
{
    char *argv[] = {(char *)"test", (char *)"--benchmark_filter=x", (char *)"--flag", NULL};
    int argc = 3;
    struct settings s = {0};
    struct ab_error err;
    CHECK(ab_options_parse(&command, &argc, argv, &s, &err), "%s", err.text);
    CHECK(argc == 2 && s.flag && strstr(argv[1], "filter"), "argc %d", argc);
}

TEST(durations)
{
    double t;
    CHECK(ab_parse_seconds("2", &t) && t == 2, "2");
    CHECK(ab_parse_seconds("1.5s", &t) && t == 1.5, "1.5s");
    CHECK(ab_parse_seconds("2m", &t) && t == 120, "2m");
    CHECK(!ab_parse_seconds("2 s", &t) && !ab_parse_seconds("", &t) && !ab_parse_seconds("inf", &t),
          "nonsense");
}

struct every_kind {
    struct settings s;
    int choice, pick, other;
    struct ab_words texts, operands;
};
#define EVERY(name) offsetof(struct every_kind, name)
static const struct ab_option every_option[] = {
    {"flag", NULL, "", AB_OPTION_FLAG, EVERY(s.flag)},
    {"text", "T", "", AB_OPTION_TEXT, EVERY(s.text)},
    {"texts", "T", "", AB_OPTION_TEXTS, EVERY(texts)},
    {"list", "L", "", AB_OPTION_LIST, EVERY(s.list)},
    {"method", "S", "", AB_OPTION_METHODS, EVERY(s.specs)},
    {"threads", "N", "", AB_OPTION_COUNTS, EVERY(s.counts)},
    {"count", "N", "", AB_OPTION_COUNT, EVERY(s.count)},
    {"time", "T", "", AB_OPTION_SECONDS, EVERY(s.time)},
    {"algo", "auto|direct|other", "", AB_OPTION_CHOICE, EVERY(choice)},
    {"pages", "huge|small", "", AB_OPTION_PICK, EVERY(pick)},
    {"denormals", "keep|flush", "", AB_OPTION_PICK, EVERY(other)},
    {"NAME", NULL, "", AB_OPTION_OPERANDS, EVERY(operands)},
};
static const struct ab_command every = {.name = "every",
                                        .options = every_option,
                                        .n_options = sizeof every_option / sizeof *every_option};

/* The words of the settings that `words` ask for. */
static json_t *words_again(const json_t *words)
{
    struct every_kind k = {.choice = 0};
    struct ab_error err;
    char *argv[32] = {(char *)"every"};
    int argc = 1;
    for (size_t i = 0; i < json_array_size(words); i++)
        argv[argc++] = (char *)json_string_value(json_array_get(words, i));
    CHECK(ab_options_parse(&every, &argc, argv, &k, &err), "%s", err.text);
    json_t *again = ab_options_words(&every, &k);
    CHECK(again, "no words");
    ab_options_free(&every, &k);
    return again;
}

TEST(settings_become_the_words_that_ask_for_them)
{
    json_t *asked = json_pack("[s,s,s,s,s,s,s,s,s,s,s,s,s,s]", "--flag", "--text=--a b",
                              "--texts=x,y", "--texts=z", "--list=p", "--list=q",
                              "--method=lrp-alpha-beta:alpha=2,beta=1", "--threads=1,2,4096",
                              "--count=12", "--time=0.1s", "--algo=other", "--pages=huge",
                              "--denormals=flush", "main~1"),
           *words = words_again(asked), *none = json_array(), *nothing = words_again(none);
    CHECK(json_equal(asked, words), "%s", json_dumps(words, 0));
    CHECK(json_array_size(nothing) == 0, "%s", json_dumps(nothing, 0));
    json_decref(asked), json_decref(words), json_decref(none), json_decref(nothing);
}

static const struct test_case cases[] = {CASE(all_kinds),
                                         CASE(method_specs_keep_their_commas),
                                         CASE(parentheses_keep_their_commas),
                                         CASE(bad_ones),
                                         CASE(operands),
                                         CASE(benchmark_flags_stay),
                                         CASE(durations),
                                         CASE(settings_become_the_words_that_ask_for_them)};
TEST_MAIN("options", cases)
