// SPDX-License-Identifier: Apache-2.0
// Serving with the configuration that `attrbench tune` found: as many plans at the same time as it
// says, each on a thread of its own, all on one network. Writes the map of IMAGE to IMAGE.npy.
//
//     cc deploy.c $(pkg-config --cflags --libs attrbench) -pthread -o deploy
//     ./deploy deploy.json cat.png dog.png ...
#include <attrbench/attrbench.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the threads share: the images that are waiting. */
struct work {
    const struct ab_config *config;
    const struct ab_graph *graph;
    char **paths;
    int count, next; /* the first that nobody has taken */
    pthread_mutex_t lock;
};

struct server {
    struct work *work;
    int instance;
    pthread_t thread;
    enum ab_status status;
    struct ab_error err;
};

static size_t floats_of(struct ab_dims d)
{
    return (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

/* Takes as many waiting images as an execution has places. */
static int take(struct work *w, int most, int *first)
{
    pthread_mutex_lock(&w->lock);
    const int left = w->count - w->next, taken = left < most ? left : most;
    *first = w->next;
    w->next += taken;
    pthread_mutex_unlock(&w->lock);
    return taken;
}

static enum ab_status write_map(const char *image, const float *map, struct ab_dims d,
                                struct ab_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.npy", image);
    const enum ab_status status = ab_npy_write(path, map, 1, d, err);
    if (!status) printf("%s\n", path);
    return status;
}

/* An execution computes the whole batch: places that no image waits for keep what they had. */
static enum ab_status serve(struct server *s, struct ab_plan *plan, float *input, float *map)
{
    struct work *w = s->work;
    const struct ab_dims in = ab_graph_input(w->graph), out = ab_plan_map_dims(plan, 0);
    enum ab_status status = AB_OK;
    int first, count;
    while (!status && (count = take(w, ab_config_batch(w->config), &first)) > 0) {
        for (int i = 0; i < count && !status; i++)
            status = ab_image_read(w->paths[first + i], in, NULL, NULL,
                                   input + (size_t)i * floats_of(in), &s->err);
        if (!status) status = ab_plan_execute(plan, input, NULL, &map, NULL, &s->err);
        for (int i = 0; i < count && !status; i++)
            status = write_map(w->paths[first + i], map + (size_t)i * floats_of(out), out, &s->err);
    }
    return status;
}

static void *run(void *user)
{
    struct server *s = user;
    const struct work *w = s->work;
    struct ab_plan *plan = NULL;
    float *input = NULL, *map = NULL;

    /* On the thread that executes it: this binds the thread to its CPUs as well. */
    s->status = ab_config_plan(w->config, w->graph, s->instance, &plan, &s->err);
    if (!s->status) {
        const size_t batch = (size_t)ab_config_batch(w->config);
        input = calloc(batch * floats_of(ab_graph_input(w->graph)), sizeof *input);
        map = malloc(batch * floats_of(ab_plan_map_dims(plan, 0)) * sizeof *map);
        if (!input || !map) {
            s->status = AB_ERR_MEMORY;
            snprintf(s->err.text, sizeof s->err.text, "out of memory for maps");
        }
    }
    if (!s->status) s->status = serve(s, plan, input, map);
    free(map);
    free(input);
    ab_plan_destroy(&plan);
    return NULL;
}

/* The calling thread stays as it is: bound to no CPU, numbers as usual. */
static int serve_all(struct work *w)
{
    const int instances = ab_config_instances(w->config);
    struct server *servers = calloc((size_t)instances, sizeof *servers);
    int started = 0, failed = !servers;
    for (; !failed && started < instances; started++) {
        servers[started] = (struct server){.work = w, .instance = started};
        if (pthread_create(&servers[started].thread, NULL, run, &servers[started])) break;
    }
    failed |= started < instances;
    if (failed) fprintf(stderr, "deploy: no memory for %d threads\n", instances);
    for (int i = 0; i < started; i++) {
        pthread_join(servers[i].thread, NULL);
        if (!servers[i].status) continue;
        fprintf(stderr, "deploy: %s\n", servers[i].err.text);
        failed = 1;
    }
    free(servers);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 3) return fprintf(stderr, "usage: deploy CONFIG IMAGE...\n"), 2;

    struct ab_error err;
    struct ab_config *config = NULL;
    struct ab_graph *graph = NULL;

    /* Refused on any machine but the one that it was found on. */
    enum ab_status status = ab_config_load(argv[1], &config, &err);
    if (!status) status = ab_config_graph(config, &graph, &err);
    if (status) fprintf(stderr, "deploy: %s\n", err.text);
    int failed = status != AB_OK;
    if (!failed) {
        struct work work = {.config = config, .graph = graph, .paths = argv + 2, .count = argc - 2};
        pthread_mutex_init(&work.lock, NULL);
        failed = serve_all(&work);
        pthread_mutex_destroy(&work.lock);
    }
    ab_graph_destroy(&graph);
    ab_config_destroy(&config);
    return failed;
}
