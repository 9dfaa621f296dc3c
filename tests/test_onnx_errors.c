// SPDX-License-Identifier: Apache-2.0
// The ONNX reader on everything that can be wrong with a file: what it refers to, its graph, its
// weights, its bytes.
#include "onnx_writer.h"

#include <math.h>

/* ---- external data ---- */

static struct model external(const char *location, const char *offset, const char *length)
{
    struct model m = model_new(2, 1, 1);
    struct bytes t = {0};
    put_int(&t, 1, 2), put_int(&t, 1, 2), put_int(&t, 2, ONNX_FLOAT), put_text(&t, 8, "w");
    const char *const pairs[][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    for (int i = 0; i < 3; i++) {
        if (!pairs[i][1]) continue;
        struct bytes entry = {0};
        put_text(&entry, 1, pairs[i][0]), put_text(&entry, 2, pairs[i][1]);
        put_part(&t, 13, &entry);
    }
    put_int(&t, 14, 1);
    put_part(&m.graph, 5, &t);
    add_node(&m, "Flatten", "x", "f");
    add_node(&m, "MatMul", "f w", "y");
    return m;
}

TEST(external_data)
{
    const float w[] = {9, 9, 1, 2, 3, 4};
    write_file("w.bin", w, sizeof w);
    struct model m = external("w.bin", "8", "16");
    struct ab_graph *g = loaded(&m);
    CHECK(node(g, "MatMul.y")->wei[1] == 3, "not transposed: %g",
          (double)node(g, "MatMul.y")->wei[1]);
    ab_graph_destroy(&g);
    m = external("./w.bin", "8", NULL);
    g = loaded(&m);
    ab_graph_destroy(&g);
    static const struct {
        const char *location, *offset, *length, *needle;
        enum ab_status status;
    } bad[] = {
        {"w.bin", "9", "16", "has only 24", AB_ERR_FORMAT},
        {"w.bin", "8", "15", "15 bytes", AB_ERR_FORMAT},
        {"w.bin", "18446744073709551615", "16", "no valid location", AB_ERR_FORMAT},
        {"w.bin", "9223372036854775807", "16", "has only 24", AB_ERR_FORMAT},
        {"w.bin", "-8", "16", "no valid location", AB_ERR_FORMAT},
        {"w.bin", "x", "16", "no valid location", AB_ERR_FORMAT},
        {NULL, "8", "16", "no valid location", AB_ERR_FORMAT},
        {"/etc/hostname", "0", "16", "below the model's own directory", AB_ERR_FORMAT},
        {"../w.bin", "0", "16", "below the model's own directory", AB_ERR_FORMAT},
        {"a/../../w.bin", "0", "16", "below the model's own directory", AB_ERR_FORMAT},
        {"", "0", "16", "below the model's own directory", AB_ERR_FORMAT},
        {"missing.bin", "0", "16", "No such file", AB_ERR_IO},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        context("external %zu", i);
        m = external(bad[i].location, bad[i].offset, bad[i].length);
        struct ab_error err = {""};
        const char *path = model_save(&m, "model.onnx");
        check_error(ab_graph_load(path, &g, &err), bad[i].status, &err, bad[i].needle);
    }
}

/* ---- what a graph can get wrong ---- */

/* flatten(x) -> Gemm with w -> y, the smallest sound model. */
static struct model small(void)
{
    struct model m = model_new(3, 2, 2);
    add_weights(&m, "w", 2, 12, 4);
    add_node(&m, "Flatten", "x", "f");
    add_node(&m, "MatMul", "f w", "y");
    return m;
}

static struct model one_node(const char *op, const char *inputs)
{
    struct model m = model_new(4, 8, 8);
    add_weights(&m, "w", 4, 4, 4, 3, 3);
    add_node(&m, op, inputs, "f");
    flatten_end(&m);
    return m;
}

/* Bounds as attributes, before opset 11. */
TEST(clips_that_are_no_relu)
{
    static const struct {
        float low, high;
        const char *needle;
    } rows[] = {{-1, 1, "clips to -1..1; only a lower bound of 0"},
                {0, 0, "clips to 0..0"},
                {0, -6, "clips to 0..-6"},
                {1, 6, "clips to 1..6"},
                {0, NAN, "clips to 0.."},
                {NAN, 6, "..6"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model m = model_new(4, 8, 8);
        m.opset = 7;
        attr_float(&m, "min", rows[i].low);
        attr_float(&m, "max", rows[i].high);
        add_node(&m, "Clip", "x", "f");
        flatten_end(&m);
        refused(&m, AB_ERR_UNSUPPORTED, rows[i].needle);
    }
    struct model m = model_new(4, 8, 8);
    add_weights(&m, "w", 1, 2);
    add_node(&m, "Clip", "x w", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_FORMAT, "Clip");
    m = model_new(4, 8, 8);
    add_node(&m, "Relu", "x", "r");
    add_node(&m, "Clip", "x r", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_UNSUPPORTED, "must be a constant");
    m = model_new(4, 8, 8);
    attr_int(&m, "max", 6);
    add_node(&m, "Clip", "x", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_FORMAT, "attribute 'max' has the wrong type");
}

TEST(unsupported_operators)
{
    struct model m = one_node("Sigmoid", "x");
    refused(&m, AB_ERR_UNSUPPORTED, "node 'Sigmoid.f' (Sigmoid): this operator (opset 13)");
    m = one_node("Sigmoid", "x");
    refused(&m, AB_ERR_UNSUPPORTED, "supported are Add, AveragePool, BatchNormalization");
    m = one_node("Clip", "x");
    refused(&m, AB_ERR_UNSUPPORTED, "clips to -3.40282e+38..3.40282e+38; only a lower bound of 0");
    m = one_node("Conv", "x x");
    refused(&m, AB_ERR_UNSUPPORTED, "must be a constant");
    m = one_node("Relu", "w");
    refused(&m, AB_ERR_UNSUPPORTED, "must depend on the image");
    m = one_node("MatMul", "x w");
    refused(&m, AB_ERR_UNSUPPORTED, "only flattened vectors");
    m = model_new(4, 8, 8);
    attr_int(&m, "surprise", 1);
    add_node(&m, "Relu", "x", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_UNSUPPORTED, "attribute 'surprise'");
    m = model_new(4, 8, 8);
    attr_int(&m, "kernel_shape", 3);
    add_node(&m, "MaxPool", "x", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_FORMAT, "attribute 'kernel_shape' has the wrong type");
    m = model_new(4, 8, 8);
    attr_ints(&m, "kernel_shape", 3, 2, 2, 2);
    add_node(&m, "MaxPool", "x", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_UNSUPPORTED, "only 2-D windows");
    m = small();
    m.opset = 6;
    refused(&m, AB_ERR_UNSUPPORTED, "opset 6 is older than 7");
}

TEST(broken_graphs)
{
    struct model m = small();
    add_node(&m, "Relu", "x", "y");
    refused(&m, AB_ERR_FORMAT, "the value 'y' is made twice");
    m = small();
    add_node(&m, "Relu", "x", "w");
    refused(&m, AB_ERR_FORMAT, "the value 'w' is made twice");
    m = model_new(3, 2, 2);
    add_node(&m, "Flatten", "nowhere", "y");
    refused(&m, AB_ERR_FORMAT, "nothing makes its input 'nowhere'");
    m = model_new(3, 2, 2);
    add_node(&m, "Flatten", "r", "y");
    add_node(&m, "Relu", "x", "r");
    refused(&m, AB_ERR_FORMAT, "topological order");
    m = model_new(3, 2, 2);
    add_node(&m, "Relu", "b", "a");
    add_node(&m, "Relu", "a", "b");
    add_node(&m, "Flatten", "b", "y");
    refused(&m, AB_ERR_FORMAT, "without cycles");
    m = model_new(3, 2, 2);
    add_node(&m, "Add", "y x", "y");
    refused(&m, AB_ERR_FORMAT, "reads its own output");
    m = model_new(3, 2, 2);
    add_node(&m, "Relu", "x", "z");
    refused(&m, AB_ERR_FORMAT, "no node makes its output 'y'");
    m = model_new(3, 2, 2);
    add_node(&m, "Relu", "x", "y");
    refused(&m, AB_ERR_UNSUPPORTED, "the output is an image of 3x2x2");
    m = small();
    add_input(&m, "second", 1, 3, 2, 2);
    refused(&m, AB_ERR_UNSUPPORTED, "several inputs ('x', 'second')");
    m = model_new(3, 2, 2);
    add_node(&m, "Dropout", "x", "d mask");
    add_node(&m, "Flatten", "mask", "y");
    refused(&m, AB_ERR_UNSUPPORTED, "not the first output");
    m = (struct model){.opset = 13};
    add_output(&m, "y", 2);
    refused(&m, AB_ERR_FORMAT, "has no input");
    m = (struct model){.opset = 13};
    add_input(&m, "x", 1, 3, 2, 2);
    refused(&m, AB_ERR_FORMAT, "has no output");
    m = (struct model){.opset = 13};
    add_input(&m, "x", 1, 3, -1, 2);
    refused(&m, AB_ERR_UNSUPPORTED, "dimension 2 is not fixed");
    m = (struct model){.opset = 13};
    add_input(&m, "x", 1, 3, 0, 2);
    refused(&m, AB_ERR_FORMAT, "dimension 2 is 0");
    m = (struct model){.opset = 13};
    add_input(&m, "x", 1, 100000, 100000, 2);
    refused(&m, AB_ERR_FORMAT, "below 2^31");
    m = (struct model){.opset = 13};
    add_info(&m, 11, "x", ONNX_FLOAT16, 4, (const int[]){1, 3, 2, 2});
    refused(&m, AB_ERR_UNSUPPORTED, "not float32");
    m = (struct model){.opset = 13};
    add_info(&m, 11, "x", ONNX_FLOAT, 3, (const int[]){3, 2, 2});
    refused(&m, AB_ERR_UNSUPPORTED, "3 dimensions");
}

TEST(several_outputs)
{
    struct model m = {.opset = 13};
    add_input(&m, "x", 1, 3, 2, 2);
    add_output(&m, "r", 4);
    add_output(&m, "y", 2);
    add_output(&m, "q", 2);
    add_node(&m, "Relu", "x", "r");
    add_node(&m, "Flatten", "r", "y");
    add_node(&m, "Erf", "x", "q"); /* not needed: may be anything */
    struct ab_graph *g = loaded(&m);
    CHECK(strcmp(ab_graph_notes(g), "output 'y' of 3 is explained") == 0, "%s", ab_graph_notes(g));
    CHECK(g->n_nodes == 3, "%d nodes", g->n_nodes);
    ab_graph_destroy(&g);
}

/* A MatMul model whose weight tensor is whatever `t` says. */
static void bad_weights(struct bytes *t, enum ab_status want, const char *needle)
{
    struct model m = model_new(3, 2, 2);
    put_part(&m.graph, 5, t);
    add_node(&m, "Flatten", "x", "f");
    add_node(&m, "MatMul", "f w", "y");
    refused(&m, want, needle);
}

TEST(broken_weights)
{
    static const float data[48];
    const int good[] = {12, 4}, fewer[] = {12, 5}, other[] = {6, 8}, hostile[] = {1 << 30, 1 << 30};
    const int negative[] = {-12, 4}, zero[] = {0, 4}, line[] = {48};
    struct bytes t = tensor("w", ONNX_FLOAT, 2, fewer, data, 192);
    bad_weights(&t, AB_ERR_FORMAT, "constant 'w' has 192 bytes, but its shape needs 240");
    t = tensor("w", ONNX_FLOAT, 2, other, data, 192);
    bad_weights(&t, AB_ERR_FORMAT, "weights for 6 inputs do not fit a vector of 12");
    t = tensor("w", ONNX_FLOAT, 2, hostile, data, 192);
    bad_weights(&t, AB_ERR_FORMAT, "their product below 2^31");
    t = tensor("w", ONNX_FLOAT, 2, negative, data, 192);
    bad_weights(&t, AB_ERR_FORMAT, "dimension 0 is -12");
    t = tensor("w", ONNX_FLOAT, 2, zero, data, 0);
    bad_weights(&t, AB_ERR_FORMAT, "dimension 0 is 0");
    t = tensor("w", ONNX_FLOAT, 1, line, data, 192);
    bad_weights(&t, AB_ERR_UNSUPPORTED, "have 1 dimensions, not 2");
    t = tensor("w", ONNX_FLOAT16, 2, good, data, 96);
    bad_weights(&t, AB_ERR_UNSUPPORTED, "holds float16; convert the model to float32");
    t = tensor("w", ONNX_INT64, 2, good, data, 192);
    bad_weights(&t, AB_ERR_UNSUPPORTED, "holds int64");
    t = (struct bytes){0};
    put_int(&t, 1, 12), put_int(&t, 1, 4), put_int(&t, 2, ONNX_FLOAT), put_text(&t, 8, "w");
    put_bytes(&t, 4, data, 188);
    bad_weights(&t, AB_ERR_FORMAT, "has 47 elements, but its shape needs 48");
    float nan[48] = {0};
    nan[47] = NAN;
    t = tensor("w", ONNX_FLOAT, 2, good, nan, 192);
    bad_weights(&t, AB_ERR_FORMAT, "layer 'MatMul.y' (DENSE): a weight is NaN");
    double wide[48] = {1e300};
    t = tensor("w", ONNX_DOUBLE, 2, good, wide, 384);
    bad_weights(&t, AB_ERR_FORMAT, "a weight is NaN or infinite");
    /* only 1 GB claimed in a file of 100 bytes: refused before anything of that size is allocated
     */
    const int big[] = {12, 100000000};
    t = tensor("w", ONNX_FLOAT, 2, big, data, 192);
    bad_weights(&t, AB_ERR_FORMAT, "has 192 bytes");
}

TEST(broken_convolutions)
{
    static const struct {
        const char *name;
        int n, v[4];
        const char *needle;
    } bad[] = {
        {"strides", 2, {0, 1}, "strides has 0"},
        {"strides", 1, {1}, "only 2-D windows"},
        {"dilations", 2, {1, -1}, "dilations has -1"},
        {"pads", 4, {0, 0, -1, 0}, "pads has -1"},
        {"pads", 4, {0, 0, 2000000000, 0}, "pads has 2000000000"},
        {"kernel_shape", 2, {5, 3}, "kernel_shape is 5x3, but the weights have 3x3"},
        {"dilations", 2, {9, 9}, "larger than the padded image"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct model m = model_new(4, 8, 8);
        add_weights(&m, "w", 4, 4, 4, 3, 3);
        const int *v = bad[i].v;
        attr_ints(&m, bad[i].name, bad[i].n, v[0], v[1], v[2], v[3]);
        add_node(&m, "Conv", "x w", "f");
        flatten_end(&m);
        struct ab_error err = {""};
        struct ab_graph *g;
        context("conv %zu", i);
        enum ab_status status = ab_graph_load(model_save(&m, "model.onnx"), &g, &err);
        check_error(status, status == AB_ERR_FORMAT ? AB_ERR_FORMAT : AB_ERR_UNSUPPORTED, &err,
                    bad[i].needle);
    }
    struct model m = model_new(4, 8, 8);
    add_weights(&m, "w", 4, 4, 2, 3, 3);
    add_node(&m, "Conv", "x w", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_FORMAT, "weights for 2 channels in 1 groups do not fit an input of 4");
    m = model_new(4, 8, 8);
    add_weights(&m, "w", 3, 4, 4, 3);
    add_node(&m, "Conv", "x w", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_UNSUPPORTED, "only 2-D convolution");
    m = model_new(4, 8, 8);
    add_weights(&m, "w", 4, 4, 4, 3, 3);
    add_weights(&m, "b", 1, 5);
    add_node(&m, "Conv", "x w b", "f");
    flatten_end(&m);
    refused(&m, AB_ERR_FORMAT, "input 2 has 5 elements, not 4");
}

/* ---- what a file can get wrong ---- */

TEST(not_models)
{
    refused_file(temp_path("missing.onnx"), AB_ERR_IO, "No such file");
    refused_file(temp_directory, AB_ERR_IO, "is a directory");
    refused_file("/dev/null", AB_ERR_IO, "not a regular file");
    refused_file(write_file("e.onnx", "", 0), AB_ERR_FORMAT, "is empty");
    refused_file(write_file("p.onnx", "\x89PNG\r\n\x1a\n........", 16), AB_ERR_FORMAT, "PNG image");
    refused_file(write_file("j.onnx", "\xff\xd8\xff\xe0........", 12), AB_ERR_FORMAT, "JPEG image");
    refused_file(write_file("z.onnx", "PK\3\4................", 20), AB_ERR_FORMAT, "PyTorch");
    refused_file(write_file("t.onnx", "{\"model\": 1}", 12), AB_ERR_FORMAT, "text");
    refused_file(write_file("l.onnx", "version https://git-lfs.github.com/spec/v1\n", 43),
                 AB_ERR_FORMAT, "Git LFS");
    refused_file(write_file("h.onnx", "\x08\x07", 2), AB_ERR_FORMAT, "it has no graph");
    refused_file(write_file("n.onnx", "\x93NUMPY\1\0", 8), AB_ERR_FORMAT, ".npy");
}

/* Sparse, so the disk holds nothing of it. */
TEST(too_large)
{
    const char *path = write_file("large.onnx", "\x08\x07", 2);
    CHECK(truncate(path, (off_t)1 << 31) == 0, "truncate");
    refused_file(path, AB_ERR_UNSUPPORTED, "is 2 GiB or larger");
    remove(path);
}

/* A subgraph in an attribute of a node in a subgraph ...: protobuf-c would recurse to the end of
 * the stack. */
TEST(deep_nesting)
{
    struct bytes inner = {0};
    for (int i = 0; i < 3000; i++) {
        struct bytes outer = {0};
        const unsigned field[] = {6, 5, 1};
        put_part(&outer, field[i % 3], &inner);
        inner = outer;
    }
    struct bytes file = {0};
    put_part(&file, 7, &inner);
    refused_file(write_file("deep.onnx", file.data, file.n), AB_ERR_FORMAT, "nest too deeply");
    free(file.data);
}

TEST(many_parts)
{
    struct bytes graph = {0}, file = {0};
    for (int i = 0; i < 5000000; i++) put(&graph, "\x0a\0", 2); /* empty nodes */
    put_part(&file, 7, &graph);
    refused_file(write_file("many.onnx", file.data, file.n), AB_ERR_FORMAT, "more parts");
    free(file.data);
}

TEST(random_bytes)
{
    struct rng r = rng_new(1);
    for (int i = 0; i < 500; i++) {
        unsigned char junk[300];
        size_t n = (size_t)rng_between(&r, 1, 300);
        for (size_t k = 0; k < n; k++) junk[k] = (unsigned char)rng_next(&r);
        struct ab_error err = {""};
        struct ab_graph *g;
        context("junk %d", i);
        CHECK(ab_graph_load(write_file("junk.onnx", junk, n), &g, &err) != AB_OK, "accepted");
        CHECK(*err.text, "no message");
    }
}

/* A model with something of everything. */
static struct bytes rich(void)
{
    struct model m = conv_model(6, 6);
    const char *const stats[] = {"g", "o", "m", "v"};
    for (int i = 0; i < 4; i++) {
        struct bytes t = tensor(stats[i], ONNX_FLOAT, 1, (const int[]){6},
                                (const float[]){1, 2, 3, 1, 2, 3}, 24);
        put_part(&m.graph, 5, &t);
    }
    attr_ints(&m, "pads", 4, 1, 0, 1, 1);
    add_node(&m, "Conv", "x w b", "c");
    add_node(&m, "BatchNormalization", "c g o m v", "n");
    add_node(&m, "Relu", "n", "r");
    add_node(&m, "Add", "r c", "s");
    attr_int(&m, "axis", 1);
    add_node(&m, "Concat", "s r", "j");
    attr_ints(&m, "kernel_shape", 2, 2, 2);
    add_node(&m, "MaxPool", "j", "p");
    add_ints(&m, "pads", 8, (const int64_t[]){0, 0, 1, 0, 0, 0, 0, 1});
    add_node(&m, "Pad", "p pads", "q");
    add_node(&m, "GlobalAveragePool", "q", "a");
    add_ints(&m, "to", 2, (const int64_t[]){0, -1});
    add_node(&m, "Reshape", "a to", "f");
    add_weights(&m, "q1", 2, 12, 3);
    add_node(&m, "MatMul", "f q1", "l");
    add_node(&m, "Softmax", "l", "y");
    return model_bytes(&m);
}

/* Cut anywhere, it is refused; where the cut falls between two top-level fields of a message that
 * is complete without the rest, the parser itself cannot tell, but the graph is last. */
TEST(truncation)
{
    struct bytes good = rich();
    struct ab_error err;
    struct ab_graph *g = load(write_file("good.onnx", good.data, good.n));
    ab_graph_destroy(&g);
    for (size_t n = 1; n < good.n; n += n < 200 || n > good.n - 200 ? 1 : 7) {
        context("cut at %zu of %zu", n, good.n);
        err.text[0] = '\0';
        CHECK(ab_graph_load(write_file("cut.onnx", good.data, n), &g, &err) == AB_ERR_FORMAT, "%s",
              err.text);
    }
    free(good.data);
}

/* Whatever comes out, it must not crash, leak, or take long; graphs that survive are sound. */
TEST(flipped_bytes)
{
    struct bytes good = rich();
    struct rng r = rng_new(2);
    unsigned char *copy = malloc(good.n);
    CHECK(copy, "memory");
    int survivors = 0;
    for (int i = 0; i < 2000; i++) {
        context("flip %d", i);
        memcpy(copy, good.data, good.n);
        for (int k = rng_between(&r, 1, 4); k > 0; k--)
            copy[rng_next(&r) % good.n] = (unsigned char)rng_next(&r);
        struct ab_error err = {""};
        struct ab_graph *g;
        enum ab_status status = ab_graph_load(write_file("flip.onnx", copy, good.n), &g, &err);
        CHECK((status == AB_OK) == (g != NULL), "graph and status differ");
        if (status != AB_OK) {
            CHECK(*err.text, "no message");
            continue;
        }
        survivors++;
        ab_graph_hash(g);
        ab_graph_destroy(&g);
    }
    CHECK(survivors > 0 && survivors < 2000, "%d survivors", survivors);
    free(copy);
    free(good.data);
}

static const struct test_case cases[] = {CASE(external_data),
                                         CASE(clips_that_are_no_relu),
                                         CASE(unsupported_operators),
                                         CASE(broken_graphs),
                                         CASE(several_outputs),
                                         CASE(broken_weights),
                                         CASE(broken_convolutions),
                                         CASE(not_models),
                                         CASE(too_large),
                                         CASE(deep_nesting),
                                         CASE(many_parts),
                                         CASE(random_bytes),
                                         CASE(truncation),
                                         CASE(flipped_bytes)};
#if AB_WITH_ONNX
TEST_MAIN("onnx_errors", cases)
#else
TEST(left_out)
{
    struct ab_error err = {""};
    struct ab_graph *g;
    check_error(ab_graph_load("x.onnx", &g, &err), AB_ERR_UNSUPPORTED, &err, "AB_WITH_ONNX");
}
static const struct test_case without[] = {CASE(left_out)};
int main(int argc, char **argv)
{
    (void)cases;
    return test_main("onnx_errors", without, 1, argc, argv);
}
#endif
