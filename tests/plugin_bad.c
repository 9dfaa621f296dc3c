// SPDX-License-Identifier: Apache-2.0
// A plugin for tests: a right one, or, as the environment variable AB_BAD_PLUGIN says, one that is
// wrong in a given way.
#include <attrbench/verify.h>

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(const void *args)
{
    (void)args;
    return AB_VERIFY_DONE;
}

static int is(const char *how)
{
    const char *wanted = getenv("AB_BAD_PLUGIN");
    return wanted && !strcmp(wanted, how);
}

__attribute__((constructor)) static void loaded(void)
{
    if (is("crash-constructor")) raise(SIGSEGV);
    if (is("exit")) _exit(3);
}

static struct ab_verify_kernel kernels[] = {
    {.name = "first", .operation = AB_VERIFY_DENSE, .run = run},
    {.name = "second.of-2", .operation = AB_VERIFY_POINTWISE, .run = run},
};
static struct ab_verify_plugin plugin = {AB_VERIFY_ABI, "bad 1.0", kernels, 2};

static void spoil_kernel(void)
{
    static char endless[65];
    memset(endless, 'x', sizeof endless - 1);
    if (is("kernel-null")) kernels[1].name = NULL;
    if (is("kernel-empty")) kernels[1].name = "";
    if (is("kernel-space")) kernels[1].name = "two words";
    if (is("kernel-long")) kernels[1].name = endless;
    if (is("twice")) kernels[1].name = "first";
    if (is("operation")) kernels[1].operation = (enum ab_verify_operation)77;
    if (is("run")) kernels[1].run = NULL;
    if (is("amplification")) kernels[1].amplification = -1;
    if (is("amplification-nan")) kernels[1].amplification = NAN;
}

const struct ab_verify_plugin *ab_verify_plugin(void)
{
    if (is("null")) return NULL;
    if (is("crash")) raise(SIGSEGV);
    if (is("hang"))
        for (;;) pause();
    spoil_kernel();
    if (is("abi")) plugin.abi = AB_VERIFY_ABI + 41;
    if (is("name")) plugin.name = NULL;
    if (is("count")) plugin.count = 0;
    if (is("many")) plugin.count = 1 << 30;
    if (is("kernels")) plugin.kernels = NULL;
    if (is("wild")) plugin.kernels = (const struct ab_verify_kernel *)16;
    return &plugin;
}
