// SPDX-License-Identifier: Apache-2.0
// A plugin for tests that lacks a library it was made for.
#include <attrbench/verify.h>

const struct ab_verify_plugin *function_of_a_library_that_is_not_linked(void);

const struct ab_verify_plugin *ab_verify_plugin(void)
{
    return function_of_a_library_that_is_not_linked();
}
