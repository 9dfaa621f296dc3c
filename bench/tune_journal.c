// SPDX-License-Identifier: Apache-2.0
// The journal of a search.
#include "tune_journal.h"

#include "ab_version.h"
#include "json_number.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

enum { FORMAT = 3 };

struct ab_journal {
    int fd;
    char *path;
    off_t end; /* of the last whole line */
};

/* ---- lines ---- */

/* Compact, with its end, numbers as they are; free() it. */
static char *line_of(json_t *object)
{
    char *text =
        object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17))
               : NULL;
    const size_t length = text ? strlen(text) : 0;
    char *line = text ? realloc(text, length + 2) : NULL;
    json_decref(object);
    if (!line) {
        free(text);
        return NULL;
    }
    memcpy(line + length, "\n", 2);
    return line;
}

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t done = write(fd, text, length);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        text += done;
        length -= (size_t)done;
    }
    return true;
}

/* Appends the line and waits for the disk; takes back what a failure left. Frees the line. */
static enum ab_status append(struct ab_journal *j, char *line, struct ab_error *err)
{
    if (!line) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory for a visit", j->path);
    const size_t length = strlen(line);
    errno = 0;
    const bool good = lseek(j->fd, j->end, SEEK_SET) == j->end && write_all(j->fd, line, length) &&
                      fsync(j->fd) == 0;
    const int cause = errno;
    free(line);
    if (good) {
        j->end += (off_t)length;
        return AB_OK;
    }
    /* A failure here leaves an unfinished line, which reading takes off. */
    const bool back = ftruncate(j->fd, j->end) == 0;
    return ab_fail(
        err, AB_ERR_IO,
        "%s: cannot be written: %s%s; free some space or choose another place with --out", j->path,
        strerror(cause ? cause : EIO), back ? "" : ", and its end is unfinished now");
}

/* ---- numbers ---- */

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* The numbers of a visit, by their places. */
static const struct {
    const char *key;
    size_t offset;
} numbers[] = {{"images_per_s", offsetof(struct ab_told, images_per_s)},
               {"pace", offsetof(struct ab_told, pace)},
               {"start_ns", offsetof(struct ab_told, start_ns)},
               {"wall_s", offsetof(struct ab_told, wall_s)},
               {"judge_s", offsetof(struct ab_told, judge_s)},
               {"seconds", offsetof(struct ab_told, seconds)},
               {"stolen", offsetof(struct ab_told, stolen)},
               {"resident_bytes", offsetof(struct ab_told, resident_bytes)},
               {"peak_bytes", offsetof(struct ab_told, peak_bytes)},
               {"planned_bytes", offsetof(struct ab_told, planned_bytes)},
               {"rel_l2", offsetof(struct ab_told, rel_l2)},
               {"max_err", offsetof(struct ab_told, max_err)}};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

/* ---- visits as JSON ---- */

/* Bytes that are no UTF-8, in what a process said as it died, become '?'. */
static json_t *text_of(const char *text)
{
    if (!text) return json_null();
    json_t *string = json_string(text);
    char *plain = string ? NULL : strdup(text);
    for (char *c = plain; c && *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    if (plain) string = json_string(plain);
    free(plain);
    return string;
}

static json_t *json_of(const struct ab_space *space, int point, const struct ab_told *told)
{
    json_t *object = json_object(), *latencies = json_array();
    bool good = object && latencies &&
                !json_object_set_new(object, "point", json_string(space->points[point].text));
    for (int i = 0; i < NUMBERS && good; i++) {
        double value;
        memcpy(&value, (const char *)told + numbers[i].offset, sizeof value);
        good = !json_object_set_new(object, numbers[i].key, ab_json_number(value));
    }
    for (int i = 0; i < told->requests && good; i++)
        good = !json_array_append_new(latencies, ab_json_number(told->latency_ns[i]));
    good = good && !json_object_set_new(object, "alike", json_integer(told->alike)) &&
           !json_object_set_new(object, "overloaded", json_boolean(told->overloaded)) &&
           !json_object_set_new(object, "verdict", json_string(ab_verdict_name(told->verdict))) &&
           !json_object_set_new(object, "why", text_of(told->why)) &&
           !json_object_set_new(object, "error", text_of(told->error)) &&
           !json_object_set(object, "latency_ns", latencies);
    json_decref(latencies);
    if (good) return object;
    json_decref(object);
    return NULL;
}

static bool read_verdict(const json_t *object, enum ab_verdict *verdict)
{
    const char *name = json_string_value(json_object_get(object, "verdict"));
    for (int v = AB_AGREE; v <= AB_SKIPPED && name; v++)
        if (!strcmp(name, ab_verdict_name((enum ab_verdict)v))) {
            *verdict = (enum ab_verdict)v;
            return true;
        }
    return false;
}

/* The latencies are malloc'd; texts live as long as the object. False: something is missing, or is
 * not what it should be. */
static bool read_told(const json_t *object, struct ab_told *told)
{
    const json_t *latencies = json_object_get(object, "latency_ns");
    const size_t count = json_array_size(latencies);
    *told = (struct ab_told){.error = json_string_value(json_object_get(object, "error")),
                             .why = json_string_value(json_object_get(object, "why")),
                             .overloaded = json_is_true(json_object_get(object, "overloaded"))};
    const json_int_t alike = json_integer_value(json_object_get(object, "alike"));
    if (alike < 0 || alike > AB_DEPLOY_MAX_BATCH) return false;
    told->alike = (int)alike;
    if (!json_is_array(latencies) || count > INT32_MAX / 2 || !read_verdict(object, &told->verdict))
        return false;
    for (int i = 0; i < NUMBERS; i++) {
        const double value = number_of(object, numbers[i].key);
        if (!json_object_get(object, numbers[i].key)) return false;
        memcpy((char *)told + numbers[i].offset, &value, sizeof value);
    }
    double *latency = malloc((count + 1) * sizeof *latency);
    if (!latency) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(latencies, i);
        if (!json_is_number(value)) {
            free(latency);
            return false;
        }
        latency[i] = json_number_value(value);
    }
    told->latency_ns = latency;
    told->requests = (int)count;
    return true;
}

/* ---- the head ---- */

enum { FIELDS = 8 };
struct field {
    const char *key, *what, *value;
};

static void fields_of(const struct ab_journal_head *h, struct field fields[FIELDS])
{
    const struct field all[FIELDS] = {{"version", "attrbench", AB_VERSION},
                                      {"model", "--model", h->model},
                                      {"model_hash", "the model's content", h->model_hash},
                                      {"method", "--method", h->method},
                                      {"requirements", "what is asked for", h->requirements},
                                      {"space", "--space", h->space},
                                      {"machine", "the machine", h->machine},
                                      {"load", "--load", h->load}};
    memcpy(fields, all, sizeof all);
}

static json_t *head_json(const struct ab_journal_head *head)
{
    struct field fields[FIELDS];
    fields_of(head, fields);
    json_t *object = json_object();
    bool good = object && !json_object_set_new(object, "attrbench_journal", json_integer(FORMAT));
    for (int i = 0; i < FIELDS && good; i++)
        good = !json_object_set_new(object, fields[i].key,
                                    text_of(fields[i].value ? fields[i].value : ""));
    if (good) return object;
    json_decref(object);
    return NULL;
}

static enum ab_status check_head(const char *path, const json_t *found,
                                 const struct ab_journal_head *head, struct ab_error *err)
{
    const json_t *format = json_object_get(found, "attrbench_journal");
    if (!json_is_integer(format))
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: no journal of attrbench tune; name another file with --out, or move "
                       "this one away",
                       path);
    if (json_integer_value(format) != FORMAT)
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s: a journal of format %lld, this attrbench reads %d; move it away and "
                       "start anew",
                       path, (long long)json_integer_value(format), FORMAT);
    json_t *wanted = head_json(head);
    if (!wanted) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    struct field fields[FIELDS];
    fields_of(head, fields);
    enum ab_status status = AB_OK;
    for (int i = 0; i < FIELDS && status == AB_OK; i++) {
        const char *was = json_string_value(json_object_get(found, fields[i].key));
        const char *is = json_string_value(json_object_get(wanted, fields[i].key));
        if (was && !strcmp(was, is)) continue;
        status = ab_fail(err, AB_ERR_ARG,
                         "%s: visits of another search: %s was '%.120s' and is '%.120s'; ask for "
                         "the same again, or move the file away and start anew",
                         path, fields[i].what, was ? was : "not written down", is);
    }
    json_decref(wanted);
    return status;
}

/* ---- opening ---- */

static enum ab_status open_file(const char *path, int flags, struct ab_journal **journal,
                                struct ab_error *err)
{
    struct ab_journal *j = calloc(1, sizeof *j);
    char *copy = strdup(path);
    *journal = NULL;
    if (!j || !copy) {
        free(j);
        free(copy);
        return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    }
    j->path = copy;
    j->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0666);
    enum ab_status status = AB_OK;
    struct stat info;
    if (j->fd < 0)
        status = ab_fail(err, AB_ERR_IO,
                         "%s: cannot be opened: %s; choose a place that exists and "
                         "is writable",
                         path, strerror(errno));
    else if (fstat(j->fd, &info) != 0 || !S_ISREG(info.st_mode))
        status = ab_fail(err, AB_ERR_IO, "%s: is no regular file; choose another place", path);
    else if (flock(j->fd, LOCK_EX | LOCK_NB) != 0)
        status = ab_fail(err, AB_ERR_IO,
                         "%s: another attrbench tune is writing it; wait for it, or choose another "
                         "--out",
                         path);
    if (status == AB_OK)
        *journal = j;
    else
        ab_journal_close(&j);
    return status;
}

/* So that the file's name is on the disk too. */
static void sync_folder(const char *path)
{
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash) slash[slash == folder] = '\0';
    const int fd = folder ? open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

enum ab_status ab_journal_create(const char *path, const struct ab_journal_head *head,
                                 struct ab_journal **journal, struct ab_error *err)
{
    /* Emptied only when nobody else has it. */
    enum ab_status status = open_file(path, O_CREAT, journal, err);
    if (status != AB_OK) return status;
    if (ftruncate((*journal)->fd, 0) != 0)
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s; choose another place", path,
                         strerror(errno));
    else
        status = append(*journal, line_of(head_json(head)), err);
    if (status == AB_OK)
        sync_folder(path);
    else
        ab_journal_close(journal);
    return status;
}

/* ---- reading ---- */

/* The file as a text; free() it. */
static enum ab_status read_all(const struct ab_journal *j, char **text, size_t *size,
                               struct ab_error *err)
{
    struct stat info;
    *text = NULL;
    *size = 0;
    if (fstat(j->fd, &info) == 0) *text = malloc((size_t)info.st_size + 1);
    if (!*text) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", j->path);
    while (*size < (size_t)info.st_size) {
        const ssize_t n = pread(j->fd, *text + *size, (size_t)info.st_size - *size, (off_t)*size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return ab_fail(err, AB_ERR_IO, "%s: cannot be read: %s", j->path, strerror(errno));
        if (n == 0) break;
        *size += (size_t)n;
    }
    (*text)[*size] = '\0';
    return AB_OK;
}

/* What a replay adds up. */
struct replay {
    const struct ab_space *space;
    struct ab_search *search;
    double spent_s;
};

static enum ab_status replay_line(const char *path, int line, const json_t *object,
                                  struct replay *r, struct ab_error *err)
{
    struct ab_told told;
    const char *text = json_string_value(json_object_get(object, "point"));
    if (!text || !read_told(object, &told))
        return ab_fail(err, AB_ERR_FORMAT,
                       "%s:%d: no visit; the file is damaged: move it away and start anew", path,
                       line);
    const int point = ab_space_find_text(r->space, text);
    enum ab_status status = AB_OK;
    if (point < 0)
        status = ab_fail(err, AB_ERR_FORMAT,
                         "%s:%d: a visit of '%.120s', which is none of the points; move the file "
                         "away and start anew",
                         path, line, text);
    else if (!ab_search_tell(r->search, point, &told))
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    if (status == AB_OK && told.wall_s > 0) r->spent_s += told.wall_s;
    if (status == AB_OK && told.judge_s > 0) r->spent_s += told.judge_s;
    free((void *)told.latency_ns);
    return status;
}

static enum ab_status read_lines(struct ab_journal *j, char *text, size_t size,
                                 const struct ab_journal_head *head, struct replay *r,
                                 struct ab_error *err)
{
    enum ab_status status;
    char *at = text, *end;
    for (int line = 1;; line++) {
        /* What has no end was being written when the search died. */
        end = memchr(at, '\n', size - (size_t)(at - text));
        if (!end && line > 1) return AB_OK;
        const size_t length = end ? (size_t)(end - at) : 0;
        json_t *object = json_loadb(at, length, JSON_REJECT_DUPLICATES, NULL);
        if (line == 1)
            status = check_head(j->path, object, head, err);
        else
            status = replay_line(j->path, line, object, r, err);
        json_decref(object);
        if (status != AB_OK) return status;
        at = end + 1;
        j->end = (off_t)(at - text);
    }
}

enum ab_status ab_journal_resume(const char *path, const struct ab_journal_head *head,
                                 const struct ab_space *space, struct ab_search *search,
                                 struct ab_journal **journal, double *spent_s, struct ab_error *err)
{
    struct replay r = {.space = space, .search = search};
    char *text = NULL;
    size_t size;
    enum ab_status status = open_file(path, 0, journal, err);
    if (status != AB_OK) return status;
    status = read_all(*journal, &text, &size, err);
    if (status == AB_OK) status = read_lines(*journal, text, size, head, &r, err);
    if (status == AB_OK && ftruncate((*journal)->fd, (*journal)->end) != 0)
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    free(text);
    if (status != AB_OK) ab_journal_close(journal);
    *spent_s = r.spent_s;
    return status;
}

enum ab_status ab_journal_add(struct ab_journal *j, const struct ab_space *space, int point,
                              const struct ab_told *told, struct ab_error *err)
{
    return append(j, line_of(json_of(space, point, told)), err);
}

void ab_journal_close(struct ab_journal **journal)
{
    struct ab_journal *j = *journal;
    if (!j) return;
    if (j->fd >= 0) close(j->fd);
    free(j->path);
    free(j);
    *journal = NULL;
}
