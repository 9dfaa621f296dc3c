// SPDX-License-Identifier: Apache-2.0
// Setters of the parameters of sampled methods, and what holds where one is not given.
#include "method/params.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool set_whole(const char *text, double low, double high, int *to)
{
    double value;
    if (!ab_read_number(text, low, high, &value) || value != (double)(int)value) return false;
    *to = (int)value;
    return true;
}

bool ab_set_samples(struct ab_composite *c, const char *text)
{
    return set_whole(text, 1, AB_MAX_SAMPLES, &c->sampling.n);
}

bool ab_set_path_rule(struct ab_composite *c, const char *text)
{
    static const char *const words[] = {"gauss-legendre", "left", "right", "middle", "trapezoid"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    if (i >= 0) c->sampling.rule = (enum ab_path_rule)i;
    return i >= 0;
}

bool ab_set_noise(struct ab_composite *c, const char *text)
{
    return ab_read_number(text, 0, 1e6, &c->sampling.noise);
}

bool ab_set_noise_abs(struct ab_composite *c, const char *text)
{
    return ab_read_number(text, 0, 1e6, &c->sampling.noise_abs);
}

bool ab_set_random_seed(struct ab_composite *c, const char *text)
{
    char *end;
    errno = 0;
    c->sampling.seed = strtoull(text, &end, 10);
    return isdigit((unsigned char)*text) && *end == '\0' && errno == 0;
}

bool ab_set_fill(struct ab_composite *c, const char *text)
{
    return ab_read_channels(text, c->sampling.fill, &c->sampling.n_fill);
}

bool ab_set_baselines(struct ab_composite *c, const char *text)
{
    if (strcmp(text, "random") == 0) return true;
    const size_t length = strlen(text);
    if (length < 5 || length >= sizeof c->sampling.baselines) return false;
    memcpy(c->sampling.baselines, text, length + 1);
    return strcmp(text + length - 4, ".npy") == 0;
}

bool ab_set_spread(struct ab_composite *c, const char *text)
{
    return ab_read_number(text, 0, 1e6, &c->sampling.spread);
}

bool ab_set_window(struct ab_composite *c, const char *text)
{
    return strcmp(text, "auto") == 0 || set_whole(text, 1, 1 << 16, &c->sampling.window);
}

bool ab_set_stride(struct ab_composite *c, const char *text)
{
    return strcmp(text, "auto") == 0 || set_whole(text, 1, 1 << 16, &c->sampling.stride);
}

static bool set_flag(const char *text, bool *to)
{
    static const char *const words[] = {"0", "1"};
    const int i = ab_read_choice(text, words, AB_COUNT(words));
    *to = i == 1;
    return i >= 0;
}

bool ab_set_clean_last(struct ab_composite *c, const char *text)
{
    return set_flag(text, &c->sampling.clean_last);
}

bool ab_set_keep(struct ab_composite *c, const char *text)
{
    return set_flag(text, &c->sampling.keep);
}

/* The spec is read by the parser, whose message is the better one. */
bool ab_set_base(struct ab_composite *c, const char *text)
{
    const size_t length = strlen(text);
    if (length == 0 || length >= sizeof c->sampling.base) return false;
    memcpy(c->sampling.base, text, length + 1);
    return true;
}

const char *ab_check_sampling(struct ab_composite *c)
{
    struct ab_sampling *s = &c->sampling;
    const bool noisy = s->kind == AB_SAMPLE_NOISE || s->kind == AB_SAMPLE_NOISE_SQUARE ||
                       s->kind == AB_SAMPLE_NOISE_VARIANCE;
    if (s->kind == AB_SAMPLE_PATH && s->rule == AB_PATH_TRAPEZOID && s->n < 2)
        return "rule=trapezoid needs both ends of the path: give n=2 or more";
    if (s->noise >= 0 && s->noise_abs >= 0)
        return "noise and noise_abs are two units of the same thing: give one of them "
               "(compat=captum "
               "and innvestigate stand for noise_abs=1)";
    if (noisy && s->noise_abs < 0 && s->noise < 0) s->noise = 0.15;
    if (s->kind == AB_SAMPLE_NOISE_VARIANCE && s->n < 2)
        return "a single sample has no variance: give n=2 or more";
    return NULL;
}
