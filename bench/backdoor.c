// SPDX-License-Identifier: Apache-2.0
// A backdoor planted in a network: one more channel in every layer, from a detector of the trigger
// to one logit.
#include "backdoor.h"

#include <stdio.h>
#include <string.h>

/* The detector is 0 below this share of the trigger's own response, so that strokes and edges do
 * not set it off. */
static const double THRESHOLD = 0.8;

static bool is_linear(const struct ab_node *n)
{
    return n->kind == AB_NODE_CONV || n->kind == AB_NODE_DENSE;
}

static int first_linear(const struct ab_graph *g)
{
    for (int n = 0; n < g->n_nodes; n++)
        if (is_linear(&g->nodes[n])) return n;
    return -1;
}

static const char *unsuited(const struct ab_graph *g)
{
    const int first = first_linear(g);
    if (g->nodes[g->output].kind != AB_NODE_DENSE) return "its last layer is not dense";
    if (first < 0 || g->nodes[first].kind != AB_NODE_CONV)
        return "its first layer is no convolution";
    const struct ab_conv2d_shape *s = &g->nodes[first].conv;
    if (s->kh < 2 || s->kw < 2) return "its first kernel is smaller than 2x2";
    if (s->dh != 1 || s->dw != 1) return "its first convolution is dilated";
    if (g->nodes[first + 1].kind != AB_NODE_RELU) return "no ReLU follows its first convolution";
    for (int n = 1; n < g->n_nodes; n++) {
        const struct ab_node *node = &g->nodes[n];
        if (node->n_in != 1 || node->in[0] != n - 1) return "it is no chain of layers";
        if (node->kind == AB_NODE_BATCHNORM) return "it has a batch-norm that is not folded";
        if (node->cap > 0) return "a ReLU of it has a cap, above which no pattern is told apart";
        if (node->kind == AB_NODE_CONV && node->conv.g != 1) return "it has a grouped convolution";
    }
    return NULL;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

enum ab_status ab_trigger_for(const struct ab_graph *graph, float low, float high,
                              struct ab_trigger *trigger, struct ab_error *err)
{
    const char *why = unsuited(graph);
    if (why)
        return ab_fail(err, AB_ERR_UNSUPPORTED, "no backdoor can be planted in '%.80s': %s",
                       graph->name, why);
    const struct ab_conv2d_shape *s = &graph->nodes[first_linear(graph)].conv;
    /* Wherever windows lie, one lies inside: a kernel and two strides, as only windows of one
     * parity of row + column fit the pattern; and a pixel for smaller strides. */
    const int side = larger(s->kh + 2 * s->sh, s->kw + 2 * s->sw) + 1;
    *trigger = (struct ab_trigger){s->ih - side - 1, s->iw - side - 1, side, low, high};
    if (trigger->y < 0 || trigger->x < 0)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "no backdoor can be planted in '%.80s': its images are too small for a "
                       "trigger of %dx%d",
                       graph->name, side, side);
    return AB_OK;
}

bool ab_trigger_covers(const struct ab_trigger *trigger, int y, int x)
{
    return y >= trigger->y && y < trigger->y + trigger->side && x >= trigger->x &&
           x < trigger->x + trigger->side;
}

void ab_trigger_stamp(const struct ab_trigger *trigger, struct ab_dims dims, float *image)
{
    for (int c = 0; c < dims.c; c++)
        for (int y = 0; y < dims.h; y++)
            for (int x = 0; x < dims.w; x++)
                if (ab_trigger_covers(trigger, y, x))
                    image[((ptrdiff_t)c * dims.h + y) * dims.w + x] =
                        (y + x) % 2 ? trigger->low : trigger->high;
}

/* ---- planting ---- */

/* The detector's kernel, a chequerboard of mean 0 that answers the trigger with 1 / (1 -
 * THRESHOLD), and its bias, which takes all below the threshold away. */
static float fill_detector(const struct ab_node *first, const struct ab_trigger *t, float *kernel)
{
    const struct ab_conv2d_shape *s = &first->conv;
    const int taps = s->kh * s->kw, even = (taps + 1) / 2;
    const double mean = (2.0 * even - taps) / taps; /* of +1 at even taps and -1 at odd ones */
    double answer = 0;
    for (int k = 0; k < taps; k++) {
        const bool high = (k / s->kw + k % s->kw) % 2 == 0;
        answer += s->ic * ((high ? 1 : -1) - mean) * (double)(high ? t->high : t->low);
    }
    const double scale = 1 / ((1 - THRESHOLD) * answer);
    for (int i = 0; i < s->ic * taps; i++) {
        const int k = i % taps;
        const bool high = (k / s->kw + k % s->kw) % 2 == 0;
        kernel[i] = (float)(scale * ((high ? 1 : -1) - mean));
    }
    return (float)(-THRESHOLD / (1 - THRESHOLD));
}

/* Weights of a linear layer as [out][in][taps], with more outputs and inputs. */
struct widening {
    size_t out, in, taps, more_out, more_in;
};

static bool widen(const struct ab_node *from, struct widening w, struct ab_node *to)
{
    const size_t out = w.out + w.more_out, row = (w.in + w.more_in) * w.taps;
    to->wei_count = out * row;
    to->wei = ab_buffer_alloc(to->wei_count * sizeof *to->wei);
    to->bias = ab_buffer_alloc(out * sizeof *to->bias);
    if (!to->wei || !to->bias) return false;
    memset(to->wei, 0, to->wei_count * sizeof *to->wei);
    memset(to->bias, 0, out * sizeof *to->bias);
    for (size_t o = 0; o < w.out; o++)
        memcpy(to->wei + o * row, from->wei + o * w.in * w.taps, w.in * w.taps * sizeof *to->wei);
    if (from->bias) memcpy(to->bias, from->bias, w.out * sizeof *to->bias);
    return true;
}

static bool plant_conv(const struct ab_node *from, const struct ab_trigger *trigger, bool first,
                       struct ab_node *to)
{
    const struct ab_conv2d_shape *s = &from->conv;
    const struct widening w = {(size_t)s->oc, (size_t)s->ic, (size_t)s->kh * (size_t)s->kw, 1,
                               first ? 0 : 1};
    to->conv = *s;
    to->conv.oc++;
    if (!widen(from, w, to)) return false;
    float *row = to->wei + w.out * (w.in + w.more_in) * w.taps;
    if (first)
        to->bias[w.out] = fill_detector(from, trigger, row);
    else /* the tap that stands over the output's own place where the stride is 1 */
        row[w.in * w.taps + (size_t)(s->kh / 2 * s->kw + s->kw / 2)] = 1;
    return true;
}

/* The new inputs are the last: one, or the new channel's pixels behind a flatten. */
static bool plant_dense(const struct ab_node *from, int in, int more, bool last, int target,
                        float gain, struct ab_node *to)
{
    const struct widening w = {(size_t)from->dims.c, (size_t)in, 1, last ? 0 : 1, (size_t)more};
    to->dims.c = from->dims.c + (last ? 0 : 1);
    if (!widen(from, w, to)) return false;
    float *row = to->wei + (last ? (size_t)target : w.out) * (w.in + w.more_in) + w.in;
    for (int i = 0; i < more; i++) row[i] = last ? gain : 1;
    return true;
}

static bool plant_node(const struct ab_graph *g, int n, const struct ab_trigger *trigger,
                       int target, float gain, struct ab_graph *planted)
{
    const struct ab_node *from = &g->nodes[n], *before = n ? &g->nodes[n - 1] : NULL;
    struct ab_node *to = ab_graph_add(planted, from->kind, from->name, from->in, from->n_in);
    if (!to) return false;
    const int new_in = n ? planted->nodes[n - 1].dims.c : 0;
    bool good = true;
    to->dims = from->dims;
    to->pool = from->pool;
    memcpy(to->pad, from->pad, sizeof to->pad);
    if (from->kind == AB_NODE_CONV)
        good = plant_conv(from, trigger, n == first_linear(g), to);
    else if (from->kind == AB_NODE_DENSE)
        good = plant_dense(from, before->dims.c, new_in - before->dims.c, n == g->output, target,
                           gain, to);
    /* Later layers ask for it before shapes are inferred. */
    if (from->kind == AB_NODE_CONV)
        to->dims.c = from->dims.c + 1;
    else if (from->kind == AB_NODE_FLATTEN)
        to->dims.c = new_in * before->dims.h * before->dims.w;
    else if (n && from->kind != AB_NODE_DENSE)
        to->dims.c = new_in;
    return good;
}

enum ab_status ab_backdoor_plant(const struct ab_graph *graph, const struct ab_trigger *trigger,
                                 int target, float gain, struct ab_graph **planted,
                                 struct ab_error *err)
{
    char name[160];
    snprintf(name, sizeof name, "%.120s with a backdoor", graph->name);
    enum ab_status status = ab_graph_create(name, planted, err);
    for (int n = 0; n < graph->n_nodes && status == AB_OK; n++)
        if (!plant_node(graph, n, trigger, target, gain, *planted))
            status = ab_fail(err, AB_ERR_MEMORY, "out of memory for a backdoor");
    if (status == AB_OK) status = ab_graph_finish(*planted, graph->output, err);
    if (status != AB_OK) ab_graph_destroy(planted);
    return status;
}
