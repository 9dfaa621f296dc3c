// SPDX-License-Identifier: Apache-2.0
// Parameters that several methods share: their listing rows and setters. A setter changes every
// rule of the composite that the parameter concerns and returns false where the text is no valid
// value.
#ifndef AB_PARAMS_H
#define AB_PARAMS_H

#include "method/method.h"

bool ab_set_eps(struct ab_composite *c, const char *text);
bool ab_set_norm_eps(struct ab_composite *c, const char *text);
bool ab_set_alpha(struct ab_composite *c, const char *text);
bool ab_set_beta(struct ab_composite *c, const char *text);
bool ab_set_bias(struct ab_composite *c, const char *text);
bool ab_set_signed_input(struct ab_composite *c, const char *text);
bool ab_set_low(struct ab_composite *c, const char *text);
bool ab_set_high(struct ab_composite *c, const char *text);
bool ab_set_q(struct ab_composite *c, const char *text);
bool ab_set_tau_floor(struct ab_composite *c, const char *text);
bool ab_set_input_mul(struct ab_composite *c, const char *text);
bool ab_set_seed(struct ab_composite *c, const char *text);
bool ab_set_unknown(struct ab_composite *c, const char *text);

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
    {                                                                                              \
        {"seed", fallback, "one, logit, logit+",                                                   \
         "what is injected at the target: 1, its logit, or "                                       \
         "that if positive"},                                                                      \
            ab_set_seed                                                                            \
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

#define AB_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

#endif
