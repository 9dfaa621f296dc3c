// SPDX-License-Identifier: Apache-2.0
// oneDNN's primitives as foreign kernels: judged by the cases that judge attrbench's own.
#ifndef AB_ONEDNN_VERIFY_H
#define AB_ONEDNN_VERIFY_H

#include "attrbench/verify.h"

/* Static. Nothing of oneDNN is used until a kernel runs, so that kernels can run in processes
 * forked from the caller. Each call takes the thread that makes it and no other. */
const struct ab_verify_plugin *ab_onednn_verify(void);

#endif
