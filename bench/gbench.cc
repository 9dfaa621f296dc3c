// SPDX-License-Identifier: Apache-2.0
// The C wrapper over Google Benchmark: no exception leaves it, no type of the library does.
#include "gbench.h"

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

extern "C" {
#include "base/base.h"
}

// ---- flags ----

// The flags of 1.7 and later that make sense here; the library itself ignores misspelt ones.
static const char *const flag_names[] = {
    "--benchmark_list_tests",
    "--benchmark_filter",
    "--benchmark_min_time",
    "--benchmark_min_warmup_time",
    "--benchmark_repetitions",
    "--benchmark_enable_random_interleaving",
    "--benchmark_report_aggregates_only",
    "--benchmark_display_aggregates_only",
    "--benchmark_format",
    "--benchmark_out",
    "--benchmark_out_format",
    "--benchmark_color",
    "--benchmark_counters_tabular",
    "--benchmark_perf_counters",
    "--benchmark_context",
    "--benchmark_time_unit",
};
static const int flag_count = sizeof flag_names / sizeof *flag_names;

namespace
{
struct settings {
    bool lists = false;
    std::string format; // of stdout; empty: nothing
    double min_time = 0;
    int64_t iterations = 0;
};
} // namespace
static settings chosen;
// The library keeps pointers into its arguments.
static std::vector<std::string> flags;

static bool refuse(char *why, size_t size, const std::string &text)
{
    snprintf(why, size, "%s", text.c_str());
    return false;
}

static bool is_one_of(const std::string &value, std::initializer_list<const char *> words)
{
    for (const char *word : words)
        if (value == word) return true;
    return false;
}

// "0.5", "0.5s": seconds; "20x": iterations. Writes the flag as this version wants it; an empty
// flag is dropped.
static bool translate_min_time(const std::string &value, std::string &flag)
{
    char *end = nullptr;
    errno = 0;
    double number = strtod(value.c_str(), &end);
    if (end == value.c_str() || errno || !(number > 0) || !std::isfinite(number)) return false;
    if (!strcmp(end, "x") && number == std::floor(number) && number < 1e15) {
        chosen.iterations = static_cast<int64_t>(number);
        flag.clear();
        return true;
    }
    if (*end && strcmp(end, "s") != 0) return false;
    chosen.min_time = number;
    flag = "--benchmark_min_time=" + value.substr(0, static_cast<size_t>(end - value.c_str()));
    return true;
}

static bool is_count(const std::string &value)
{
    return !value.empty() && value.size() < 10 &&
           value.find_first_not_of("0123456789") == std::string::npos;
}

static bool is_switch(const std::string &value)
{
    return is_one_of(value, {"true", "false", "1", "0", "yes", "no", "on", "off"});
}

// The library exits or prints usage on bad values; they are found here first. `expects` says what
// a good one is.
static bool check_value(const std::string &name, const std::string &value, std::string &flag,
                        std::string &expects)
{
    if (name == "--benchmark_min_time") {
        expects = "seconds ('0.5' or '0.5s') or iterations ('20x')";
        return translate_min_time(value, flag);
    }
    if (name == "--benchmark_repetitions") {
        expects = "a count from 1";
        return is_count(value) && atol(value.c_str()) > 0;
    }
    if (name == "--benchmark_format" || name == "--benchmark_out_format") {
        expects = "console, json or csv";
        if (name == "--benchmark_format") chosen.format = value;
        return is_one_of(value, {"console", "json", "csv"});
    }
    if (name == "--benchmark_out") {
        expects = "a file that can be written";
        FILE *f = fopen(value.c_str(), "a");
        return f && fclose(f) == 0;
    }
    if (name == "--benchmark_time_unit") {
        expects = "ns, us, ms or s";
        return is_one_of(value, {"ns", "us", "ms", "s"});
    }
    if (name == "--benchmark_color") {
        expects = "auto, true or false";
        return value == "auto" || is_switch(value);
    }
    if (name == "--benchmark_list_tests") {
        expects = "true or false";
        chosen.lists = is_one_of(value, {"true", "1", "yes", "on"});
        return is_switch(value);
    }
    if (name == "--benchmark_filter" || name == "--benchmark_context" ||
        name == "--benchmark_perf_counters") {
        expects = "a value";
        return !value.empty();
    }
    if (name == "--benchmark_min_warmup_time") {
        expects = "seconds";
        char *end = nullptr;
        double seconds = strtod(value.c_str(), &end);
        return end != value.c_str() && !*end && seconds >= 0 && std::isfinite(seconds);
    }
    expects = "true or false";
    return is_switch(value);
}

static bool takes_no_value(const std::string &name)
{
    return is_one_of(name, {"--benchmark_list_tests", "--benchmark_report_aggregates_only",
                            "--benchmark_display_aggregates_only",
                            "--benchmark_enable_random_interleaving",
                            "--benchmark_counters_tabular", "--benchmark_color"});
}

static bool check_flag(const char *text, std::string &flag, char *why, size_t why_size)
{
    std::string whole = text;
    size_t equals = whole.find('=');
    std::string name = whole.substr(0, equals);
    bool known = false;
    for (const char *candidate : flag_names) known = known || name == candidate;
    if (!known) {
        const char *near = ab_nearest(name.c_str(), flag_names, flag_count);
        return refuse(why, why_size,
                      "unknown flag " + name +
                          (near ? std::string("; did you mean ") + near + "?" : "; see --help"));
    }
    std::string value = equals != std::string::npos ? whole.substr(equals + 1)
                        : takes_no_value(name)      ? "true"
                                                    : "";
    std::string expects;
    flag = whole;
    if (!check_value(name, value, flag, expects))
        return refuse(why, why_size,
                      name + ": '" + value + "' will not do; write " + name + "=VALUE with " +
                          expects);
    return true;
}

extern "C" bool ab_gbench_initialize(int *argc, char **argv, char *why, size_t why_size)
{
    try {
        chosen = settings();
        flags = {argv[0]};
        int kept = 1;
        for (int i = 1; i < *argc; i++) {
            if (strncmp(argv[i], "--benchmark_", 12) != 0) {
                argv[kept++] = argv[i];
                continue;
            }
            std::string flag;
            if (!check_flag(argv[i], flag, why, why_size)) return false;
            // CSV has no printer of ours; the library's is deprecated and kept for files alone.
            bool ours = flag.compare(0, 18, "--benchmark_format") == 0;
            if (ours && chosen.format == "csv")
                return refuse(why, why_size,
                              "--benchmark_format=csv is not offered; write a file: "
                              "--benchmark_out=F --benchmark_out_format=csv");
            if (!flag.empty()) flags.push_back(flag);
        }
        argv[kept] = nullptr;
        *argc = kept;
        std::vector<char *> pointers;
        for (std::string &flag : flags) pointers.push_back(&flag[0]);
        pointers.push_back(nullptr);
        int count = static_cast<int>(flags.size());
        benchmark::Initialize(&count, pointers.data());
        if (count > 1)
            return refuse(why, why_size,
                          std::string(pointers[1]) +
                              ": not understood by this version of Google Benchmark");
        return true;
    } catch (const std::exception &e) {
        return refuse(why, why_size, std::string("Google Benchmark: ") + e.what());
    }
}

extern "C" bool ab_gbench_lists(void)
{
    return chosen.lists;
}

extern "C" bool ab_gbench_prints(void)
{
    return !chosen.format.empty();
}

extern "C" double ab_gbench_min_time(void)
{
    return chosen.min_time;
}

// ---- cases ----

struct ab_gbench_state {
    benchmark::State *state;
};

static benchmark::TimeUnit unit_of(enum ab_gbench_unit unit)
{
    switch (unit) {
    case AB_GBENCH_US: return benchmark::kMicrosecond;
    case AB_GBENCH_MS: return benchmark::kMillisecond;
    case AB_GBENCH_S: return benchmark::kSecond;
    default: return benchmark::kNanosecond;
    }
}

extern "C" bool ab_gbench_register(const struct ab_gbench_case *c)
{
    try {
        struct ab_gbench_case copy = *c;
        auto *b = benchmark::RegisterBenchmark(c->name, [copy](benchmark::State &state) {
            ab_gbench_state wrapped = {&state};
            copy.run(&wrapped, copy.user);
        });
        int64_t iterations = c->iterations > 0 ? c->iterations : chosen.iterations;
        if (iterations > 0)
            b->Iterations(iterations);
        else if (c->min_time > 0)
            b->MinTime(c->min_time);
        if (c->manual_time) b->UseManualTime();
        b->Unit(unit_of(c->unit));
        return true;
    } catch (...) {
        return false;
    }
}

// ---- runs ----

extern "C" void ab_gbench_context(const char *key, const char *value)
{
    try {
        benchmark::AddCustomContext(key, value);
    } catch (...) {
        // Out of memory: a context line less.
    }
}

static double seconds_per(benchmark::TimeUnit unit)
{
    switch (unit) {
    case benchmark::kMicrosecond: return 1e-6;
    case benchmark::kMillisecond: return 1e-3;
    case benchmark::kSecond: return 1;
    default: return 1e-9;
    }
}

namespace
{
// Hands runs to C, and to the library's own printer where stdout was asked for.
class forwarder : public benchmark::BenchmarkReporter
{
  public:
    forwarder(ab_gbench_report_fn report, void *user) : report_(report), user_(user)
    {
        // What the library would say there, the caller sees in what ab_gbench_run returns.
        SetErrorStream(&ignored_);
        if (chosen.format == "json") printer_.reset(new benchmark::JSONReporter);
        if (chosen.format == "console")
            printer_.reset(new benchmark::ConsoleReporter(benchmark::ConsoleReporter::OO_None));
    }
    bool ReportContext(const Context &context) override
    {
        return printer_ ? printer_->ReportContext(context) : true;
    }
    void ReportRuns(const std::vector<Run> &runs) override
    {
        if (printer_) printer_->ReportRuns(runs);
        for (const Run &run : runs) forward(run);
    }
    void Finalize() override
    {
        if (printer_) printer_->Finalize();
    }

  private:
    void forward(const Run &run) const
    {
        if (!report_) return;
        std::string name = run.benchmark_name();
        ab_gbench_result result = {};
        result.name = name.c_str();
        result.label = run.report_label.c_str();
        result.aggregate = run.aggregate_name.c_str();
        result.error = run.error_occurred ? run.error_message.c_str() : nullptr;
        bool fraction = run.run_type == Run::RT_Aggregate &&
                        run.aggregate_unit == benchmark::StatisticUnit::kPercentage;
        result.real_seconds = fraction ? run.real_accumulated_time
                                       : run.GetAdjustedRealTime() * seconds_per(run.time_unit);
        result.iterations = run.iterations;
        result.repetition = run.repetition_index;
        report_(&result, user_);
    }
    ab_gbench_report_fn report_;
    void *user_;
    std::ostringstream ignored_;
    std::unique_ptr<benchmark::BenchmarkReporter> printer_;
};
} // namespace

extern "C" int ab_gbench_run(ab_gbench_report_fn report, void *user)
{
    try {
        forwarder reporter(report, user);
        return static_cast<int>(benchmark::RunSpecifiedBenchmarks(&reporter));
    } catch (...) {
        return -1;
    }
}

extern "C" void ab_gbench_clear(void)
{
    benchmark::ClearRegisteredBenchmarks();
}

extern "C" void ab_gbench_shutdown(void)
{
    benchmark::Shutdown();
}

// ---- inside a case ----

extern "C" bool ab_gbench_keep_running(struct ab_gbench_state *state)
{
    return state->state->KeepRunning();
}

extern "C" bool ab_gbench_keep_running_batch(struct ab_gbench_state *state, int64_t count)
{
    return state->state->KeepRunningBatch(count);
}

extern "C" int64_t ab_gbench_iterations(const struct ab_gbench_state *state)
{
    return state->state->max_iterations;
}

extern "C" void ab_gbench_iteration_time(struct ab_gbench_state *state, double seconds)
{
    state->state->SetIterationTime(seconds);
}

extern "C" void ab_gbench_counter(struct ab_gbench_state *state, const char *name, double value)
{
    if (std::isfinite(value)) state->state->counters[name] = value;
}

extern "C" void ab_gbench_label(struct ab_gbench_state *state, const char *text)
{
    state->state->SetLabel(text);
}

extern "C" void ab_gbench_skip(struct ab_gbench_state *state, const char *why)
{
    state->state->SkipWithError(why);
}
