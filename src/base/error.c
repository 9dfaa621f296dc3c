// SPDX-License-Identifier: Apache-2.0
// Error messages: one printable line in a buffer that the caller owns.
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum ab_status ab_fail(struct ab_error *err, enum ab_status status, const char *format, ...)
{
    if (!err) return status;
    /* Formatted apart and then copied, so that a message may quote err->text itself. */
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0) text[0] = '\0';
    /* Names come from files: whatever they hold, the message stays one line without escapes. */
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    if (length >= (int)sizeof text) memcpy(text + sizeof text - 4, "...", 4);
    memcpy(err->text, text, sizeof text);
    return status;
}
