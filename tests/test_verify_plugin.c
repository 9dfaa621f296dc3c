// SPDX-License-Identifier: Apache-2.0
// Foreign kernels: what is offered becomes candidates, and every way in which a file is no plugin,
// or a plugin breaks or lies, ends in one line that names it.
#include "verify/plugin.h"
#include "files.h"
#include "support.h"

#include <elf.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *built(const char *name)
{
    static char path[512];
    const char *dir = getenv("AB_BUILD_DIR");
    CHECK(dir, "AB_BUILD_DIR is not set: run this by ctest");
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Loading `path` fails with the status and a single line that holds the path and `part`. */
static void refuses(const char *path, enum ab_status status, const char *part)
{
    struct ab_plugin *list = NULL;
    struct ab_error err = {""};
    const enum ab_status got = ab_plugin_load(path, &list, &err);
    CHECK(got == status, "%s: status %d, not %d: %s", path, (int)got, (int)status, err.text);
    CHECK(!list, "%s: refused, yet in the list", path);
    CHECK(!strncmp(err.text, "plugin ", 7), "%s", err.text);
    CHECK(strstr(err.text, path), "\"%s\" does not name %s", err.text, path);
    CHECK(strstr(err.text, part), "\"%s\" does not say \"%s\"", err.text, part);
    CHECK(!strchr(err.text, '\n'), "more than a line: %s", err.text);
}

static void bad(const char *how, enum ab_status status, const char *part)
{
    context("AB_BAD_PLUGIN=%s", how);
    setenv("AB_BAD_PLUGIN", how, 1);
    refuses(built("tests/plugin_bad.so"), status, part);
    unsetenv("AB_BAD_PLUGIN");
}

TEST(candidates)
{
    struct ab_plugin *list = NULL;
    struct ab_error err = {""};
    const char *path = built("tests/plugin_bad.so");
    CHECK(!ab_plugin_load(path, &list, &err), "%s", err.text);
    CHECK(list && !list->next && list->count == 2, "not one plugin of two kernels");
    CHECK(!strcmp(list->offer->name, "bad 1.0"), "name %s", list->offer->name);
    const struct ab_candidate *c = list->candidates;
    CHECK(!strcmp(c[0].name, "plugin_bad:first"), "%s", c[0].name);
    CHECK(!strcmp(c[1].name, "plugin_bad:second.of-2"), "%s", c[1].name);
    CHECK(c[0].op == AB_KERNEL_dense && c[1].op == AB_KERNEL_pointwise, "operations");
    for (int i = 0; i < 2; i++) {
        CHECK(!strcmp(c[i].isa, "plugin"), "isa %s", c[i].isa);
        CHECK(!c[i].kernel && c[i].foreign == &list->offer->kernels[i], "kernel %d", i);
        CHECK(c[i].foreign->run(NULL) == AB_VERIFY_DONE, "kernel %d does not run", i);
    }
    CHECK(ab_plugin_load(path, &list, &err) == AB_ERR_ARG, "loaded twice");
    CHECK(strstr(err.text, "load it once, or rename"), "%s", err.text);
    CHECK(list && !list->next, "the list has changed");
    ab_plugin_free(&list);
    CHECK(!list, "not cleared");
    ab_plugin_free(&list);
}

static int nothing(const void *args)
{
    (void)args;
    return AB_VERIFY_DONE;
}

TEST(linked_kernels)
{
    static const struct ab_verify_kernel kernels[] = {{"a", AB_VERIFY_MAXPOOL, nothing, NULL, 0},
                                                      {"b", AB_VERIFY_AVGPOOL, nothing, NULL, 9}};
    const struct ab_verify_plugin good = {AB_VERIFY_ABI, "linked", kernels, 2};
    struct ab_verify_plugin other = {AB_VERIFY_ABI + 1, "linked", kernels, 2};
    struct ab_plugin *list = NULL;
    struct ab_error err = {""};
    CHECK(!ab_plugin_add(&good, "lib", "linked", &list, &err), "%s", err.text);
    CHECK(ab_plugin_add(&other, "lib2", "linked", &list, &err) == AB_ERR_UNSUPPORTED, "ABI");
    CHECK(ab_plugin_add(&good, "lib", "linked", &list, &err) == AB_ERR_ARG, "prefix");
    CHECK(!ab_plugin_add(&good, "lib2", "linked", &list, &err), "%s", err.text);
    CHECK(list->next && !list->next->next, "not two");
    CHECK(!strcmp(list->next->candidates[1].name, "lib2:b"), "%s", list->next->candidates[1].name);
    CHECK(list->candidates[1].op == AB_KERNEL_avgpool, "operation");
    CHECK(!strcmp(list->candidates[0].isa, "linked"), "%s", list->candidates[0].isa);
    ab_plugin_free(&list);
}

TEST(files_that_are_no_plugins)
{
    refuses("no/such/file.so", AB_ERR_IO, "No such file");
    refuses("tests", AB_ERR_IO, "not a regular file");
    refuses("/dev/null", AB_ERR_IO, "not a regular file");
    refuses("tests/test_verify_plugin.c", AB_ERR_FORMAT, "cc -shared -fPIC");
    refuses(built("tests/plugin_empty.so"), AB_ERR_FORMAT, "exports no ab_verify_plugin");
    refuses(built("tests/plugin_unresolved.so"), AB_ERR_FORMAT,
            "function_of_a_library_that_is_not_linked");
    /* Position-independent programs are shared objects of a kind; the loader knows. */
    char self[512] = {0};
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0, "no /proc");
    refuses(self, AB_ERR_FORMAT, "cannot be loaded: ");
}

/* A copy of the first `bytes` of a right plugin, with a field of its ELF header changed. */
static void changed(const char *how, size_t at, int value, size_t bytes, enum ab_status status,
                    const char *part)
{
    context("%s", how);
    unsigned char head[4096];
    FILE *in = fopen(built("tests/plugin_bad.so"), "rb");
    CHECK(in && fread(head, 1, sizeof head, in) == sizeof head, "cannot read the plugin");
    fclose(in);
    head[at] = (unsigned char)value;
    refuses(write_file("object.so", head, bytes), status, part);
}

TEST(objects_of_other_kinds)
{
    const size_t machine = offsetof(Elf64_Ehdr, e_machine), type = offsetof(Elf64_Ehdr, e_type);
    changed("RISC-V", machine, EM_RISCV, 4096, AB_ERR_UNSUPPORTED, "built for RISC-V, this");
    changed("32 bits", machine, EM_386, 4096, AB_ERR_UNSUPPORTED, "built for x86 (32 bits)");
    changed("32-bit class", EI_CLASS, ELFCLASS32, 4096, AB_ERR_UNSUPPORTED, "build it for this");
    changed("big endian", EI_DATA, ELFDATA2MSB, 4096, AB_ERR_UNSUPPORTED, "build it for this");
    changed("an object file", type, ET_REL, 4096, AB_ERR_FORMAT, "link it with -shared");
    changed("a program", type, ET_EXEC, 4096, AB_ERR_FORMAT, "a program, not a shared object");
    changed("a core file", type, ET_CORE, 4096, AB_ERR_FORMAT, "another kind");
    changed("40 bytes", 0, 0x7f, 40, AB_ERR_FORMAT, "cut off");
    changed("a page", 0, 0x7f, 4096, AB_ERR_FORMAT, "loaded");
    changed("nothing", 0, 0x7f, 0, AB_ERR_FORMAT, "not a shared object");
}

TEST(offers_that_cannot_be_believed)
{
    bad("null", AB_ERR_UNSUPPORTED, "refuses to be loaded");
    bad("abi", AB_ERR_UNSUPPORTED, "AB_VERIFY_ABI 42, this command has 1");
    bad("name", AB_ERR_FORMAT, "has no name");
    bad("count", AB_ERR_FORMAT, "offers 0 kernels");
    bad("many", AB_ERR_FORMAT, "offers 1073741824 kernels");
    bad("kernels", AB_ERR_FORMAT, "no array");
    bad("kernel-null", AB_ERR_FORMAT, "kernel 1 has no name");
    bad("kernel-empty", AB_ERR_FORMAT, "kernel 1 is called \"\"");
    bad("kernel-space", AB_ERR_FORMAT, "kernel 1 is called \"two words\"");
    bad("kernel-long", AB_ERR_FORMAT, "up to 63");
    bad("twice", AB_ERR_FORMAT, "kernels 0 and 1 are both called \"first\"");
    bad("operation", AB_ERR_FORMAT, "operation 77");
    bad("run", AB_ERR_FORMAT, "\"second.of-2\" has no run function");
    bad("amplification", AB_ERR_FORMAT, "amplification -1");
    bad("amplification-nan", AB_ERR_FORMAT, "amplification nan");
}

TEST(crashes_and_hangs_stay_outside)
{
    bad("crash", AB_ERR_FORMAT, "crashes while it is loaded (");
    bad("crash-constructor", AB_ERR_FORMAT, "crashes while it is loaded (");
    bad("wild", AB_ERR_FORMAT, "crashes while it is loaded (");
    bad("exit", AB_ERR_FORMAT, "ends the process while it is loaded (exit status 3)");
    bad("hang", AB_ERR_FORMAT, "still loading after");
}

/* ---- the examples ---- */

enum { IMAGE = 6, INPUTS = 3, MOST_OUTPUTS = 8 };

static float convolved(const struct ab_verify_conv2d *a, int oc, int oy, int ox)
{
    float sum = a->bias[oc];
    for (int c = 0; c < a->ic; c++)
        for (int ky = 0; ky < a->kh; ky++)
            for (int kx = 0; kx < a->kw; kx++) {
                const int y = oy - a->pt + ky, x = ox - a->pl + kx;
                if (y < 0 || y >= a->ih || x < 0 || x >= a->iw) continue;
                sum += a->wei[((oc * a->ic + c) * a->kh + ky) * a->kw + kx] *
                       a->src[(c * a->ih + y) * a->iw + x];
            }
    return sum;
}

/* Small integers between guard pages; whether the kernel's result, put on top of `before`, is the
 * right one. Dies where the kernel touches a page. */
static bool is_right(const struct ab_verify_kernel *k, int outputs, float before)
{
    const size_t pixels = (size_t)IMAGE * IMAGE, n_dst = (size_t)outputs * pixels;
    const size_t counts[] = {INPUTS * pixels, (size_t)outputs * INPUTS * 9, (size_t)outputs, n_dst};
    struct ab_guarded g[4];
    struct ab_rng rng = ab_rng_new(1, (uint64_t)outputs);
    for (int i = 0; i < 4; i++) {
        CHECK(ab_guarded_new(&g[i], counts[i] * sizeof(float), sizeof(float), 0, AB_SIDE_RIGHT),
              "out of memory");
        ab_fill_floats(g[i].data, counts[i], AB_FILL_INT, &rng, NULL, 0);
    }
    float *dst = g[3].data;
    for (size_t i = 0; i < n_dst; i++) dst[i] = before;
    const struct ab_verify_conv2d a = {0,     1, 1, INPUTS,    IMAGE,     IMAGE,     outputs, IMAGE,
                                       IMAGE, 3, 3, 1,         1,         1,         1,       1,
                                       1,     1, 1, g[1].data, g[2].data, g[0].data, dst};
    CHECK(k->run(&a) == AB_VERIFY_DONE, "%s: not done", k->name);
    bool right = true;
    for (size_t i = 0; i < n_dst && right; i++) {
        const int pixel = (int)(i % pixels);
        right = dst[i] == convolved(&a, (int)(i / pixels), pixel / IMAGE, pixel % IMAGE);
    }
    for (int i = 0; i < 4; i++) ab_guarded_free(&g[i]);
    return right;
}

/* Whether a process of its own survives the kernel. */
static bool survives(const struct ab_verify_kernel *k)
{
    const pid_t pid = fork();
    CHECK(pid >= 0, "no process");
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        is_right(k, 4, 0);
        _exit(0);
    }
    int state;
    CHECK(waitpid(pid, &state, 0) == pid, "no child");
    return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

TEST(example_of_wrong_kernels)
{
    struct ab_plugin *list = NULL;
    struct ab_error err = {""};
    const char *path = built("examples/verify_wrong.so");
    if (access(path, R_OK) != 0) return; /* built with the command alone */
    CHECK(!ab_plugin_load(path, &list, &err), "%s", err.text);
    CHECK(list->count == 3, "%d kernels", list->count);
    const struct ab_verify_kernel *tail = &list->offer->kernels[0], *over_read = tail + 1;
    const struct ab_verify_kernel *stale = tail + 2;
    CHECK(!strcmp(tail->name, "tail") && is_right(tail, 4, NAN) && is_right(tail, 5, NAN), "tail");
    CHECK(!is_right(tail, 6, NAN) && !is_right(tail, 3, NAN), "the tail is right");
    CHECK(!strcmp(stale->name, "stale") && is_right(stale, 6, 0), "stale");
    CHECK(!is_right(stale, 6, NAN) && !is_right(stale, 6, 1), "stale results do no harm");
    CHECK(survives(stale) && survives(tail), "a kernel that stays inside crashes");
    CHECK(!strcmp(over_read->name, "over-read") && !survives(over_read), "nobody sees over-reads");
    ab_plugin_free(&list);
}

TEST(example_of_onednn)
{
    struct ab_plugin *list = NULL;
    struct ab_error err = {""};
    const char *path = built("examples/verify_onednn.so");
    if (access(path, R_OK) != 0) return; /* built with the command and oneDNN alone */
    CHECK(!ab_plugin_load(path, &list, &err), "%s", err.text);
    CHECK(!strcmp(list->candidates[0].name, "verify_onednn:conv2d"), "%s",
          list->candidates[0].name);
    for (int outputs = 1; outputs <= MOST_OUTPUTS; outputs++)
        CHECK(is_right(list->candidates[0].foreign, outputs, NAN), "%d outputs", outputs);
    ab_plugin_free(&list);
}

static const struct test_case cases[] = {
    CASE(candidates),
    CASE(linked_kernels),
    CASE(files_that_are_no_plugins),
    CASE(objects_of_other_kinds),
    CASE(offers_that_cannot_be_believed),
    CASE(crashes_and_hangs_stay_outside),
    CASE(example_of_wrong_kernels),
    CASE(example_of_onednn),
};
TEST_MAIN("verify plugins", cases)
