// SPDX-License-Identifier: Apache-2.0
// Parameters that several methods share: their listing rows and setters. A setter changes every
// rule of the composite that the parameter concerns and returns false where the text is no valid
// value.
#ifndef AB_PARAMS_H
#define AB_PARAMS_H

#include "method/method.h"

/* ---- reading values ---- */

/* A finite number in [low, high] and nothing behind it. */
bool ab_read_number(const char *text, double low, double high, double *value);
/* The index of `text` among `words`, or -1. */
int ab_read_choice(const char *text, const char *const *words, int count);
/* "v" or "v/v/...", one value per channel: to[AB_MAX_CHANNEL_BOUNDS]. */
bool ab_read_channels(const char *text, float *to, int *count);

/* ---- setters ---- */

bool ab_set_eps(struct ab_composite *c, const char *text);
bool ab_set_epsilon_eps(struct ab_composite *c, const char *text); /* of epsilon rules alone */
bool ab_set_stabilizer(struct ab_composite *c, const char *text);  /* of all others */
bool ab_set_norm_eps(struct ab_composite *c, const char *text);
bool ab_set_alpha(struct ab_composite *c, const char *text);
bool ab_set_beta(struct ab_composite *c, const char *text);
bool ab_set_bias(struct ab_composite *c, const char *text);
bool ab_set_epsilon_bias(struct ab_composite *c, const char *text);
bool ab_set_gamma_bias(struct ab_composite *c, const char *text);
bool ab_set_wsquare_bias(struct ab_composite *c, const char *text);
bool ab_set_gamma(struct ab_composite *c, const char *text);
bool ab_set_form(struct ab_composite *c, const char *text);
bool ab_set_add(struct ab_composite *c, const char *text);
bool ab_set_avgpool(struct ab_composite *c, const char *text);
bool ab_set_signed_input(struct ab_composite *c, const char *text);
bool ab_set_low(struct ab_composite *c, const char *text);
bool ab_set_high(struct ab_composite *c, const char *text);
bool ab_set_q(struct ab_composite *c, const char *text);
bool ab_set_tau_floor(struct ab_composite *c, const char *text);
bool ab_set_input_mul(struct ab_composite *c, const char *text);
bool ab_set_seed(struct ab_composite *c, const char *text);
bool ab_set_prr(struct ab_composite *c, const char *text);
bool ab_set_pad_trick(struct ab_composite *c, const char *text);
bool ab_set_gate(struct ab_composite *c, const char *text);
bool ab_set_positive(struct ab_composite *c, const char *text);
bool ab_set_smooth_beta(struct ab_composite *c, const char *text);
bool ab_set_layer(struct ab_composite *c, const char *text);
bool ab_set_upsample(struct ab_composite *c, const char *text);
bool ab_set_cam_relu(struct ab_composite *c, const char *text);
bool ab_set_random_seed(struct ab_composite *c, const char *text);
bool ab_set_against(struct ab_composite *c, const char *text);
/* The seed's name as the parameter spells it. */
const char *ab_seed_name(enum ab_seed seed);
bool ab_set_lift(struct ab_composite *c, const char *text);
bool ab_set_baseline(struct ab_composite *c, const char *text);
bool ab_set_unknown(struct ab_composite *c, const char *text);

/* What is wrong with a rule whose values must fit each other, or NULL. */
const char *ab_check_rule(const struct ab_rule *rule);
/* The same for all rules of a composite: a descriptor's `check`. */
const char *ab_check_rules(struct ab_composite *c);

/* Of sampled methods: params_sampling.c. */
bool ab_set_samples(struct ab_composite *c, const char *text);
bool ab_set_path_rule(struct ab_composite *c, const char *text);
bool ab_set_noise(struct ab_composite *c, const char *text);
bool ab_set_noise_abs(struct ab_composite *c, const char *text);
bool ab_set_fill(struct ab_composite *c, const char *text);
bool ab_set_baselines(struct ab_composite *c, const char *text);
bool ab_set_spread(struct ab_composite *c, const char *text);
bool ab_set_window(struct ab_composite *c, const char *text);
bool ab_set_stride(struct ab_composite *c, const char *text);
bool ab_set_clean_last(struct ab_composite *c, const char *text);
bool ab_set_keep(struct ab_composite *c, const char *text);
bool ab_set_base(struct ab_composite *c, const char *text);
/* The `check` of sampled methods: completes what was not given. */
const char *ab_check_sampling(struct ab_composite *c);

#define AB_PARAM_EPS                                                                               \
    {                                                                                              \
        {"eps", "1e-06", ">= 0", "stabiliser of the denominators: z + eps*sign(z), sign(0) = +1"}, \
            ab_set_eps                                                                             \
    }
#define AB_PARAM_NORM_EPS                                                                          \
    {                                                                                              \
        {"norm_eps", "1e-06", ">= 0", "stabiliser of sums and average pools"}, ab_set_norm_eps     \
    }
#define AB_PARAM_SEED(fallback)                                                                    \
    {{"seed", fallback, "one, logit, logit+, softmax, contrast",                                   \
      "what is injected at the logits: at the target 1, its logit, or that if positive; the "      \
      "gradient of its softmax; or 1 at the target and -1 at another class"},                      \
     ab_set_seed},                                                                                 \
    {                                                                                              \
        {"against", "next", "next, class", "seed=contrast: the other class; next: the highest"},   \
            ab_set_against                                                                         \
    }
/* Three rows: where a class activation map is taken and what becomes of it. */
#define AB_PARAM_CAM                                                                               \
    {{"layer", "", "name of a layer",                                                              \
      "where the map is taken; default: the last map before pooling and flattening"},              \
     ab_set_layer},                                                                                \
        {{"relu", "1", "0, 1", "keep what is positive"}, ab_set_cam_relu},                         \
    {                                                                                              \
        {"upsample", "bilinear", "bilinear, nearest", "how it is resized to the image"},           \
            ab_set_upsample                                                                        \
    }
#define AB_PARAM_UNKNOWN                                                                           \
    {                                                                                              \
        {"unknown", "error", "error, pass", "what happens at a layer without a rule"},             \
            ab_set_unknown                                                                         \
    }
#define AB_PARAM_BIAS                                                                              \
    {                                                                                              \
        {"bias", "plus", "plus, none, signed",                                                     \
         "the bias in z+ and z-: its positive and negative "                                       \
         "part, nothing, or all of it in both"},                                                   \
            ab_set_bias                                                                            \
    }
#define AB_PARAM_SIGNED_INPUT                                                                      \
    {                                                                                              \
        {"signed_input", "split", "split, naive",                                                  \
         "negative inputs: paired with W- by sign, or "                                            \
         "treated like positive ones"},                                                            \
            ab_set_signed_input                                                                    \
    }

#define AB_PARAM_EPSILON_EPS(fallback)                                                             \
    {                                                                                              \
        {"eps", fallback, ">= 0", "stabiliser of the epsilon rule of dense layers"},               \
            ab_set_epsilon_eps                                                                     \
    }
#define AB_PARAM_STABILIZER                                                                        \
    {                                                                                              \
        {"stabilizer", "1e-06", ">= 0", "stabiliser of all other rules of linear layers"},         \
            ab_set_stabilizer                                                                      \
    }
#define AB_PARAM_ALPHA                                                                             \
    {                                                                                              \
        {"alpha", "2", ">= 1", "weight of the positive contributions; alpha - beta = 1"},          \
            ab_set_alpha                                                                           \
    }
#define AB_PARAM_BETA                                                                              \
    {                                                                                              \
        {"beta", "1", ">= 0", "weight of the negative contributions"}, ab_set_beta                 \
    }
#define AB_PARAM_GAMMA                                                                             \
    {                                                                                              \
        {"gamma", "0.25", ">= 0", "how much more contributions of z's own sign count"},            \
            ab_set_gamma                                                                           \
    }
#define AB_PARAM_FORM                                                                              \
    {                                                                                              \
        {"form", "general", "general, original",                                                   \
         "general: by the signs of inputs and z; original: W + gamma W+ whatever they are"},       \
            ab_set_form                                                                            \
    }
#define AB_PARAM_GAMMA_BIAS                                                                        \
    {                                                                                              \
        {"bias", "gamma", "gamma, plain, none",                                                    \
         "the bias in the denominator: modified as the weights are, as it is (form=original "      \
         "alone), or not at all"},                                                                 \
            ab_set_gamma_bias                                                                      \
    }
#define AB_PARAM_EPSILON_BIAS                                                                      \
    {                                                                                              \
        {"bias", "z", "z, none", "whether the bias is part of the denominator z"},                 \
            ab_set_epsilon_bias                                                                    \
    }
#define AB_PARAM_WSQUARE_BIAS                                                                      \
    {                                                                                              \
        {"bias", "none", "none, square", "whether b^2 is added to the sum of w^2"},                \
            ab_set_wsquare_bias                                                                    \
    }
#define AB_PARAM_LOW                                                                               \
    {                                                                                              \
        {"low", "", "number or v/v/.. per channel", "smallest pixel value"}, ab_set_low            \
    }
#define AB_PARAM_HIGH                                                                              \
    {                                                                                              \
        {"high", "", "number or v/v/.. per channel", "largest pixel value"}, ab_set_high           \
    }
#define AB_PARAM_ADD                                                                               \
    {                                                                                              \
        {"add", "share", "share, copy",                                                            \
         "sums give each input its share of the relevance, or all of it"},                         \
            ab_set_add                                                                             \
    }
#define AB_PARAM_AVGPOOL                                                                           \
    {                                                                                              \
        {"avgpool", "share", "share, spread",                                                      \
         "average pools give each pixel its share of the relevance, or equal parts"},              \
            ab_set_avgpool                                                                         \
    }
/* The descriptor's `compats` say what the tools' names stand for. */
#define AB_PARAM_COMPAT(tools)                                                                     \
    {                                                                                              \
        {"compat", "", tools, "as that tool does: stands for values of the parameters above"},     \
            NULL                                                                                   \
    }
#define AB_PARAM_RANDOM_SEED                                                                       \
    {                                                                                              \
        {"seed", "1", "0..2^64-1", "of the random numbers"}, ab_set_random_seed                    \
    }
#define AB_PARAM_BASE                                                                              \
    {                                                                                              \
        {"base", "gradient", "METHOD, METHOD(key=value,...)", "the method that is averaged"},      \
            ab_set_base                                                                            \
    }

/* Of the methods that average over noise, and how other tools draw it. */
#define AB_PARAMS_NOISE(samples)                                                                   \
    {{"n", "50", samples, "samples"}, ab_set_samples},                                             \
        {{"noise", "0.15", ">= 0",                                                                 \
          "standard deviation of the noise, in parts of the image's max - min"},                   \
         ab_set_noise},                                                                            \
        {{"noise_abs", "", ">= 0", "instead of noise: the standard deviation itself"},             \
         ab_set_noise_abs},                                                                        \
        AB_PARAM_RANDOM_SEED, AB_PARAM_BASE,                                                       \
        {{"clean_last", "0", "0, 1", "the last sample is the image without noise"},                \
         ab_set_clean_last},                                                                       \
        AB_PARAM_COMPAT("captum, zennit, innvestigate")
#define AB_COMPATS_NOISE                                                                           \
    {"captum", "n=5,noise_abs=1"}, {"zennit", "n=20,noise=0.1,clean_last=1"},                      \
    {                                                                                              \
        "innvestigate", "n=64,noise_abs=1"                                                         \
    }

#define AB_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#endif
