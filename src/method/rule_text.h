// SPDX-License-Identifier: Apache-2.0
// A user's own composite as text: on the command line "SELECTOR=RULE(key=value,...);...", in a file
// one "SELECTOR RULE key=value ..." a line with comments from # on.
#ifndef AB_RULE_TEXT_H
#define AB_RULE_TEXT_H

#include "method/method.h"

/* Setters of the parameters "rules" and "file": c->rules becomes a new list. Errors name the entry
 * or the line. */
enum ab_status ab_read_rules(struct ab_composite *c, const char *text, struct ab_error *err);
enum ab_status ab_read_rule_file(struct ab_composite *c, const char *path, struct ab_error *err);
void ab_rule_list_free(struct ab_rule_list **list);

#endif
