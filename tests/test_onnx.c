// SPDX-License-Identifier: Apache-2.0
// The ONNX reader on sound files: each operator against the forward pass it means, and files as
// exporters write them.
#include "naive.h"
#include "onnx_writer.h"

/* ---- operators, by equality of two models that mean the same ---- */

/* Logits of both models for a random image agree to float rounding. */
static void same_function(struct model *a, struct model *b)
{
    struct ab_graph *u = load(model_save(a, "a.onnx")), *v = load(model_save(b, "b.onnx"));
    struct ab_dims d = ab_graph_input(u);
    size_t count = (size_t)d.c * (size_t)d.h * (size_t)d.w;
    float *x = malloc(count * sizeof *x);
    CHECK(x && ab_graph_classes(u) == ab_graph_classes(v), "sizes differ");
    struct rng r = rng_new(3);
    fill_floats(x, count, FILL_NORMAL, &r);
    double *y = naive_forward(u, x, u->output), *z = naive_forward(v, x, v->output);
    for (int i = 0; i < ab_graph_classes(u); i++)
        CHECK(fabs(y[i] - z[i]) <= 1e-5 * (1 + fabs(y[i])), "%g and %g", y[i], z[i]);
    free(x), free(y), free(z);
    ab_graph_destroy(&u);
    ab_graph_destroy(&v);
}

TEST(conv_auto_pad)
{
    /* SAME of 9x8, kernel 3x2 dilated 1x2, stride 2x1: 5x8 outputs; rows need (5-1)*2+3-9 = 2, one
     * each side; columns 7+3-8 = 2. With a kernel of extent 2 the odd one goes to one side. */
    const char *const modes[] = {"SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"};
    const int pads[][4] = {{1, 0, 1, 1}, {1, 1, 1, 0}, {0, 0, 0, 0}, {1, 2, 3, 1}};
    for (int i = 0; i < 4; i++) {
        context("%s", modes[i]);
        struct model a = conv_model(9, 8), b = conv_model(9, 8);
        attr_text(&a, "auto_pad", modes[i]);
        if (i == 3) attr_ints(&a, "pads", 4, 1, 2, 3, 1);
        attr_ints(&a, "strides", 2, 2, 1);
        add_node(&a, "Conv", "x w b", "f");
        attr_ints(&b, "pads", 4, pads[i][0], pads[i][1], pads[i][2], pads[i][3]);
        attr_ints(&b, "strides", 2, 2, 1);
        attr_ints(&b, "kernel_shape", 2, 3, 2);
        add_node(&b, "Conv", "x w b", "f");
        flatten_end(&a), flatten_end(&b);
        same_function(&a, &b);
    }
}

TEST(conv_pads_as_pad)
{
    struct model a = conv_model(7, 6), b = conv_model(7, 6), c = conv_model(7, 6);
    attr_ints(&a, "pads", 4, 1, 2, 3, 0);
    attr_ints(&a, "dilations", 2, 2, 3);
    add_node(&a, "Conv", "x w b", "f");
    /* opset 11 on: pads are an input; the value too, and may be left out */
    add_ints(&b, "pads", 8, (const int64_t[]){0, 0, 1, 2, 0, 0, 3, 0});
    attr_text(&b, "mode", "constant");
    add_node(&b, "Pad", "x pads", "p");
    attr_ints(&b, "dilations", 2, 2, 3);
    add_node(&b, "Conv", "p w b", "f");
    flatten_end(&a), flatten_end(&b);
    struct bytes copy = {0};
    put(&copy, a.graph.data, a.graph.n);
    struct model a2 = {.graph = copy, .opset = 13};
    same_function(&a, &b);
    /* opset 18: only the axes that are padded, in any order */
    c.opset = 18;
    add_ints(&c, "pads", 4, (const int64_t[]){2, 1, 0, 3});
    add_ints(&c, "axes", 2, (const int64_t[]){-1, 2});
    add_node(&c, "Pad", "x pads - axes", "p");
    attr_ints(&c, "dilations", 2, 2, 3);
    add_node(&c, "Conv", "p w b", "f");
    flatten_end(&c);
    same_function(&a2, &c);
}

TEST(pad_attribute)
{
    struct model a = model_new(2, 4, 4), b = model_new(2, 4, 4);
    a.opset = 10;
    attr_ints(&a, "pads", 8, 0, 0, 1, 0, 0, 0, 0, 2);
    attr_float(&a, "value", 0);
    add_node(&a, "Pad", "x", "f");
    add_ints(&b, "pads", 8, (const int64_t[]){0, 0, 1, 0, 0, 0, 0, 2});
    add_node(&b, "Pad", "x pads", "f");
    flatten_end(&a), flatten_end(&b);
    struct ab_graph *g = load(model_save(&a, "a.onnx"));
    struct ab_dims d = node(g, "Pad.f")->dims;
    CHECK(d.h == 5 && d.w == 6 && g->nodes[1].pad[0] == 1 && g->nodes[1].pad[3] == 2, "pads");
    ab_graph_destroy(&g);
    g = loaded(&b);
    ab_graph_destroy(&g);
}

static void add_number(struct model *m, const char *name, float value)
{
    struct bytes t = tensor(name, ONNX_FLOAT, 0, NULL, &value, sizeof value);
    put_part(&m->graph, 5, &t);
}

/* Clip from 0: bounds as inputs, as attributes before opset 11, and left out. */
TEST(clips)
{
    struct model a = model_new(2, 4, 4), b = model_new(2, 4, 4), c = model_new(2, 4, 4);
    add_number(&a, "low", 0), add_number(&a, "high", 0.5f);
    add_node(&a, "Clip", "x low high", "f");
    b.opset = 9;
    attr_float(&b, "min", 0), attr_float(&b, "max", 0.5f);
    add_node(&b, "Clip", "x", "f");
    add_number(&c, "low", 0);
    add_node(&c, "Clip", "x low", "f");
    flatten_end(&a), flatten_end(&b), flatten_end(&c);
    const float x[32] = {-1, 0.25f, 0.5f, 3, 0}, want[] = {0, 0.25f, 0.5f, 0.5f, 0};
    struct model *const both[] = {&a, &b};
    for (int k = 0; k < 2; k++) {
        struct ab_graph *g = loaded(both[k]);
        const struct ab_node *n = node(g, "Clip.f");
        CHECK(n->kind == AB_NODE_RELU && n->cap == 0.5f, "cap %g", (double)n->cap);
        double *y = naive_forward(g, x, (int)(n - g->nodes));
        for (int i = 0; i < 5; i++) CHECK(y[i] == (double)want[i], "element %d is %g", i, y[i]);
        free(y);
        ab_graph_destroy(&g);
    }
    struct ab_graph *g = loaded(&c);
    CHECK(node(g, "Clip.f")->kind == AB_NODE_RELU && node(g, "Clip.f")->cap == 0, "a plain ReLU");
    ab_graph_destroy(&g);
}

/* y = alpha * x W + beta * c in all its spellings */
TEST(dense_spellings)
{
    float w[2][3] = {{1, 2, 3}, {-4, 5, 6}}, wt[3][2], c[2] = {0.5f, -1}, both[2], scaled[2][3];
    for (int o = 0; o < 2; o++) {
        both[o] = 2 * c[o];
        for (int i = 0; i < 3; i++) wt[i][o] = w[o][i], scaled[o][i] = 3 * w[o][i];
    }
    for (int form = 0; form < 5; form++) {
        context("form %d", form);
        struct model a = model_new(3, 1, 1), b = model_new(3, 1, 1);
        struct bytes t = tensor("w", ONNX_FLOAT, 2, (const int[]){2, 3}, scaled, sizeof scaled);
        put_part(&b.graph, 5, &t);
        t = tensor("c", ONNX_FLOAT, 1, (const int[]){2}, both, sizeof both);
        put_part(&b.graph, 5, &t);
        add_node(&b, "Flatten", "x", "f");
        attr_int(&b, "transB", 1);
        add_node(&b, "Gemm", "f w c", "y");

        bool rows = form == 0;
        const void *data = rows ? (void *)w : form < 3 ? (void *)wt : (void *)scaled;
        float turned[3][2];
        for (int i = 0; form >= 3 && i < 6; i++) turned[i / 2][i % 2] = scaled[i % 2][i / 2];
        if (form >= 3) data = turned;
        t = tensor("w", ONNX_FLOAT, 2, rows ? (const int[]){2, 3} : (const int[]){3, 2}, data, 24);
        put_part(&a.graph, 5, &t);
        t = tensor("c", ONNX_FLOAT, form == 2 ? 2 : 1,
                   form == 2 ? (const int[]){1, 2} : (const int[]){2}, form < 3 ? c : both, 8);
        put_part(&a.graph, 5, &t);
        add_node(&a, "Flatten", "x", "f");
        if (form < 3) {
            attr_float(&a, "alpha", 3);
            attr_float(&a, "beta", 2);
            if (rows) attr_int(&a, "transB", 1);
            add_node(&a, "Gemm", "f w c", "y");
        } else {
            add_node(&a, "MatMul", "f w", "m");
            add_node(&a, "Add", form == 3 ? "m c" : "c m", "y");
        }
        same_function(&a, &b);
    }
}

TEST(conv_bias_by_add)
{
    struct model a = conv_model(5, 5), b = conv_model(5, 5);
    add_weights(&a, "k", 3, 6, 1, 1);
    add_node(&a, "Conv", "x w", "c");
    add_node(&a, "Add", "c k", "f");
    add_weights(&b, "k", 1, 6);
    add_node(&b, "Conv", "x w k", "f");
    flatten_end(&a), flatten_end(&b);
    same_function(&a, &b);
    /* not where others see the sum's input */
    a = conv_model(5, 5);
    add_weights(&a, "k", 4, 1, 6, 1, 1);
    add_node(&a, "Conv", "x w", "c");
    add_node(&a, "Identity", "c", "i");
    add_node(&a, "Add", "i k", "s");
    add_node(&a, "Add", "s c", "f");
    flatten_end(&a);
    refused(&a, AB_ERR_UNSUPPORTED, "a constant can be added only as the bias");
    a = conv_model(5, 5);
    add_weights(&a, "k", 1, 4); /* along the width */
    add_node(&a, "Conv", "x w", "c");
    add_node(&a, "Add", "c k", "f");
    flatten_end(&a);
    refused(&a, AB_ERR_UNSUPPORTED, "a constant can be added only as the bias");
}

/* Against PyTorch: torch.nn.BatchNorm2d in eval mode is g*(x-mean)/sqrt(var+eps)+b. */
TEST(batchnorm)
{
    struct model m = model_new(2, 1, 1);
    const float p[4][2] = {{2, -1}, {0.5f, 3}, {1, -2}, {4 - 1e-3f, 0.25f - 1e-3f}};
    const char *const names[] = {"g", "b", "mean", "var"};
    for (int i = 0; i < 4; i++) {
        struct bytes t = tensor(names[i], ONNX_FLOAT, 1, (const int[]){2}, p[i], 8);
        put_part(&m.graph, 5, &t);
    }
    attr_float(&m, "epsilon", 1e-3f);
    attr_float(&m, "momentum", 0.9f);
    add_node(&m, "BatchNormalization", "x g b mean var", "f");
    flatten_end(&m);
    struct ab_graph *g = loaded(&m);
    const float x[] = {3, 1};
    double *y = naive_forward(g, x, g->output);
    CHECK(fabs(y[0] - (2 * 2 / 2.0 + 0.5)) < 1e-5 && fabs(y[1] - (-3 / 0.5 + 3)) < 1e-5, "%g %g",
          y[0], y[1]);
    free(y);
    CHECK(strcmp(ab_graph_notes(g), "") == 0, "%s", ab_graph_notes(g));
    ab_graph_destroy(&g);
}

TEST(pools)
{
    struct model m = model_new(2, 7, 7);
    attr_ints(&m, "kernel_shape", 2, 3, 2);
    attr_ints(&m, "strides", 2, 2, 2);
    attr_ints(&m, "pads", 4, 1, 0, 1, 1);
    attr_int(&m, "ceil_mode", 1);
    add_node(&m, "MaxPool", "x", "a");
    attr_ints(&m, "kernel_shape", 2, 2, 2);
    attr_text(&m, "auto_pad", "SAME_UPPER");
    attr_int(&m, "count_include_pad", 1);
    add_node(&m, "AveragePool", "a", "b");
    attr_ints(&m, "kernel_shape", 2, 2, 2);
    attr_ints(&m, "dilations", 2, 2, 2);
    add_node(&m, "MaxPool", "b", "f");
    flatten_end(&m);
    struct ab_graph *g = loaded(&m);
    const struct ab_pool_shape *a = &node(g, "MaxPool.a")->pool;
    CHECK(a->oh == 4 && a->ow == 4 && a->kh == 3 && a->kw == 2 && a->pr == 1 && !a->include_pad,
          "%dx%d", a->oh, a->ow);
    const struct ab_pool_shape *b = &node(g, "AveragePool.b")->pool;
    CHECK(b->oh == 4 && b->pb == 1 && b->pt == 0 && b->include_pad && b->sh == 1, "same");
    CHECK(node(g, "MaxPool.f")->dims.h == 2, "dilated");
    ab_graph_destroy(&g);
    m = model_new(2, 7, 7);
    attr_ints(&m, "kernel_shape", 2, 3, 3);
    attr_ints(&m, "pads", 4, 1, 1, 1, 1);
    add_node(&m, "AveragePool", "x", "f");
    flatten_end(&m);
    g = loaded(&m);
    const struct ab_pool_shape *f = &node(g, "AveragePool.f")->pool;
    CHECK(!f->include_pad && f->oh == 7, "padding does not count by default");
    ab_graph_destroy(&g);
}

TEST(global_means)
{
    for (int form = 0; form < 4; form++) {
        context("form %d", form);
        struct model a = model_new(3, 4, 5), b = model_new(3, 4, 5);
        attr_ints(&a, "kernel_shape", 2, 4, 5);
        add_node(&a, "AveragePool", "x", "f");
        flatten_end(&a);
        if (form == 0) {
            add_node(&b, "GlobalAveragePool", "x", "f");
            attr_ints(&b, "axes", 2, 2, 3);
            b.opset = 12;
            add_node(&b, "Squeeze", "f", "y");
        } else if (form == 1) {
            attr_ints(&b, "axes", 2, -1, -2);
            attr_int(&b, "keepdims", 0);
            add_node(&b, "ReduceMean", "x", "y");
        } else if (form == 2) {
            b.opset = 18;
            add_ints(&b, "axes", 2, (const int64_t[]){2, 3});
            add_node(&b, "ReduceMean", "x axes", "g");
            add_node(&b, "Identity", "g", "y"); /* N,C,1,1 */
        } else {
            add_node(&b, "GlobalAveragePool", "x", "f");
            add_ints(&b, "axes", 2, (const int64_t[]){2, 3});
            add_node(&b, "Squeeze", "f axes", "s");
            add_node(&b, "Unsqueeze", "s axes", "u");
            flatten_end(&b);
        }
        same_function(&a, &b);
    }
    struct model m = model_new(3, 4, 5);
    add_node(&m, "GlobalMaxPool", "x", "f");
    flatten_end(&m);
    struct ab_graph *g = loaded(&m);
    CHECK(node(g, "GlobalMaxPool.f")->kind == AB_NODE_MAXPOOL && ab_graph_classes(g) == 3, "max");
    ab_graph_destroy(&g);
}

TEST(branches)
{
    struct model m = conv_model(6, 6);
    attr_ints(&m, "pads", 4, 1, 0, 1, 1);
    add_node(&m, "Conv", "x w b", "c");
    add_node(&m, "Relu", "c", "r");
    add_node(&m, "Dropout", "r", "d mask");
    add_node(&m, "Add", "c d", "s");
    attr_int(&m, "axis", -3);
    add_node(&m, "Concat", "s r x", "j");
    attr_int(&m, "axis", -3);
    add_node(&m, "Flatten", "j", "v");
    add_weights(&m, "q", 2, 16 * 36, 5);
    add_node(&m, "MatMul", "v q", "l");
    attr_int(&m, "axis", 1);
    add_node(&m, "Softmax", "l", "y");
    struct ab_graph *g = loaded(&m);
    CHECK(node(g, "Concat.j")->dims.c == 16 && ab_graph_classes(g) == 5, "shapes");
    CHECK(strcmp(ab_graph_notes(g),
                 "softmax 'Softmax.y' is cut off: attributions explain logits") == 0,
          "%s", ab_graph_notes(g));
    CHECK(ab_graph_parameters(g) == 6 * 24 + 6 + 16 * 36 * 5, "%zu", ab_graph_parameters(g));
    CHECK(strcmp(ab_graph_name(g), "model") == 0, "name %s", ab_graph_name(g));
    ab_graph_destroy(&g);
}

TEST(softmax_inside)
{
    struct model m = model_new(3, 1, 1);
    add_node(&m, "Flatten", "x", "f");
    add_node(&m, "LogSoftmax", "f", "s");
    add_node(&m, "Relu", "s", "y");
    refused(&m, AB_ERR_UNSUPPORTED, "a softmax may only be the last layer");
}

/* x.view(x.size(0), -1) with a symbolic batch, as torch exports it; then with everything frozen. */
TEST(run_time_shapes)
{
    struct model m = model_new(3, 4, 4);
    add_node(&m, "Shape", "x", "shape");
    struct bytes t = tensor("", ONNX_INT64, 0, NULL, (const int64_t[]){0}, 8);
    attr_tensor(&m, "value", &t);
    add_node(&m, "Constant", "", "zero");
    attr_int(&m, "axis", 0);
    add_node(&m, "Gather", "shape zero", "n");
    attr_ints(&m, "axes", 1, 0);
    m.opset = 12;
    add_node(&m, "Unsqueeze", "n", "n1");
    add_ints(&m, "rest", 1, (const int64_t[]){-1});
    attr_int(&m, "axis", 0);
    add_node(&m, "Concat", "n1 rest", "to");
    add_node(&m, "Reshape", "x to", "y");
    struct ab_graph *g = loaded(&m);
    CHECK(ab_graph_classes(g) == 48, "%d", ab_graph_classes(g));
    ab_graph_destroy(&g);
    const int64_t fit[][2] = {{-1, 48}, {0, 48}, {0, -1}, {1, -1}, {1, 48}, {5, 48}};
    const int64_t unfit[][2] = {{-1, -1}, {-1, 24}, {0, 96}, {48, 1}, {-2, 48}, {0, 0}};
    for (int i = 0; i < 12; i++) {
        m = model_new(3, 4, 4);
        const int64_t *to = i < 6 ? fit[i] : unfit[i - 6];
        context("to %d,%d", (int)to[0], (int)to[1]);
        add_ints(&m, "to", 2, to);
        add_node(&m, "Reshape", "x to", "y");
        if (i < 6) {
            g = loaded(&m);
            ab_graph_destroy(&g);
        } else {
            refused(&m, AB_ERR_UNSUPPORTED, "does not fit 3x4x4");
        }
    }
    m = (struct model){.opset = 13}; /* a fixed batch of 4: {1, -1} would join the images */
    add_input(&m, "x", 4, 3, 4, 4);
    add_output(&m, "y", 2);
    add_ints(&m, "to", 2, (const int64_t[]){1, -1});
    add_node(&m, "Reshape", "x to", "y");
    refused(&m, AB_ERR_UNSUPPORTED, "does not fit 3x4x4");
    m = model_new(3, 4, 4);
    add_ints(&m, "to", 4, (const int64_t[]){-1, 0, 4, 4});
    add_node(&m, "Reshape", "x to", "f");
    flatten_end(&m);
    g = loaded(&m);
    CHECK(g->n_nodes == 2, "a view made a node");
    ab_graph_destroy(&g);
}

TEST(vector_input)
{
    struct model m = {.opset = 13};
    add_info(&m, 11, "x", ONNX_FLOAT, 2, (const int[]){-1, 7});
    add_output(&m, "y", 2);
    add_weights(&m, "w", 2, 7, 3);
    add_node(&m, "MatMul", "x w", "y");
    struct ab_graph *g = loaded(&m);
    struct ab_dims d = ab_graph_input(g);
    CHECK(d.c == 7 && d.h == 1 && d.w == 1 && ab_graph_classes(g) == 3, "dims");
    ab_graph_destroy(&g);
}

/* Initializers among the inputs (IR 3), float_data, doubles, float lists in Constant nodes. */
TEST(constant_forms)
{
    struct model m = model_new(2, 1, 1);
    add_info(&m, 11, "w", ONNX_FLOAT, 2, (const int[]){2, 2});
    struct bytes t = {0};
    put_int(&t, 1, 2), put_int(&t, 1, 2), put_int(&t, 2, ONNX_FLOAT), put_text(&t, 8, "w");
    put_bytes(&t, 4, (const float[]){1, 2, 3, 4}, 16); /* packed float_data */
    put_part(&m.graph, 5, &t);
    t = tensor("c", ONNX_DOUBLE, 1, (const int[]){2}, (const double[]){10, 20}, 16);
    put_part(&m.graph, 5, &t);
    add_node(&m, "Flatten", "x", "f");
    add_node(&m, "Gemm", "f w c", "g");
    struct bytes a = {0};
    put_text(&a, 1, "value_floats"), put_int(&a, 20, 6);
    put_float(&a, 7, 100), put_float(&a, 7, 200);
    put_part(&m.attributes, 5, &a);
    add_node(&m, "Constant", "", "k");
    add_node(&m, "Add", "k g", "y");
    struct ab_graph *g = loaded(&m);
    const float x[] = {1, 1};
    double *y = naive_forward(g, x, g->output);
    CHECK(y[0] == 114 && y[1] == 226, "%g %g", y[0], y[1]);
    free(y);
    ab_graph_destroy(&g);
}

/* ---- models in the repository ---- */

/* The logits of the golden networks, which other tools computed in double. */
TEST(golden_logits)
{
    static const char *const names[] = {"plain", "residual", "concat", "bias-free"};
    for (int i = 0; i < 4; i++) {
        char path[256];
        struct ab_error err = {""};
        snprintf(path, sizeof path, "data/golden/%s/model.onnx", names[i]);
        context("%s", path);
        if (access(path, R_OK) != 0) continue;
        struct ab_graph *g = load(path);
        struct ab_dims d = ab_graph_input(g), classes = {ab_graph_classes(g), 1, 1};
        float *x, *want;
        int n, m;
        snprintf(path, sizeof path, "data/golden/%s/input.npy", names[i]);
        CHECK(ab_npy_read(path, d, &x, &n, &err) == AB_OK, "%s", err.text);
        snprintf(path, sizeof path, "data/golden/%s/logits.npy", names[i]);
        CHECK(ab_npy_read(path, classes, &want, &m, &err) == AB_OK && m == n, "%s", err.text);
        for (int k = 0; k < n; k++) {
            double *y = naive_forward(g, x + (size_t)k * (size_t)(d.c * d.h * d.w), g->output);
            for (int c = 0; c < classes.c; c++)
                CHECK(fabs(y[c] - (double)want[k * classes.c + c]) < 1e-5 * (1 + fabs(y[c])),
                      "image %d, class %d: %g, not %g", k, c, y[c],
                      (double)want[k * classes.c + c]);
            free(y);
        }
        free(x), free(want);
        ab_graph_destroy(&g);
    }
}

TEST(digits)
{
    if (access("data/digits/digits.onnx", R_OK) != 0) return;
    struct ab_graph *g = load("data/digits/digits.onnx");
    struct ab_dims d = ab_graph_input(g);
    CHECK(d.c == 1 && d.h == 28 && d.w == 28 && ab_graph_classes(g) == 10, "shapes");
    CHECK(ab_graph_parameters(g) == 92170, "%zu parameters", ab_graph_parameters(g));
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {
    CASE(conv_auto_pad),   CASE(conv_pads_as_pad), CASE(clips),          CASE(pad_attribute),
    CASE(dense_spellings), CASE(conv_bias_by_add), CASE(batchnorm),      CASE(pools),
    CASE(global_means),    CASE(branches),         CASE(softmax_inside), CASE(run_time_shapes),
    CASE(vector_input),    CASE(constant_forms),   CASE(golden_logits),  CASE(digits)};
#if AB_WITH_ONNX
TEST_MAIN("onnx", cases)
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
    return test_main("onnx", without, 1, argc, argv);
}
#endif
