#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether `attrbench compare` says what is true of builds that are known: a build against itself, and
against itself with slices that were made longer by a known share (ATTRBENCH_TEST_SLOW).

    tools/regression_selftest.py [--attrbench build/release/attrbench] [--simulated test_decide]

Prints the table of docs/regressions.md and exits with 1 if a limit is missed: identical builds are
told apart in at most 1 of 100 comparisons, +2 % is found in 95 and +5 % in 99. A comparison is one
row of a run of `compare`, which judges its rows together. A busy loop runs on the other core.
"""
import argparse
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile


def busy(core):
    os.sched_setaffinity(0, {core})
    while True:
        pass


def slowed(attrbench, share, folder):
    """A program that is attrbench, but slower by `share`."""
    path = os.path.join(folder, f"slower-{share}")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nATTRBENCH_TEST_SLOW='*={share}' exec '{attrbench}' \"$@\"\n")
    os.chmod(path, 0o755)
    return path


def compare(args, build):
    command = [args.attrbench, "compare", "--against", args.attrbench, "--build", build, "--json",
               "--quiet", "--kernels", args.kernels, "--time", args.time]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3, 4):
        sys.exit(f"regression_selftest: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout), done.returncode


class Tally:
    """What was said of all rows of some runs."""

    def __init__(self, name):
        self.name = name
        self.of = dict.fromkeys(("same", "regression", "improvement", "inconclusive"), 0)
        self.first = 0  # rows that the first look alone would have called changed
        self.codes = []

    def add(self, comparison, code):
        self.codes.append(code)
        for change, count in comparison["counts"].items():
            self.of[change] += count
        for row in comparison["rows"]:
            self.first += row.get("first", {}).get("change") in ("regression", "improvement")

    def count(self):
        return sum(self.of.values())

    def row(self):
        codes = ", ".join(f"{self.codes.count(c)} x {c}" for c in sorted(set(self.codes)))
        cells = [self.name, self.count(), *self.of.values(), self.first, codes or "-"]
        return "| " + " | ".join(map(str, cells)) + " |"


def simulated(program):
    """The tallies that tests/test_decide.c prints, one for each share, over all its scenes."""
    text = subprocess.run([program, "by_turns", "percent"], capture_output=True, text=True,
                          check=False).stdout
    found = {}
    line = re.compile(r"^by turns, .*, ([+-]\d+) %: same (\d+), regression (\d+), "
                      r"improvement (\d+), inconclusive (\d+)$", re.MULTILINE)
    for share, *counts in line.findall(text):
        tally = found.setdefault(int(share), Tally(f"simulated, {share} %"))
        for change, count in zip(tally.of, counts):
            tally.of[change] += int(count)
    if not found:
        sys.exit(f"regression_selftest: {program} printed no tallies; name build/.../test_decide")
    return [found[share] for share in sorted(found) if share >= 0]


def measured(args, folder):
    plan = [("identical builds", None, args.same)]
    plan += [(f"+{100 * share:.0f} % planted", share, args.planted) for share in (0.02, 0.05)]
    for name, share, runs in plan:
        tally = Tally(name)
        for i in range(runs):
            build = slowed(args.attrbench, share, folder) if share else args.attrbench
            tally.add(*compare(args, build))
            print(f"{name}, run {i + 1} of {runs}: {tally.of}", file=sys.stderr)
        if runs:
            yield tally


def limit(tally):
    """(what must be rare enough or often enough, its rate, whether it is)."""
    false = tally.of["regression"] + tally.of["improvement"]
    if "+2 %" in tally.name:
        rate = tally.of["regression"] / tally.count()
        return "found", rate, rate >= 0.95
    if "+5 %" in tally.name:
        rate = tally.of["regression"] / tally.count()
        return "found", rate, rate >= 0.99
    return "false alarms", false / tally.count(), false <= 0.01 * tally.count()


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--attrbench", default="build/release/attrbench")
    p.add_argument("--simulated", help="the test program test_decide: its tallies too")
    p.add_argument("--kernels", default="*", help="shell pattern of kernels")
    p.add_argument("--time", default="0.1s", help="of each case, see attrbench compare --help")
    p.add_argument("--same", type=int, default=10, help="runs of identical builds")
    p.add_argument("--planted", type=int, default=3, help="runs with each planted slowdown")
    p.add_argument("--idle", action="store_true", help="no busy loop on the other core")
    args = p.parse_args()
    args.attrbench = os.path.abspath(args.attrbench)
    tallies = simulated(os.path.abspath(args.simulated)) if args.simulated else []
    # Workers bind themselves to the last cores.
    loop = multiprocessing.Process(target=busy, args=(min(os.sched_getaffinity(0)),), daemon=True)
    if not args.idle:
        loop.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            tallies += measured(args, folder)
    finally:
        if not args.idle:
            loop.terminate()
    print("| builds | comparisons | same | regression | improvement | inconclusive | changed by the "
          "first look | exit codes of the runs |\n|---|---|---|---|---|---|---|---|")
    for tally in tallies:
        print(tally.row())
    print()
    good = True
    for tally in tallies:
        what, rate, fine = limit(tally)
        good = good and fine
        print(f"{tally.name}: {what}: {100 * rate:.2f} %{'' if fine else ': MISSED'}")
    load = os.getloadavg()[0]
    print(f"load average {load:.1f} on {os.cpu_count()} cores")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
