// SPDX-License-Identifier: Apache-2.0
// Max pooling: pool.h has what both poolings share.
#include "verify/pool.h"

#include <string.h>

static bool fixed(int i, struct ab_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    return ab_pool_fixed(i, AB_KERNEL_maxpool, trial);
}

static void draw(struct ab_rng *rng, struct ab_trial *trial)
{
    memset(trial, 0, sizeof *trial);
    ab_pool_draw(rng, trial);
    trial->op = AB_KERNEL_maxpool;
}

const struct ab_verify_op ab_verify_op_maxpool = {.name = "maxpool",
                                                  .op = AB_KERNEL_maxpool,
                                                  .fixed = fixed,
                                                  .draw = draw,
                                                  .shrink = ab_pool_shrink,
                                                  .shape_parse = ab_pool_shape_parse,
                                                  .shape_print = ab_pool_shape_print,
                                                  .run = ab_pool_run,
                                                  .set_up = ab_pool_set_up};
