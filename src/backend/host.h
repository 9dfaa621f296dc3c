// SPDX-License-Identifier: Apache-2.0
// HOST steps: small work of few methods, written once in double for all backends. A backend hands
// over single channels of single images as rows of doubles, and takes results back in the same way.
#ifndef AB_BACKEND_HOST_H
#define AB_BACKEND_HOST_H

#include "backend/backend.h"

/* Channel c of image n of value `id`, h * w doubles, from or into the backend's tensor. `user` is
 * what ab_host_run got. Called by several threads at once for different channels. */
struct ab_host_io {
    void (*get)(const struct ab_exec *exec, const void *user, int id, int n, int c, double *to);
    void (*put)(const struct ab_exec *exec, const void *user, int id, int n, int c,
                const double *from);
};

/* Doubles of work space that each of exec->threads threads needs. */
size_t ab_host_work(const struct ab_exec *exec, const struct ab_step *step);
/* Every element of the result is put once. Results do not depend on threads, and each image's on
 * that image alone. */
void ab_host_run(const struct ab_exec *exec, const struct ab_step *step,
                 const struct ab_host_io *io, const void *user, double *work);

#endif
