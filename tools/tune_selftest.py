#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether `attrbench tune` finds what a sweep of the whole space finds, in a quarter of its time.

    tools/tune_selftest.py --pair digits:gradient:latency --pair resnet18:lrp-zplus:throughput \\
        --space batch=1,2,4 --space pages=huge,small

For each pair: every point of the space is visited in turn (--exhaustive), then `tune` gets a quarter
of the time that took, three times. What it recommends and the best of the sweep are then measured
against each other by turns, each visit in a process of its own, and the best against itself: what
that differs by is what the check cannot tell. Prints a Markdown table, and exits with 1 if a
recommendation is more than 3 % behind or took more than a quarter of the time.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

SHARE, BEHIND = 0.25, 0.03
AGAIN = "the best again"
KNOBS = ("algo", "memory", "batch", "place", "pages", "denormals", "threads", "instances")


def tune(args, model, method, objective, space, *more):
    """The JSON of one run of the command."""
    command = [args.attrbench, "tune", "--model", model, "--method", method, "--objective",
               objective, "--json", "--quiet", *more]
    command += [word for s in space for word in ("--space", s)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        sys.exit(f"tune_selftest: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def value(point, objective):
    """What the objective looks at, larger is better."""
    if objective == "throughput":
        return point["images_per_s"]["value"]
    if objective == "memory":
        return 1 / point["resident_bytes"]
    return 1 / point["latency_ns"]["p50"]["value"]


def visited(result):
    return [p for p in result["points"] if p["visits"] and not p["error"] and
            p["verdict"] == "agree" and p["latency_ns"]["p50"]["value"]]


def only(point):
    """The space of that point alone."""
    d = point["deploy"]
    return [f"engine={d['backend']}"] + [f"{knob}={d[knob]}" for knob in KNOBS]


def duel(args, model, method, objective, points):
    """The value of each point, measured by turns: its best visits, since neighbours only slow."""
    values = {text: [] for text in points}
    for _ in range(args.rounds):
        for text, point in points.items():
            result = tune(args, model, method, objective, only(point), "--exhaustive", "--budget",
                          args.visit)
            if not visited(result):
                sys.exit(f"tune_selftest: {model} {method}: {text}: no visit in --visit "
                         f"{args.visit}, opening and judging included; give more")
            values[text].append(value(visited(result)[0], objective))
    return {text: statistics.quantiles(v, n=4)[2] for text, v in values.items()}


def judge(args, pair):
    """The row of a pair, and whether it is within the limits."""
    model, method, objective = pair.rsplit(":", 2)
    sweep = tune(args, model, method, objective, args.space, "--exhaustive", "--budget", "3h")
    spent = sweep["tune"]["spent_s"]
    best = max(visited(sweep), key=lambda p: value(p, objective))
    runs = [tune(args, model, method, objective, args.space, "--budget", f"{SHARE * spent:.0f}s",
                 "--seed", str(i)) for i in range(args.repeat)]
    texts = [r["recommended"] for r in runs if r["recommended"]]
    points = {p["text"]: p for r in runs for p in r["points"] if p["text"] in texts}
    points[best["text"]] = points[AGAIN] = best
    values = duel(args, model, method, objective, points)
    worst = min((values[t] for t in texts), default=0) / values[best["text"]] - 1
    noise = abs(values[AGAIN] / values[best["text"]] - 1)
    took = max(r["tune"]["spent_s"] for r in runs) / spent
    cells = [model, method, objective, len(visited(sweep)), f"{spent:.0f} s", f"{100 * took:.0f} %",
             best["text"], "; ".join(f"{texts.count(t)} x {t}" for t in sorted(set(texts))),
             f"{100 * worst:+.1f} %", f"{100 * noise:.1f} %"]
    fine = len(texts) == len(runs) and worst >= -BEHIND and took <= SHARE * 1.04
    return "| " + " | ".join(map(str, cells)) + " |", fine


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--attrbench", default="build/release/attrbench")
    p.add_argument("--pair", action="append", required=True, help="MODEL:METHOD:OBJECTIVE")
    p.add_argument("--space", action="append", default=[], help="as of attrbench tune")
    p.add_argument("--repeat", type=int, default=3, help="runs of tune for each pair")
    p.add_argument("--rounds", type=int, default=5, help="of measuring by turns")
    p.add_argument("--visit", default="12s", help="budget of each of these")
    args = p.parse_args()
    args.attrbench = os.path.abspath(args.attrbench)
    print("| model | method | objective | points | sweep | share of its time | best of the sweep | "
          "recommended | behind the best, by turns | the best against itself |\n"
          "|---|---|---|---|---|---|---|---|---|---|")
    good = True
    for pair in args.pair:
        row, fine = judge(args, pair)
        good = good and fine
        print(row + ("" if fine else " MISSED"), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
