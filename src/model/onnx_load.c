// SPDX-License-Identifier: Apache-2.0
// ab_graph_load: from a file to a parsed ONNX model, and what can be wrong with files.
#include "model/graph.h"
#if AB_WITH_ONNX
#include "base/infile.h"
#include "model/onnx.h"
#include "model/onnx_guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char expected[] = "an ONNX model";

/* protobuf's own limit on a message */
static const uint64_t size_limit = UINT64_C(1) << 31;

/* Opsets before 7 broadcast and infer differently; exporters have not written them since 2017. */
static const int64_t oldest_opset = 7;

static enum ab_status read_file(const char *path, unsigned char **bytes, size_t *size,
                                struct ab_error *err)
{
    uint64_t length;
    enum ab_status status;
    FILE *file = ab_infile_open(path, expected, &length, &status, err);
    if (!file) return status;
    *size = (size_t)length;
    if (length >= size_limit)
        status = ab_fail(err, AB_ERR_UNSUPPORTED,
                         "%s: is 2 GiB or larger; save the model with its weights as external data",
                         path);
    else if (!(*bytes = malloc(*size)))
        status = ab_fail(err, AB_ERR_MEMORY, "%s: no memory for %zu bytes", path, *size);
    else if (fread(*bytes, 1, *size, file) != *size)
        status = ab_fail(err, AB_ERR_IO, "%s: cannot be read to its end: %s", path,
                         ferror(file) ? strerror(errno) : "it has shrunk");
    fclose(file);
    return status;
}

static enum ab_status not_onnx(const char *path, const unsigned char *bytes, size_t size,
                               const char *why, struct ab_error *err)
{
    const char *kind = ab_infile_kind(bytes, size);
    if (kind) return ab_fail(err, AB_ERR_FORMAT, "%s: is %s; expected %s", path, kind, expected);
    return ab_fail(err, AB_ERR_FORMAT, "%s: is not %s (%s); export or copy it again", path,
                   expected, why);
}

/* What protobuf-c allocates with: our own functions, and whether they failed, which it does not
 * tell from damage. */
static void *allocate(void *failed, size_t size)
{
    void *block = malloc(size ? size : 1);
    if (!block) *(bool *)failed = true;
    return block;
}

static void release(void *failed, void *block)
{
    (void)failed;
    free(block);
}

static enum ab_status parse(const char *path, Onnx__ModelProto **model, struct ab_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0, at;
    enum ab_status status = read_file(path, &bytes, &size, err);
    if (status != AB_OK) goto done;
    const char *wrong = ab_onnx_guard(bytes, size, &at);
    if (wrong) {
        char why[80];
        snprintf(why, sizeof why, "%s, at byte %zu of %zu", wrong, at, size);
        status = not_onnx(path, bytes, size, why, err);
        goto done;
    }
    bool failed = false;
    ProtobufCAllocator allocator = {allocate, release, &failed};
    *model = onnx__model_proto__unpack(&allocator, size, bytes);
    if (failed)
        status = ab_fail(err, AB_ERR_MEMORY, "%s: no memory for the model's %zu bytes", path, size);
    else if (!*model)
        status = not_onnx(path, bytes, size, "it is damaged", err);
    else if (!(*model)->graph)
        status = not_onnx(path, bytes, size, "it has no graph", err);

done:
    free(bytes);
    return status;
}

/* The file's name without directory and ".onnx". */
static char *stem(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    if (length > 5 && strcmp(base + length - 5, ".onnx") == 0) length -= 5;
    char *name = malloc(length + 1);
    if (!name) return NULL;
    memcpy(name, base, length);
    name[length] = '\0';
    return name;
}

static enum ab_status check_opset(const char *path, const Onnx__ModelProto *model, int64_t *opset,
                                  struct ab_error *err)
{
    *opset = 0;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *id = model->opset_import[i];
        bool standard = !id->domain || !*id->domain || strcmp(id->domain, "ai.onnx") == 0;
        if (standard && id->has_version) *opset = id->version;
    }
    if (*opset < oldest_opset)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "%s: its opset %lld is older than %lld; export it again, or convert it with "
                       "onnx.version_converter",
                       path, (long long)*opset, (long long)oldest_opset);
    return AB_OK;
}

enum ab_status ab_graph_load(const char *path, struct ab_graph **graph, struct ab_error *err)
{
    *graph = NULL;
    /* The reader quotes messages of the layers below, which therefore need a place. */
    struct ab_error local;
    if (!err) err = &local;
    Onnx__ModelProto *model = NULL;
    struct ab_onnx_reader r = {.path = path, .err = err};
    char *name = NULL;
    enum ab_status status = parse(path, &model, err);
    if (status == AB_OK) status = check_opset(path, model, &r.opset, err);
    if (status == AB_OK && !(name = stem(path)))
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", path);
    if (status == AB_OK) status = ab_graph_create(name, &r.graph, err);
    if (status == AB_OK) {
        r.onnx = model->graph;
        status = ab_onnx_read(&r);
    }
    if (status == AB_OK)
        *graph = r.graph;
    else
        ab_graph_destroy(&r.graph);
    free(name);
    ProtobufCAllocator allocator = {allocate, release, NULL};
    if (model) onnx__model_proto__free_unpacked(model, &allocator);
    return status;
}
#else
enum ab_status ab_graph_load(const char *path, struct ab_graph **graph, struct ab_error *err)
{
    *graph = NULL;
    return ab_fail(err, AB_ERR_UNSUPPORTED,
                   "%s: attrbench was built without the ONNX reader; build it with "
                   "-DAB_WITH_ONNX=ON",
                   path);
}
#endif
