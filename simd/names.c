// SPDX-License-Identifier: Apache-2.0
// What the choices of a call are called, one word each: in plans, records and trials.
#include <assert.h>

#include "kernels.h"

const char *ab_pointwise_name(enum ab_pointwise_kind kind)
{
    static const char *const names[AB_PW_COUNT] = {
        [AB_PW_COPY] = "copy",
        [AB_PW_RELU] = "relu",
        [AB_PW_NEG] = "neg",
        [AB_PW_ABS] = "abs",
        [AB_PW_GATE] = "gate",
        [AB_PW_GUIDED] = "guided",
        [AB_PW_RECT] = "rect",
        [AB_PW_MUL] = "mul",
        [AB_PW_DIV] = "div",
        [AB_PW_MULDIV] = "muldiv",
        [AB_PW_RESCALE] = "rescale",
        [AB_PW_DIVDIFF] = "divdiff",
        [AB_PW_ADD] = "add",
        [AB_PW_SUB] = "sub",
        [AB_PW_SCALE] = "scale",
        [AB_PW_AFFINE] = "affine",
        [AB_PW_CAP] = "cap",
        [AB_PW_CAP_GATE] = "cap-gate",
        [AB_PW_CAP_GUIDED] = "cap-guided",
        [AB_PW_RELU_BITS] = "relu+bits",
        [AB_PW_CAP_BITS] = "cap+bits",
        [AB_PW_GATE_BITS] = "gate+bits",
        [AB_PW_GUIDED_BITS] = "guided+bits",
        [AB_PW_GUARD_BITS] = "guard",
        [AB_PW_REST_BITS] = "rest",
    };
    assert((unsigned)kind < AB_PW_COUNT);
    return names[kind];
}

const char *ab_wmod_name(enum ab_wmod wmod)
{
    static const char *const names[AB_W_COUNT] = {
        [AB_W_ALL] = "all",       [AB_W_POS] = "pos", [AB_W_NEG] = "neg",     [AB_W_ABS] = "abs",
        [AB_W_SQUARE] = "square", [AB_W_ONE] = "one", [AB_W_GAMMA] = "gamma",
    };
    assert((unsigned)wmod < AB_W_COUNT);
    return names[wmod];
}
