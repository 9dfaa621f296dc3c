// SPDX-License-Identifier: Apache-2.0
// Graphs: the built-in networks against torchvision's numbers, shape inference, refusals, and
// batch-norm folding against a forward pass written down from the definition.
#include "files.h"
#include "model/infer.h"
#include "naive.h"

#include <limits.h>

static struct ab_graph *builtin(const char *name, uint64_t seed)
{
    struct ab_error err = {""};
    struct ab_graph *g;
    context("%s", name);
    CHECK(ab_graph_builtin(name, seed, &g, &err) == AB_OK, "%s", err.text);
    return g;
}

static const struct ab_node *named(const struct ab_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0) return &g->nodes[i];
    test_fail(__FILE__, __LINE__, "no layer %s", name);
}

/* ---- built-in networks ---- */

/* torchvision.models.<name>: sum(p.numel() for p in parameters()). */
static void check_builtin(const char *name, size_t parameters, const char *layer,
                          struct ab_dims dims)
{
    struct ab_graph *g = builtin(name, 1);
    CHECK(ab_graph_parameters(g) == parameters, "%zu parameters", ab_graph_parameters(g));
    CHECK(ab_graph_classes(g) == 1000, "%d classes", ab_graph_classes(g));
    CHECK(strcmp(ab_graph_name(g), name) == 0, "called %s", ab_graph_name(g));
    struct ab_dims in = ab_graph_input(g), at = named(g, layer)->dims;
    CHECK(in.c == 3 && in.h == 224 && in.w == 224, "input");
    CHECK(at.c == dims.c && at.h == dims.h && at.w == dims.w, "%s is %dx%dx%d", layer, at.c, at.h,
          at.w);
    for (int i = 0; i < g->n_nodes; i++)
        CHECK(g->nodes[i].kind != AB_NODE_BATCHNORM, "%s is not folded", g->nodes[i].name);
    ab_graph_destroy(&g);
    CHECK(!g, "destroy leaves the pointer");
}

TEST(alexnet)
{
    check_builtin("alexnet", 61100840, "features.12", (struct ab_dims){256, 6, 6});
}

TEST(vgg16)
{
    check_builtin("vgg16", 138357544, "features.28", (struct ab_dims){512, 14, 14});
}

TEST(vgg19)
{
    check_builtin("vgg19", 143667240, "features.36", (struct ab_dims){512, 7, 7});
}

TEST(resnet18)
{
    check_builtin("resnet18", 11689512, "layer4.1.conv2", (struct ab_dims){512, 7, 7});
}

TEST(resnet50)
{
    check_builtin("resnet50", 25557032, "layer4.2.conv3", (struct ab_dims){2048, 7, 7});
}

TEST(mobilenet_v2)
{
    check_builtin("mobilenet_v2", 3504872, "features.18.0", (struct ab_dims){1280, 7, 7});
}

/* The first block has no expansion; blocks 2 and 4 change their size, 3 adds its input. */
TEST(mobilenet_v2_is_torchvisions)
{
    static const struct {
        const char *name;
        enum ab_node_kind kind;
        int channels, size;
    } layers[] = {{"features.0.0", AB_NODE_CONV, 32, 112},
                  {"features.0.2", AB_NODE_RELU, 32, 112},
                  {"features.1.conv.0.0", AB_NODE_CONV, 32, 112},
                  {"features.1.conv.1", AB_NODE_CONV, 16, 112},
                  {"features.2.conv.0.2", AB_NODE_RELU, 96, 112},
                  {"features.2.conv.1.0", AB_NODE_CONV, 96, 56},
                  {"features.2.conv.2", AB_NODE_CONV, 24, 56},
                  {"features.3.add", AB_NODE_ADD, 24, 56},
                  {"features.4.conv.2", AB_NODE_CONV, 32, 28},
                  {"features.17.conv.1.2", AB_NODE_RELU, 960, 7},
                  {"features.17.conv.2", AB_NODE_CONV, 320, 7},
                  {"features.18.2", AB_NODE_RELU, 1280, 7},
                  {"classifier.1", AB_NODE_DENSE, 1000, 1}};
    struct ab_graph *g = builtin("mobilenet_v2", 1);
    int relus = 0, sums = 0;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct ab_node *n = named(g, layers[i].name);
        CHECK(n->kind == layers[i].kind && n->dims.c == layers[i].channels &&
                  n->dims.h == layers[i].size,
              "%s is %s of %dx%d", n->name, ab_node_kind_name(n->kind), n->dims.c, n->dims.h);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const struct ab_node *n = &g->nodes[i];
        if (n->kind == AB_NODE_RELU) CHECK(n->cap == 6, "%s has cap %g", n->name, (double)n->cap);
        relus += n->kind == AB_NODE_RELU;
        sums += n->kind == AB_NODE_ADD;
    }
    CHECK(relus == 35 && sums == 10, "%d ReLU6, %d sums", relus, sums);
    CHECK(named(g, "features.2.conv.1.0")->conv.g == 96, "not depthwise");
    g->nodes[2].cap = 5;
    struct ab_graph *h = builtin("mobilenet_v2", 1);
    CHECK(ab_graph_hash(g) != ab_graph_hash(h), "caps do not matter");
    ab_graph_destroy(&g);
    ab_graph_destroy(&h);
}

/* Some units of the first and of the last ReLU6 are at their cap, and not many. */
TEST(mobilenet_v2_keeps_its_scale)
{
    struct ab_graph *g = builtin("mobilenet_v2", 1);
    float *x = malloc(3 * 224 * 224 * sizeof *x);
    CHECK(x, "memory");
    for (uint64_t i = 0; i < 3 * 224 * 224; i++) x[i] = (float)ab_normal(9, i);
    const char *const at[] = {"features.0.2", "features.2.conv.0.2"};
    for (int k = 0; k < 2; k++) {
        const struct ab_node *n = named(g, at[k]);
        const size_t count = naive_count(n);
        double *y = naive_forward(g, x, (int)(n - g->nodes));
        size_t capped = 0, open = 0;
        for (size_t i = 0; i < count; i++) capped += y[i] == 6, open += y[i] > 0;
        CHECK(capped > 0 && capped < count / 20 && open > count / 4,
              "%s: %zu of %zu at 6, %zu open", at[k], capped, count, open);
        free(y);
    }
    free(x);
    ab_graph_destroy(&g);
}

TEST(torchvision_names)
{
    struct ab_graph *g = builtin("resnet18", 1);
    static const char *const names[] = {"conv1",
                                        "relu",
                                        "maxpool",
                                        "layer1.0.conv1",
                                        "layer1.0.relu",
                                        "layer1.0.add",
                                        "layer1.0.relu_1",
                                        "layer2.0.downsample.0",
                                        "avgpool",
                                        "flatten",
                                        "fc"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) named(g, names[i]);
    CHECK(strcmp(ab_graph_notes(g), "20 batch-norms folded into the layers before") == 0, "%s",
          ab_graph_notes(g));
    CHECK(strcmp(g->nodes[g->output].name, "fc") == 0, "output %s", g->nodes[g->output].name);
    CHECK(named(g, "layer2.0.downsample.0")->bias, "folding made no bias");
    ab_graph_destroy(&g);
}

TEST(seeds)
{
    struct ab_graph *a = builtin("resnet18", 1), *b = builtin("resnet18", 1);
    struct ab_graph *c = builtin("resnet18", 2);
    CHECK(ab_graph_hash(a) == ab_graph_hash(b), "the same seed differs");
    CHECK(ab_graph_hash(a) != ab_graph_hash(c), "seeds do not matter");
    const struct ab_node *u = named(a, "layer1.0.conv1"), *v = named(a, "layer1.0.conv2");
    CHECK(memcmp(u->wei, v->wei, 64) != 0, "layers are equal");
    b->nodes[1].wei[5] += 1;
    CHECK(ab_graph_hash(a) != ab_graph_hash(b), "weights do not matter");
    ab_graph_destroy(&a);
    ab_graph_destroy(&b);
    ab_graph_destroy(&c);
}

/* Activations of a residual network stay within a factor of ten from the first block to the last:
 * the largest mean square at a ReLU over the smallest. */
TEST(residuals_keep_their_scale)
{
    struct ab_graph *g = builtin("resnet18", 1);
    float *x = malloc(3 * 224 * 224 * sizeof *x);
    CHECK(x, "memory");
    for (uint64_t i = 0; i < 3 * 224 * 224; i++) x[i] = (float)ab_normal(9, i);
    double low = INFINITY, high = 0, rms = 0;
    const char *const at[] = {"relu", "layer1.1.relu_1", "layer4.1.relu_1"};
    for (int k = 0; k < 3; k += 2) {
        const struct ab_node *n = named(g, at[k]);
        double *y = naive_forward(g, x, (int)(n - g->nodes));
        rms = 0;
        for (size_t i = 0; i < naive_count(n); i++) rms += y[i] * y[i];
        rms = sqrt(rms / (double)naive_count(n));
        low = rms < low ? rms : low, high = rms > high ? rms : high;
        free(y);
    }
    CHECK(high < 10 * low && high < 30 && low > 0.03, "from %g to %g", low, high);
    free(x);
    ab_graph_destroy(&g);
}

/* The same weights whatever the size of the image. */
static void check_size(const char *usual_name, const char *name, int h, int w, const char *layer,
                       struct ab_dims dims)
{
    struct ab_graph *usual = builtin(usual_name, 1), *g = builtin(name, 1);
    struct ab_dims in = ab_graph_input(g), at = named(g, layer)->dims;
    CHECK(strcmp(ab_graph_name(g), name) == 0, "called %s", ab_graph_name(g));
    CHECK(in.c == 3 && in.h == h && in.w == w, "input %dx%d", in.h, in.w);
    CHECK(at.c == dims.c && at.h == dims.h && at.w == dims.w, "%s is %dx%dx%d", layer, at.c, at.h,
          at.w);
    CHECK(ab_graph_classes(g) == 1000, "%d classes", ab_graph_classes(g));
    CHECK(ab_graph_parameters(g) == ab_graph_parameters(usual), "%zu parameters",
          ab_graph_parameters(g));
    const struct ab_node *a = &usual->nodes[usual->output], *b = &g->nodes[g->output];
    CHECK(memcmp(a->wei, b->wei, a->wei_count * sizeof *a->wei) == 0, "other weights");
    ab_graph_destroy(&usual);
    ab_graph_destroy(&g);
}

TEST(sizes)
{
    check_size("resnet18", "resnet18@224", 224, 224, "layer4.1.conv2", (struct ab_dims){512, 7, 7});
    check_size("resnet18", "resnet18@448", 448, 448, "layer4.1.conv2",
               (struct ab_dims){512, 14, 14});
    check_size("resnet18", "resnet18@320x256", 320, 256, "layer4.1.conv2",
               (struct ab_dims){512, 10, 8});
    check_size("resnet18", "resnet18@32", 32, 32, "avgpool", (struct ab_dims){512, 1, 1});
    check_size("alexnet", "alexnet@446x223", 446, 223, "avgpool", (struct ab_dims){256, 6, 6});
    check_size("alexnet", "alexnet@415x254", 415, 254, "features.12", (struct ab_dims){256, 12, 6});
}

TEST(vgg_sizes)
{
    struct ab_graph *g = builtin("vgg16@448x255", 1);
    const struct ab_node *pool = named(g, "avgpool"), *before = named(g, "features.30");
    CHECK(before->dims.h == 14 && before->dims.w == 7, "%dx%d", before->dims.h, before->dims.w);
    CHECK(pool->dims.h == 7 && pool->dims.w == 7, "%dx%d", pool->dims.h, pool->dims.w);
    CHECK(pool->pool.kh == 2 && pool->pool.sh == 2 && pool->pool.kw == 1 && pool->pool.sw == 1,
          "window");
    CHECK(ab_graph_parameters(g) == 138357544, "%zu parameters", ab_graph_parameters(g));
    ab_graph_destroy(&g);
}

TEST(sizes_that_cannot_be)
{
    static const char *const wrong[] = {
        "",          "31",  "2049", "x",           "448x", "x448",  "448x31",
        "448x448x3", "-64", "448 ", "99999999999", "1e3",  "64@64", "224X224"};
    struct ab_error err = {""};
    struct ab_graph *g = (struct ab_graph *)&err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char name[64];
        snprintf(name, sizeof name, "resnet18@%s", wrong[i]);
        context("%s", name);
        check_error(ab_graph_open(name, 1, &g, &err), AB_ERR_ARG, &err, "HEIGHTxWIDTH, from 32 to");
        CHECK(!g, "a graph");
    }
    check_error(ab_graph_open("resent18@448", 1, &g, &err), AB_ERR_ARG, &err,
                "did you mean 'resnet18'?");
    check_error(ab_graph_open("vgg16@300", 1, &g, &err), AB_ERR_ARG, &err,
                "9x9 features do not pool to 7x7 in equal windows; sides that do: 224-255, "
                "448-479, 672-703, 896-927, 1120-1151, 1344-1375, 1568-1599, 1792-1823, 2016-2047");
    check_error(ab_graph_open("vgg19@224x256", 1, &g, &err), AB_ERR_ARG, &err, "vgg19@224x256");
    check_error(ab_graph_open("alexnet@448", 1, &g, &err), AB_ERR_ARG, &err,
                "13x13 features do not pool to 6x6 in equal windows; sides that do: 223-254, "
                "415-446, ");
    check_error(ab_graph_open("alexnet@32", 1, &g, &err), AB_ERR_ARG, &err, "0x0 features");
}

TEST(unknown_names)
{
    struct ab_error err = {""};
    struct ab_graph *g = (struct ab_graph *)&err;
    check_error(ab_graph_open("vgg61", 1, &g, &err), AB_ERR_ARG, &err, "did you mean 'vgg16'?");
    CHECK(!g && strstr(err.text, "resnet50"), "no list: %s", err.text);
    check_error(ab_graph_open("zebra", 1, &g, &err), AB_ERR_ARG, &err, "unknown model 'zebra'");
    CHECK(!strstr(err.text, "did you mean"), "%s", err.text);
    ab_graph_destroy(&g);
    int count;
    const struct ab_model_info *models = ab_models(&count);
    CHECK(count >= 5, "%d models", count);
    for (int i = 0; i < count; i++)
        CHECK(*models[i].name && *models[i].summary && *models[i].source, "model %d", i);
}

/* ---- small graphs ---- */

static struct ab_builder start(int c, int h, int w, struct ab_error *err)
{
    struct ab_builder b = {.seed = 5, .err = err};
    b.status = ab_graph_create("small", &b.graph, err);
    ab_build_input(&b, c, h, w);
    return b;
}

static void check_dims(const struct ab_builder *b, int node, int c, int h, int w)
{
    CHECK(node >= 0, "%s", b->err->text);
    struct ab_dims d = b->graph->nodes[node].dims;
    CHECK(d.c == c && d.h == h && d.w == w, "%s is %dx%dx%d, not %dx%dx%d",
          b->graph->nodes[node].name, d.c, d.h, d.w, c, h, w);
}

TEST(shapes)
{
    struct ab_error err = {""};
    struct ab_builder b = start(3, 15, 14, &err);
    check_dims(&b, ab_build_conv(&b, "same", 0, 8, 3, 1, 1, 1, false), 8, 15, 14);
    check_dims(&b, ab_build_conv(&b, "strided", 0, 8, 3, 2, 0, 1, false), 8, 7, 6);
    check_dims(&b, ab_build_conv(&b, "grouped", 0, 6, 5, 3, 2, 3, false), 6, 5, 5);
    check_dims(&b, ab_build_maxpool(&b, "floor", 0, 2, 2, 0, false), 3, 7, 7);
    check_dims(&b, ab_build_maxpool(&b, "ceil", 0, 2, 2, 0, true), 3, 8, 7);
    /* torch.nn.MaxPool2d(3, 2, 1, ceil_mode=True) of 15x14 gives 8x8; the window of a ninth row
     * would start in the padding. */
    check_dims(&b, ab_build_maxpool(&b, "ceil-pad", 0, 3, 2, 1, true), 3, 8, 8);
    /* torch.nn.MaxPool2d(2, 2, 1, ceil_mode=True): (15+2-2)/2 = 7.5 -> 9 windows, the last starting
     * at row 15 of the image: dropped. */
    check_dims(&b, ab_build_maxpool(&b, "ceil-drop", 0, 2, 2, 1, true), 3, 8, 8);
    check_dims(&b, ab_build_avgpool(&b, "avg", 0, 3, 1, 1), 3, 15, 14);
    check_dims(&b, ab_build_global_avgpool(&b, "global", 0), 3, 1, 1);
    int both[] = {0, 0, ab_build_relu(&b, "relu", 0)};
    check_dims(&b, ab_build_concat(&b, "concat", both, 3), 9, 15, 14);
    int flat = ab_build_flatten(&b, "flatten", 0);
    check_dims(&b, flat, 630, 1, 1);
    check_dims(&b, ab_build_dense(&b, "dense", flat, 10, true), 10, 1, 1);
    ab_graph_destroy(&b.graph);
}

/* After one failure everything else does nothing, and the first message stays. */
TEST(builders_stop)
{
    struct ab_error err = {""};
    struct ab_builder b = start(3, 8, 8, &err);
    int bad = ab_build_conv(&b, "big", 0, 4, 9, 1, 0, 1, true);
    int nodes = b.graph->n_nodes;
    CHECK(bad == -1 && ab_build_relu(&b, "relu", bad) == -1, "goes on");
    CHECK(ab_build_add(&b, "add", 0, bad) == -1 && b.graph->n_nodes == nodes, "goes on");
    check_error(b.status, AB_ERR_FORMAT, &err, "'big'");
    ab_graph_destroy(&b.graph);
}

TEST(refusals)
{
    struct ab_error err = {""};
    static const struct {
        int k, s, p, g, oc;
        const char *needle;
    } convs[] = {
        {9, 1, 0, 1, 4, "larger than the padded image"},
        {3, 1, 1, 2, 4, "groups"},
        {3, 1, 1, 3, 4, "groups"},
        {3, 1, 1, 0, 4, "groups"},
        {3, 1, 1, 1, 0, "groups"},
        {0, 1, 1, 1, 4, "out of range"},
        {3, 0, 1, 1, 4, "out of range"},
        {3, 1, -1, 1, 4, "out of range"},
        {3, 1, 1 << 20, 1, 4, "out of range"},
        {3, 1, 30000, 1, 4, "below 2^31"},
        {1, 1, 0, 1, INT_MAX, "below 2^31"},
    };
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        context("conv %zu", i);
        struct ab_builder b = start(3, 8, 8, &err);
        ab_build_conv(&b, "c", 0, convs[i].oc, convs[i].k, convs[i].s, convs[i].p, convs[i].g,
                      true);
        check_error(b.status, AB_ERR_FORMAT, &err, convs[i].needle);
        ab_graph_destroy(&b.graph);
    }
    struct ab_builder b = start(3, 8, 8, &err);
    ab_build_maxpool(&b, "p", 0, 2, 2, 2, false);
    check_error(b.status, AB_ERR_FORMAT, &err, "in the padding entirely");
    ab_graph_destroy(&b.graph);
    b = start(3, 8, 8, &err);
    ab_build_dense(&b, "d", 0, 4, true);
    check_error(b.status, AB_ERR_FORMAT, &err, "flatten it first");
    ab_graph_destroy(&b.graph);
    b = start(3, 8, 8, &err);
    ab_build_relu(&b, "r", ab_build_add(&b, "a", 0, ab_build_maxpool(&b, "m", 0, 2, 2, 0, false)));
    check_error(b.status, AB_ERR_FORMAT, &err, "3x8x8 and 3x4x4");
    ab_graph_destroy(&b.graph);
    b = start(0, 8, 8, &err);
    check_error(b.status, AB_ERR_FORMAT, &err, "positive");
    ab_graph_destroy(&b.graph);
    b = start(65536, 65536, 1, &err);
    check_error(b.status, AB_ERR_FORMAT, &err, "below 2^31");
    ab_graph_destroy(&b.graph);
}

static void finish_fails(struct ab_builder *b, int output, enum ab_status want, const char *needle)
{
    context("%s", needle);
    CHECK(b->status == AB_OK, "%s", b->err->text);
    check_error(ab_graph_finish(b->graph, output, b->err), want, b->err, needle);
    ab_graph_destroy(&b->graph);
}

TEST(finish_refusals)
{
    struct ab_error err = {""};
    struct ab_builder b = start(3, 8, 8, &err);
    int conv = ab_build_conv(&b, "conv", 0, 4, 3, 1, 1, 1, true);
    finish_fails(&b, conv, AB_ERR_UNSUPPORTED, "is an image of 4x8x8");
    const float evil[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 6; i++) {
        b = start(3, 8, 8, &err);
        conv = ab_build_conv(&b, "conv", 0, 4, 3, 1, 1, 1, true);
        struct ab_node *n = &b.graph->nodes[conv];
        *(i < 3 ? &n->wei[107] : &n->bias[3]) = evil[i % 3];
        int flat = ab_build_flatten(&b, "flat", conv);
        finish_fails(&b, flat, AB_ERR_FORMAT, "layer 'conv' (CONV): a weight is NaN or infinite");
    }
    b = start(3, 8, 8, &err);
    int flat = ab_build_flatten(&b, "flat", 0);
    finish_fails(&b, flat + 1, AB_ERR_FORMAT, "no output");
    b = start(3, 8, 8, &err);
    b.graph->nodes[0].kind = AB_NODE_RELU;
    finish_fails(&b, 0, AB_ERR_FORMAT, "not the input");
    b = start(3, 8, 8, &err);
    ab_build_input(&b, 3, 8, 8);
    finish_fails(&b, 1, AB_ERR_UNSUPPORTED, "second input");
    b = start(3, 8, 8, &err);
    flat = ab_build_flatten(&b, "flat", 0);
    b.graph->nodes[flat].in[0] = flat;
    finish_fails(&b, flat, AB_ERR_FORMAT, "not before it");
    b = start(3, 8, 8, &err);
    conv = ab_build_conv(&b, "conv", 0, 4, 3, 1, 1, 1, true);
    b.graph->nodes[conv].wei_count--;
    flat = ab_build_flatten(&b, "flat", conv);
    finish_fails(&b, flat, AB_ERR_FORMAT, "has 107 weights, but its shape needs 108");
}

TEST(unneeded_nodes_go)
{
    struct ab_error err = {""};
    struct ab_builder b = start(3, 8, 8, &err);
    ab_build_conv(&b, "unused", 0, 4, 3, 1, 1, 1, true);
    int used = ab_build_conv(&b, "used", 0, 5, 3, 1, 1, 1, true);
    ab_build_relu(&b, "unused2", used);
    int flat = ab_build_flatten(&b, "flat", used);
    CHECK(ab_graph_finish(b.graph, flat, &err) == AB_OK, "%s", err.text);
    CHECK(b.graph->n_nodes == 3 && b.graph->output == 2, "%d nodes", b.graph->n_nodes);
    CHECK(ab_graph_parameters(b.graph) == 5 * 27 + 5, "%zu", ab_graph_parameters(b.graph));
    CHECK(b.graph->nodes[2].in[0] == 1, "edges");
    ab_graph_destroy(&b.graph);
}

TEST(signs)
{
    struct ab_error err = {""};
    struct ab_builder b = start(3, 8, 8, &err);
    int conv = ab_build_conv(&b, "conv", 0, 3, 3, 1, 1, 1, true);
    int relu = ab_build_relu(&b, "relu", conv);
    int mixed[] = {relu, conv}, same[] = {relu, ab_build_avgpool(&b, "avg", relu, 3, 1, 1)};
    int some = ab_build_concat(&b, "some", mixed, 2), all = ab_build_concat(&b, "all", same, 2);
    int sum = ab_build_add(&b, "sum", some, all);
    int positive = ab_build_add(&b, "positive", all, all);
    CHECK(ab_graph_add(b.graph, AB_NODE_PAD, "pad", &positive, 1), "memory");
    int pad = b.graph->n_nodes - 1; /* by nothing */
    CHECK(ab_infer_node(b.graph, pad, &err) == AB_OK, "%s", err.text);
    int again = ab_build_conv(&b, "again", pad, 6, 1, 1, 0, 1, true);
    int join[] = {sum, again};
    int out = ab_build_flatten(&b, "out", ab_build_concat(&b, "join", join, 2));
    CHECK(ab_graph_finish(b.graph, out, &err) == AB_OK, "%s", err.text);
    static const char *const nonneg[] = {"relu", "avg", "all", "positive", "pad"};
    static const char *const any[] = {"input", "conv", "some", "sum", "again", "join", "out"};
    for (int i = 0; i < 5; i++) CHECK(named(b.graph, nonneg[i])->nonneg, "%s", nonneg[i]);
    for (int i = 0; i < 7; i++) CHECK(!named(b.graph, any[i])->nonneg, "%s", any[i]);
    ab_graph_destroy(&b.graph);
}

/* ---- folding ---- */

/* conv-bn, conv(bias)-bn-bn, conv read twice and bn, bn on the input, dense-bn. */
static struct ab_builder normed(struct ab_error *err, int *output)
{
    struct ab_builder b = start(3, 7, 6, err);
    int x = ab_build_batchnorm(&b, "bn0", 0);
    x = ab_build_batchnorm(&b, "bn1", ab_build_conv(&b, "conv1", x, 6, 3, 1, 1, 3, false));
    x = ab_build_conv(&b, "conv2", ab_build_relu(&b, "relu", x), 5, 3, 2, 1, 1, true);
    x = ab_build_batchnorm(&b, "bn3", ab_build_batchnorm(&b, "bn2", x));
    int twice = ab_build_conv(&b, "conv3", x, 5, 1, 1, 0, 1, true);
    x = ab_build_add(&b, "add", ab_build_batchnorm(&b, "bn4", twice), twice);
    x = ab_build_dense(&b, "fc", ab_build_flatten(&b, "flatten", x), 4, false);
    *output = ab_build_batchnorm(&b, "bn5", x);
    CHECK(b.status == AB_OK, "%s", err->text);
    return b;
}

TEST(folding_keeps_the_function)
{
    struct ab_error err = {""};
    int output;
    struct ab_builder plain = normed(&err, &output), folded = normed(&err, &output);
    CHECK(ab_graph_finish(folded.graph, output, &err) == AB_OK, "%s", err.text);
    struct ab_graph *g = folded.graph;
    CHECK(strcmp(ab_graph_notes(g), "4 batch-norms folded into the layers before") == 0, "%s",
          ab_graph_notes(g));
    int norms = 0;
    for (int i = 0; i < g->n_nodes; i++) norms += g->nodes[i].kind == AB_NODE_BATCHNORM;
    CHECK(norms == 2, "%d batch-norms are left", norms);
    CHECK(strcmp(g->nodes[g->output].name, "fc") == 0, "output %s", g->nodes[g->output].name);
    CHECK(ab_graph_parameters(g) ==
              6 * 9 + 5 * 6 * 9 + 5 + 5 * 5 + 5 + 4 * 5 * 4 * 3 + 2 * (3 + 6 + 5 + 5 + 5 + 4),
          "%zu parameters", ab_graph_parameters(g));
    float x[3 * 7 * 6];
    for (uint64_t i = 0; i < 3 * 7 * 6; i++) x[i] = (float)ab_normal(11, i);
    double *want = naive_forward(plain.graph, x, output), *got = naive_forward(g, x, g->output);
    for (int i = 0; i < 4; i++)
        /* Each folded weight is rounded once more, 2^-24; some hundred products add up. */
        CHECK(fabs(got[i] - want[i]) < 1e-5 * (1 + fabs(want[i])), "%g, not %g", got[i], want[i]);
    free(want);
    free(got);
    ab_graph_destroy(&plain.graph);
    ab_graph_destroy(&folded.graph);
}

TEST(folding_overflow)
{
    struct ab_error err = {""};
    struct ab_builder b = start(3, 4, 4, &err);
    int conv = ab_build_conv(&b, "conv", 0, 4, 1, 1, 0, 1, false);
    int bn = ab_build_batchnorm(&b, "bn", conv);
    b.graph->nodes[conv].wei[3] = 1e30f;
    b.graph->nodes[bn].wei[1] = 1e30f;
    finish_fails(&b, ab_build_flatten(&b, "flat", bn), AB_ERR_FORMAT, "overflows float32");
}

TEST(notes)
{
    struct ab_error err = {""};
    struct ab_graph *g;
    CHECK(ab_graph_create("g", &g, &err) == AB_OK, "%s", err.text);
    CHECK(strcmp(ab_graph_notes(g), "") == 0, "notes from nowhere");
    ab_graph_note(g, &err, "one %d", 1);
    ab_graph_note(g, &err, "two\nlines");
    CHECK(strcmp(ab_graph_notes(g), "one 1\ntwo?lines") == 0, "%s", ab_graph_notes(g));
    ab_graph_destroy(&g);
    ab_graph_destroy(&g);
}

static const struct test_case cases[] = {
    CASE(alexnet),
    CASE(vgg16),
    CASE(vgg19),
    CASE(resnet18),
    CASE(mobilenet_v2),
    CASE(mobilenet_v2_is_torchvisions),
    CASE(mobilenet_v2_keeps_its_scale),
    CASE(resnet50),
    CASE(torchvision_names),
    CASE(seeds),
    CASE(residuals_keep_their_scale),
    CASE(sizes),
    CASE(vgg_sizes),
    CASE(sizes_that_cannot_be),
    CASE(unknown_names),
    CASE(shapes),
    CASE(builders_stop),
    CASE(refusals),
    CASE(finish_refusals),
    CASE(unneeded_nodes_go),
    CASE(signs),
    CASE(folding_keeps_the_function),
    CASE(folding_overflow),
    CASE(notes),
};
TEST_MAIN("graph", cases)
