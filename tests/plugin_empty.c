// SPDX-License-Identifier: Apache-2.0
// A shared object for tests that is no plugin: what it calls its entry cannot be seen.
int ab_plugin_of_another_name(void);
int ab_plugin_of_another_name(void)
{
    return 0;
}
