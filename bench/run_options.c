// SPDX-License-Identifier: Apache-2.0
// attrbench run: its options.
#include "command.h"
#include "run.h"

static int run_command(void *user, int argc, char **argv)
{
    const struct ab_run_settings *settings = user;
    if (settings->resume) return ab_run_resume(settings, argc, argv);
    json_t *words = ab_options_words(&ab_command_run, settings);
    for (int i = 1; i < argc; i++) json_array_append_new(words, json_string(argv[i]));
    const int code = words ? ab_run_measure(settings, words, argc, argv)
                           : ab_complain(AB_EXIT_ERROR, "out of memory; close something else");
    json_decref(words);
    return code;
}

#define FIELD(name) offsetof(struct ab_run_settings, name)
static const struct ab_option options[] = {
    {"model", "M", "a built-in network (attrbench models) or an ONNX file; may be repeated",
     AB_OPTION_TEXTS, FIELD(models)},
    {"method", "S[,S]...",
     "methods (attrbench methods), NAME or NAME:key=value,..., or all; default: the eleven\n"
     "usual ones",
     AB_OPTION_METHODS, FIELD(methods)},
    {"backend", "B[,B]...", "native, native:ISA, onednn, reference; default: all", AB_OPTION_LIST,
     FIELD(backends)},
    {"threads", "N[,N]...", "threads of an execution; default 1", AB_OPTION_COUNTS, FIELD(threads)},
    {"batch", "N[,N]...", "images of an execution; default 1", AB_OPTION_COUNTS, FIELD(batches)},
    {"input", "F|DIR",
     "picture, .npy array, or a folder of them; may be repeated; default: a "
     "digit or a\nphotograph, as the model takes",
     AB_OPTION_TEXTS, FIELD(inputs)},
    {"target", "T[,T]...",
     "classes to explain, all in one execution: top, topN (the N highest), numbers, labels;\n"
     "default top",
     AB_OPTION_TEXT, FIELD(target)},
    {"at", "LAYER", "maps of a layer's output instead of the image", AB_OPTION_TEXT, FIELD(at)},
    {"labels", "F", "names of the classes, one a line", AB_OPTION_TEXT, FIELD(labels)},
    {"preprocess", "P",
     "imagenet, unit, none or mean=a/b/c,std=a/b/c; default: imagenet for "
     "three\nchannels, unit for others",
     AB_OPTION_TEXT, FIELD(preprocess)},
    {"time", "T",
     "seconds of sampling for each method (its backends share it); default 0.5,\nwithout --model "
     "and --method 0.25",
     AB_OPTION_SECONDS, FIELD(time)},
    {"algo", "auto|direct",
     "convolutions of the native backend: the fastest algorithm for each, or plain sums\nalone "
     "(no Winograd)",
     AB_OPTION_CHOICE, FIELD(algo)},
    {"memory", "fast|lean",
     "native: keep packed and transformed weights, or no second copy of large ones\n(implies plain "
     "sums)",
     AB_OPTION_CHOICE, FIELD(memory)},
    {"cache", "hot|cold",
     "what an execution finds in the caches: what its own last one left, or nothing (all are\n"
     "evicted before each)",
     AB_OPTION_CHOICE, FIELD(cache)},
    {"denormals", "keep|flush",
     "subnormal numbers as IEEE 754 has them, or as zeros (FTZ and DAZ), which shows what\nthey "
     "cost",
     AB_OPTION_CHOICE, FIELD(denormals)},
    {"pages", "huge|small",
     "memory of plans: huge pages where the system has any, or small ones alone, which shows\n"
     "what they save",
     AB_OPTION_CHOICE, FIELD(pages)},
    {"no-agree", NULL, "do not compare with the reference", AB_OPTION_FLAG, FIELD(no_agree)},
    {"no-joint", NULL, "do not time all methods in one plan beside them one by one", AB_OPTION_FLAG,
     FIELD(no_joint)},
    {"profile", NULL,
     "the steps of each plan too: kernel, time, GFLOP/s, bytes, share of the roof, and the\nnumber "
     "of forward and backward passes over linear layers",
     AB_OPTION_FLAG, FIELD(profile)},
    {"kernels", "GLOB",
     "time kernels of this name instead (attrbench kernels) on --shapes, against\noneDNN at the "
     "same instruction set: --backend native:ISA,onednn",
     AB_OPTION_TEXT, FIELD(kernels)},
    {"shapes", "F", "a file of convolution shapes, one a line (data/shapes/)", AB_OPTION_TEXT,
     FIELD(shapes)},
    {"json", NULL, "records as JSON on standard output; talk goes to standard error",
     AB_OPTION_FLAG, FIELD(json)},
    {"save", "NAME",
     "keep the rows and all samples in the store too, as a run of that name, for compare,\nhistory "
     "and report",
     AB_OPTION_TEXT, FIELD(save)},
    {"resume", "NAME",
     "go on with a saved run that was interrupted: its options, what is missing of its rows",
     AB_OPTION_TEXT, FIELD(resume)},
    {"db", "F", "the store; default $ATTRBENCH_DB, or attrbench.db in the current folder",
     AB_OPTION_TEXT, FIELD(db)},
    {"out", "DIR", "where results.json and maps.png or kernels.md go; default ./attrbench-out",
     AB_OPTION_TEXT, FIELD(out)},
};

const struct ab_command ab_command_run = {
    .name = "run",
    .summary = "measures methods on models: latency, agreement with the reference, heat maps",
    .usage = "[OPTION]... [--benchmark_*]...",
    .more = "Without --model and --method: the digits network by eleven methods and VGG-16 by "
            "five, all\n"
            "backends, in about a minute; --model vgg16 takes all eleven there. Google Benchmark's "
            "flags (--benchmark_filter=REGEX, --benchmark_out=F,\n"
            "--benchmark_repetitions=N, --benchmark_list_tests) do what they do everywhere.",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_size = sizeof(struct ab_run_settings),
    .benchmark_flags = true,
    .run = run_command,
};
