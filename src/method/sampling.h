// SPDX-License-Identifier: Apache-2.0
// Methods that run a base method on many inputs made from one image, and average: what a composite
// says about that. src/sample carries it out. Definitions: docs/methods.md.
#ifndef AB_SAMPLING_H
#define AB_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

enum { AB_MAX_CHANNEL_BOUNDS = 16 };

enum ab_sampling_kind {
    AB_SAMPLE_NOT,          /* a single pass */
    AB_SAMPLE_PATH,         /* (x - b) times the mean of maps on the straight line from b to x */
    AB_SAMPLE_NOISE,        /* the mean of maps at x + noise */
    AB_SAMPLE_NOISE_SQUARE, /* the mean of their squares */
    AB_SAMPLE_NOISE_VARIANCE,
    AB_SAMPLE_GRADIENT_SHAP, /* the mean of (x + noise - b) times the map at a random point between
                              */
    AB_SAMPLE_DEEPLIFT_SHAP, /* the mean of maps of x from many reference inputs */
    AB_SAMPLE_OCCLUSION      /* what the target's logit loses when a window is covered */
};

/* Nodes and weights on [0, 1]. */
enum ab_path_rule {
    AB_PATH_GAUSS_LEGENDRE,
    AB_PATH_LEFT,
    AB_PATH_RIGHT,
    AB_PATH_MIDDLE,
    AB_PATH_TRAPEZOID
};

enum { AB_MAX_SAMPLES = 1000000, AB_MAX_BASE = 512, AB_MAX_BASELINE_PATH = 160 };

struct ab_sampling {
    enum ab_sampling_kind kind;
    int n; /* samples of an image */
    enum ab_path_rule rule;
    double noise;     /* standard deviation, in parts of the image's max - min; < 0: not given */
    double noise_abs; /* standard deviation; < 0: not given */
    bool clean_last;  /* the last sample has no noise */
    uint64_t seed;    /* of the random numbers */
    /* One value for all channels or one per channel: the baseline, or what covers a window. */
    float fill[AB_MAX_CHANNEL_BOUNDS];
    int n_fill;
    char baselines[AB_MAX_BASELINE_PATH]; /* a .npy of baselines; "": random ones */
    double spread;                        /* standard deviation of random baselines */
    int window, stride;                   /* 0: by the image's size */
    bool keep;              /* all but the window is covered, and the logit itself counts */
    char base[AB_MAX_BASE]; /* spec of the method that is run; "": none, logits alone */
};

#endif
