// SPDX-License-Identifier: Apache-2.0
// The store: what is put in comes back, runs are found, fingerprints and keys tell apart what they
// should and nothing else.
#include "../bench/db.h"
#include "db_support.h"

#include <math.h>

/* ---- runs and rows ---- */

TEST(rows_come_back_bit_for_bit)
{
    struct ab_error err;
    struct ab_db *db = open_store(temp_path("bits.db"), AB_DB_WRITE);
    double ns[11];
    bool disturbed[11];
    for (int i = 0; i < 11; i++) ns[i] = 1e3 / (i + 3), disturbed[i] = i % 3 == 1;
    ns[4] = nextafter(ns[3], 0);
    struct ab_db_row
        full = {(char *)"kernel/a", json_pack("{s:s}", "kind", "kernel"), ns, disturbed, 11, 40},
        bare = {(char *)"kernel/b", json_pack("{s:s}", "kind", "step"), ns, NULL, 3, 1},
        none = {(char *)"kernel/c", json_pack("{s:s}", "error", "no"), NULL, NULL, 0, 1};
    const int64_t run = begin_run(db, "main", NULL);
    const struct ab_db_row *put[] = {&full, &bare, &none};
    for (int i = 0; i < 3; i++) CHECK(ab_db_put(db, run, put[i], &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_has(db, run, "kernel/b") && !ab_db_has(db, run, "kernel/d") &&
              !ab_db_has(db, run + 1, "kernel/b"),
          "has");
    json_t *context = test_context();
    CHECK(ab_db_finish(db, run, context, &err) == AB_OK, "%s", err.text);
    json_decref(context);
    ab_db_close(&db);

    db = open_store(temp_path("bits.db"), AB_DB_READ);
    struct ab_db_row *rows;
    int count;
    CHECK(ab_db_rows(db, run, &rows, &count, &err) == AB_OK, "%s", err.text);
    CHECK(count == 3, "%d rows", count);
    for (int i = 0; i < 3; i++) {
        CHECK(!strcmp(rows[i].key, put[i]->key) && json_equal(rows[i].record, put[i]->record) &&
                  rows[i].count == put[i]->count && rows[i].calls == put[i]->calls,
              "row %d", i);
        CHECK(!rows[i].count || !memcmp(rows[i].ns, put[i]->ns, (size_t)rows[i].count * 8),
              "samples of row %d", i);
    }
    CHECK(!memcmp(rows[0].disturbed, disturbed, sizeof disturbed) && !rows[1].disturbed, "marks");
    CHECK(ab_db_put(db, run, &full, &err) == AB_ERR_IO, "a reader writes");
    ab_db_rows_free(rows, count);
    ab_db_close(&db);
    CHECK(temp_count() == 1, "files are left beside the store");
    json_decref(full.record), json_decref(bare.record), json_decref(none.record);
}

TEST(a_row_of_the_same_key_is_replaced)
{
    struct ab_error err;
    struct ab_db *db = open_store(temp_path("replace.db"), AB_DB_WRITE);
    const int64_t run = begin_run(db, "main", NULL);
    put_row(db, run, "a", 100), put_row(db, run, "b", 200), put_row(db, run, "a", 300);
    struct ab_db_row *rows;
    int count;
    CHECK(ab_db_rows(db, run, &rows, &count, &err) == AB_OK && count == 2, "%d rows", count);
    CHECK(!strcmp(rows[1].key, "a") && rows[1].ns[0] == 300, "the older one is there");
    ab_db_rows_free(rows, count);
    ab_db_close(&db);
}

static int64_t found(struct ab_db *db, const char *text)
{
    struct ab_error err;
    struct ab_db_run run;
    CHECK(ab_db_find(db, text, &run, &err) == AB_OK, "%s: %s", text, err.text);
    const int64_t id = run.id;
    ab_db_run_free(&run);
    return id;
}

static void missing(struct ab_db *db, const char *text, const char *needle)
{
    struct ab_error err;
    struct ab_db_run run;
    check_error(ab_db_find(db, text, &run, &err), AB_ERR_ARG, &err, needle);
}

TEST(runs_are_found)
{
    struct ab_error err;
    struct ab_db *db = open_store(temp_path("find.db"), AB_DB_WRITE);
    missing(db, "main", "holds no runs yet");
    const int64_t first = begin_run(db, "main", "0123456789ab"),
                  other = begin_run(db, "nightly", "fedcba987654-dirty"),
                  last = begin_run(db, "main", "v1.2-31-g00000aaaaa11-dirty");
    put_row(db, last, "a", 1);
    CHECK(found(db, "main") == last && found(db, "main~1") == first, "by name");
    CHECK(found(db, "#2") == other && found(db, "nightly~0") == other, "by number");
    CHECK(found(db, "0123456") == first && found(db, "fedcba987654") == other &&
              found(db, "fedcba987654+") == other && found(db, "00000aaaaa11+") == last,
          "by revision");
    missing(db, "main~2", "not that many");
    missing(db, "mian", "did you mean 'main'");
    missing(db, "absent", "nightly");
    missing(db, "#99", "no such run");
    missing(db, "#1x", "number");
    missing(db, "main~x", "main~1");
    missing(db, "012345", "no run");
    struct ab_db_run *runs;
    int count;
    CHECK(ab_db_runs(db, "main", &runs, &count, &err) == AB_OK && count == 2, "%d", count);
    CHECK(runs[0].id == first && runs[1].rows == 1 && !runs[1].finished, "runs");
    CHECK(!strcmp(runs[0].revision, "0123456789ab") && !strcmp(runs[1].revision, "00000aaaaa11+"),
          "revisions %s %s", runs[0].revision, runs[1].revision);
    ab_db_runs_free(runs, count);
    CHECK(ab_db_remove(db, last, &err) == AB_OK && found(db, "main") == first, "removed");
    CHECK(!ab_db_has(db, last, "a"), "rows of a removed run");
    CHECK(begin_run(db, "main", NULL) > last, "a number is used again");
    ab_db_close(&db);
}

TEST(names_that_cannot_be)
{
    struct ab_error err;
    char longest[128];
    memset(longest, 'x', sizeof longest);
    longest[101] = '\0';
    static const char *const bad[] = {"",   "a b", "#1",          "x~1", "-x",
                                      "+x", "a\n", "n\xc3\xa4me", "'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(ab_db_check_name(bad[i], &err) == AB_ERR_ARG, "'%s' passes", bad[i]);
    CHECK(ab_db_check_name(longest, &err) == AB_ERR_ARG, "a long name passes");
    longest[100] = '\0';
    CHECK(ab_db_check_name(longest, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_check_name("feature/x-1_2.3+4@ci", &err) == AB_OK, "%s", err.text);
}

TEST(a_run_is_gone_on_with_where_it_was_begun)
{
    struct ab_error err;
    struct ab_db_run run;
    struct ab_db *db = open_store(temp_path("resume.db"), AB_DB_WRITE);
    json_t *context = test_context(), *other = test_context();
    const int64_t id = begin_run(db, "n", NULL);
    CHECK(ab_db_resume(db, "n", context, &run, &err) == AB_OK && run.id == id, "%s", err.text);
    CHECK(json_array_size(run.command) == 2, "the command");
    ab_db_run_free(&run);
    json_object_set_new(json_object_get(other, "system"), "kernel", json_string("Linux 9"));
    check_error(ab_db_resume(db, "n", other, &run, &err), AB_ERR_ARG, &err, "system.kernel");
    json_object_set_new(json_object_get(other, "build"), "git_revision", json_string("abcdef0"));
    check_error(ab_db_resume(db, "n", other, &run, &err), AB_ERR_ARG, &err, "another build");
    json_object_set_new(json_object_get(context, "build"), "build_id", json_string("12"));
    check_error(ab_db_resume(db, "n", context, &run, &err), AB_ERR_ARG, &err, "not the same");
    json_object_del(json_object_get(context, "build"), "build_id");
    check_error(ab_db_resume(db, "m", context, &run, &err), AB_ERR_ARG, &err, "no run 'm'");
    CHECK(ab_db_finish(db, id, context, &err) == AB_OK, "%s", err.text);
    check_error(ab_db_resume(db, "n", context, &run, &err), AB_ERR_ARG, &err, "is finished");
    ab_db_close(&db);
    json_decref(context), json_decref(other);
}

TEST(a_clock_that_goes_back_changes_no_order)
{
    struct ab_error err;
    struct ab_db *db = open_store(temp_path("clock.db"), AB_DB_WRITE);
    static const char *const dates[] = {"2026-03-01T10:00:00Z", "2031-01-01T00:00:00Z",
                                        "2026-03-02T10:00:00Z"};
    json_t *command = json_pack("[s]", "run");
    int64_t ids[3];
    for (int i = 0; i < 3; i++) {
        json_t *context = test_context();
        json_object_set_new(context, "date", json_string(dates[i]));
        CHECK(ab_db_begin(db, "n", context, command, &ids[i], &err) == AB_OK, "%s", err.text);
        json_decref(context);
    }
    struct ab_db_run *runs;
    int count;
    CHECK(ab_db_runs(db, NULL, &runs, &count, &err) == AB_OK && count == 3, "%d", count);
    for (int i = 0; i < 3; i++) CHECK(runs[i].id == ids[i], "run %d is not in its place", i);
    CHECK(!strcmp(runs[2].started, dates[1]), "started %s", runs[2].started);
    CHECK(!strcmp(json_string_value(json_object_get(runs[2].context, "date")), dates[2]),
          "what the clock said is lost");
    CHECK(found(db, "n") == ids[2] && found(db, "n~1") == ids[1], "the newest");
    ab_db_runs_free(runs, count);
    ab_db_close(&db);
    json_decref(command);
}

TEST(imported_runs_keep_their_time)
{
    struct ab_error err;
    struct ab_db *db = open_store(temp_path("old.db"), AB_DB_WRITE);
    const int64_t here = begin_run(db, "n", NULL);
    double ns = 5;
    struct ab_db_row row = {(char *)"k", json_object(), &ns, NULL, 1, 1}, broken = row;
    struct ab_db_run old = {
        .name = "n", .origin = "old.json", .started = "2001-01-01T00:00:00Z", .finished = true};
    old.context = test_context(), old.command = json_array();
    int64_t id;
    CHECK(ab_db_import(db, &old, &row, 1, &id, &err) == AB_OK, "%s", err.text);
    CHECK(found(db, "n") == here && found(db, "n~1") == id, "order");
    broken.key = NULL;
    struct ab_db_row two[] = {row, broken};
    CHECK(ab_db_import(db, &old, two, 2, &id, &err) != AB_OK, "a row without a key");
    struct ab_db_run *runs;
    int count;
    CHECK(ab_db_runs(db, NULL, &runs, &count, &err) == AB_OK && count == 2, "half an import");
    CHECK(runs[0].finished && !strcmp(runs[0].origin, "old.json") && runs[0].rows == 1, "fields");
    ab_db_runs_free(runs, count);
    ab_db_close(&db);
    json_decref(old.context), json_decref(old.command), json_decref(row.record);
}

TEST(noise_floors)
{
    struct ab_error err;
    struct ab_db *db = open_store(temp_path("floor.db"), AB_DB_WRITE);
    CHECK(isnan(ab_db_floor(db, "f", "kernel")), "a floor from nowhere");
    CHECK(ab_db_put_floor(db, "f", "kernel", 0.01, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_put_floor(db, "f", "kernel", 0.02, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_put_floor(db, "f", "step", 0.0, &err) == AB_OK, "%s", err.text);
    CHECK(ab_db_floor(db, "f", "kernel") == 0.02 && ab_db_floor(db, "f", "step") == 0, "floors");
    CHECK(isnan(ab_db_floor(db, "g", "kernel")), "another machine's");
    CHECK(ab_db_put_floor(db, "f", "x", (double)NAN, &err) == AB_ERR_ARG, "NaN");
    CHECK(ab_db_put_floor(db, "f", "x", -0.1, &err) == AB_ERR_ARG, "negative");
    ab_db_close(&db);
}

/* ---- what is derived ---- */

TEST(the_low_quantile_leaves_out_what_was_disturbed)
{
    double ns[20];
    bool marks[20] = {false};
    for (int i = 0; i < 20; i++) ns[i] = 100 + i;
    CHECK(fabs(ab_db_low_ns(ns, NULL, 20) - 101.9) < 1e-9, "%g", ab_db_low_ns(ns, NULL, 20));
    for (int i = 0; i < 5; i++) marks[i] = true;
    CHECK(fabs(ab_db_low_ns(ns, marks, 20) - 106.4) < 1e-9, "%g", ab_db_low_ns(ns, marks, 20));
    for (int i = 0; i < 12; i++) marks[i] = true;
    CHECK(fabs(ab_db_low_ns(ns, marks, 20) - 101.9) < 1e-9, "few undisturbed ones decide");
    CHECK(isnan(ab_db_low_ns(NULL, NULL, 0)), "none");
}

TEST(fingerprints_are_of_conditions)
{
    char a[32], b[32], text[256];
    json_t *one = test_context(), *two = test_context();
    ab_fingerprint(one, a);
    CHECK(strlen(a) == 16 && strspn(a, "0123456789abcdef") == 16, "%s", a);
    json_object_set_new(two, "date", json_string("1999"));
    json_object_set_new(json_object_get(two, "build"), "git_revision", json_string("other"));
    json_object_set_new(json_object_get(two, "system"), "load_average", json_pack("[f]", 7.0));
    ab_fingerprint(two, b);
    CHECK(!strcmp(a, b) && !ab_fingerprint_differs(one, two, text, sizeof text) && !*text,
          "what changes no times counts: %s", text);
    json_object_set_new(json_object_get(two, "cpu"), "microcode", json_string("0x2"));
    json_object_set_new(json_object_get(two, "system"), "openmp",
                        json_pack("{s:s, s:n}", "OMP_PLACES", "cores", "OMP_NUM_THREADS"));
    ab_fingerprint(two, b);
    CHECK(strcmp(a, b) != 0, "what changes times does not count");
    CHECK(ab_fingerprint_differs(one, two, text, sizeof text) &&
              strstr(text, "cpu.microcode: unknown, 0x2\n") && strstr(text, "system.openmp: "),
          "%s", text);
    CHECK(ab_fingerprint_differs(one, two, text, 40) && !strchr(text, '\n') && strlen(text) < 40,
          "does not fit: %s", text);
    json_t *empty = json_object();
    ab_fingerprint(empty, b);
    CHECK(strlen(b) == 16, "of nothing");
    json_decref(one), json_decref(two), json_decref(empty);
}

static void key_of(const char *json, char key[AB_ROW_KEY])
{
    json_t *record = json_loads(json, 0, NULL);
    CHECK(record, "test's own JSON: %s", json);
    ab_row_key(record, key, AB_ROW_KEY);
    json_decref(record);
}

static void check_keys(const char *a, const char *b, bool same)
{
    char one[AB_ROW_KEY], two[AB_ROW_KEY];
    key_of(a, one), key_of(b, two);
    CHECK(!strcmp(one, two) == same, "%s and %s are %s", one, two, same ? "not equal" : "equal");
}

#define METHOD                                                                                     \
    "'kind':'method','op':'attribute','shape':'n1c1h28w28','model':'digits','method':'gradient',"  \
    "'backend':'native','threads':1,'batch':1,'target':'top'"
#define KERNEL "'kind':'kernel','op':'conv2d_fwd','shape':'n1c8','backend':'onednn','kernels':['k']"

/* JSON with ' for ". */
static const char *quoted(char *text, size_t size, const char *json)
{
    snprintf(text, size, "{%s}", json);
    for (char *c = text; *c; c++)
        if (*c == '\'') *c = '"';
    return text;
}

TEST(keys_name_what_was_measured)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {METHOD, METHOD ",'isa':'avx2','kernels':['x'],'ns_min':3,'cache':'hot'", true},
        {METHOD, METHOD ",'algo':'auto','memory':'fast','denormals':'keep'", true},
        {METHOD, METHOD ",'at':null,'at_reason':'the image'", true},
        {METHOD, METHOD ",'at':'features.4'", false},
        {METHOD, METHOD ",'memory':'lean'", false},
        {METHOD, METHOD ",'cache':'cold'", false},
        {METHOD, METHOD ",'denormals':'flush'", false},
        {METHOD, METHOD ",'pages':'huge'", true},
        {METHOD, METHOD ",'pages':'small'", false},
        {METHOD, "'kind':'joint'," METHOD, true}, /* the last of two kinds counts */
        {METHOD ",'methods':'a,b'", METHOD ",'methods':'a,c'", false},
        {METHOD ",'target':'top'", METHOD ",'target':'3'", false},
        {METHOD ",'threads':2", METHOD ",'batch':2", false},
        {METHOD ",'kind':'step','layer':'conv1'", METHOD ",'kind':'step','layer':'conv2'", false},
        {METHOD ",'kind':'step','kernels':['a']", METHOD ",'kind':'step','kernels':['b']", true},
        {KERNEL, KERNEL ",'kernels':['l']", false},
        {KERNEL, KERNEL ",'onednn_isa':'AVX2'", false},
        {KERNEL, KERNEL ",'backend':'native','onednn_isa':'AVX2'", false},
        {KERNEL ",'backend':'native'", KERNEL ",'backend':'native','onednn_isa':'AVX2'", true},
        {"'kind':'gbench','name':'BM_x/8'", "'kind':'gbench','name':'BM_x/16'", false},
        {"'kind':7", "", true},
    };
    char a[1024], b[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_keys(quoted(a, sizeof a, cases[i].a), quoted(b, sizeof b, cases[i].b), cases[i].same);
}

TEST(keys_of_a_run_are_told_apart)
{
    struct ab_keys keys = {0};
    char key[AB_ROW_KEY], last[AB_ROW_KEY] = "";
    json_t *record = json_pack("{s:s,s:s}", "kind", "step", "model", "m");
    for (int i = 0; i < 200; i++) {
        CHECK(ab_keys_next(&keys, record, key, sizeof key), "memory");
        CHECK(strcmp(key, last) != 0, "%s twice", key);
        strcpy(last, key);
    }
    CHECK(strstr(key, "#200"), "%s", key);
    char longest[2 * AB_ROW_KEY];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    json_object_set_new(record, "model", json_string(longest));
    CHECK(ab_keys_next(&keys, record, last, sizeof last) &&
              ab_keys_next(&keys, record, key, sizeof key) && strcmp(key, last) != 0,
          "long keys run together");
    ab_keys_free(&keys);
    json_decref(record);
}

TEST(records_become_rows_and_records_again)
{
    struct ab_error err;
    struct ab_db_row row;
    json_t *record = json_pack("{s:s,s:[f,i,f],s:[i],s:i}", "kind", "kernel", "samples_ns", 1.5, 2,
                               0.1, "disturbed_at", 2, "calls_per_slice", 7),
           *copy = json_deep_copy(record);
    CHECK(ab_db_row_of(record, "k", &row, &err) == AB_OK, "%s", err.text);
    CHECK(row.count == 3 && row.ns[1] == 2 && row.disturbed[2] && !row.disturbed[0] &&
              row.calls == 7 && !json_object_get(row.record, "samples_ns"),
          "a row");
    json_t *back = ab_db_row_json(&row);
    json_object_set_new(copy, "samples_ns", json_pack("[f,f,f]", 1.5, 2.0, 0.1));
    CHECK(json_equal(back, copy), "the record is another");
    ab_db_row_free(&row);
    json_decref(back), json_decref(copy);
    static const char *const bad[] = {"{'samples_ns':[1,-2]}",
                                      "{'samples_ns':[0]}",
                                      "{'samples_ns':['x']}",
                                      "{'samples_ns':3}",
                                      "{'samples_ns':[1],'disturbed_at':[1]}",
                                      "{'samples_ns':[1],'disturbed_at':[-1]}",
                                      "{'samples_ns':[1],'disturbed_at':{}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s", bad[i]);
        for (char *c = text; *c; c++)
            if (*c == '\'') *c = '"';
        check_error(ab_db_row_of(json_loads(text, 0, NULL), "k", &row, &err), AB_ERR_FORMAT, &err,
                    strstr(text, "disturbed") ? "disturbed_at" : "samples_ns");
    }
}

static const struct test_case cases[] = {CASE(rows_come_back_bit_for_bit),
                                         CASE(a_row_of_the_same_key_is_replaced),
                                         CASE(runs_are_found),
                                         CASE(names_that_cannot_be),
                                         CASE(a_run_is_gone_on_with_where_it_was_begun),
                                         CASE(a_clock_that_goes_back_changes_no_order),
                                         CASE(imported_runs_keep_their_time),
                                         CASE(noise_floors),
                                         CASE(the_low_quantile_leaves_out_what_was_disturbed),
                                         CASE(fingerprints_are_of_conditions),
                                         CASE(keys_name_what_was_measured),
                                         CASE(keys_of_a_run_are_told_apart),
                                         CASE(records_become_rows_and_records_again)};
TEST_MAIN("db", cases)
