// SPDX-License-Identifier: Apache-2.0
// A look over the bytes of an ONNX file before protobuf-c parses it.
#ifndef AB_ONNX_GUARD_H
#define AB_ONNX_GUARD_H

#include "base/base.h"

/* Checks that `bytes` is well-formed as far as messages nest, that they do not nest deeply, and
 * that there are not too many of them: protobuf-c recurses without a limit and spends up to a
 * hundred bytes on a message of two. NULL if all is well, else what is wrong, with *at the byte
 * where. */
const char *ab_onnx_guard(const unsigned char *bytes, size_t size, size_t *at);

#endif
