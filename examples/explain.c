// SPDX-License-Identifier: Apache-2.0
// The shortest useful program: which pixels made the network decide as it did?
//
//     cc explain.c $(pkg-config --cflags --libs attrbench) -o explain
//     ./explain digits.onnx sample-3.png map.npy
#include <attrbench/attrbench.h>

#include <stdio.h>
#include <stdlib.h>

static int fail(const struct ab_error *err)
{
    fprintf(stderr, "explain: %s\n", err->text);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) return fprintf(stderr, "usage: explain MODEL IMAGE OUT.npy\n"), 2;

    struct ab_error err;
    struct ab_graph *graph = NULL;
    struct ab_method *method = NULL;
    struct ab_plan *plan = NULL;
    float *image = NULL, *map = NULL;

    /* The network: shared, never written; any number of plans and threads may use it. */
    if (ab_graph_open(argv[1], 0, &graph, &err)) return fail(&err);
    struct ab_dims d = ab_graph_input(graph);
    size_t pixels = (size_t)d.c * (size_t)d.h * (size_t)d.w;

    /* The plan: kernels chosen, weights packed, all memory taken. One plan belongs to one thread.
     * NULL options: the native backend, one image at a time, one thread. */
    enum ab_status status = ab_method_parse("guided-backprop", &method, &err);
    const struct ab_method *methods[] = {method};
    if (!status) status = ab_plan_create(graph, methods, 1, NULL, &plan, &err);

    /* NULL mean and deviation: pixels in [0,1], as the digits network was trained. */
    image = malloc(pixels * sizeof *image);
    map = malloc(pixels * sizeof *map);
    if (!status && (!image || !map)) status = AB_ERR_MEMORY, err.text[0] = '\0';
    if (!status) status = ab_image_read(argv[2], d, NULL, NULL, image, &err);

    /* Executing allocates nothing and may be repeated for other images. NULL targets: explain the
     * class with the largest logit. */
    if (!status) status = ab_plan_execute(plan, image, NULL, &map, NULL, &err);
    if (!status) status = ab_npy_write(argv[3], map, 1, d, &err);

    free(map);
    free(image);
    ab_plan_destroy(&plan);
    ab_method_destroy(&method);
    ab_graph_destroy(&graph);
    return status ? fail(&err) : 0;
}
