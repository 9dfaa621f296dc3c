#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether `attrbench tune` finds what a sweep of the whole space finds, in a quarter of its time.

    tools/tune_selftest.py --pair digits:gradient:latency --pair resnet18:lrp-zplus:throughput \\
        --space batch=1,2,4 --space pages=huge,small

For each pair: every point of the space is visited in turn (--exhaustive), then `tune` gets a quarter
of the time that took, three times. What it recommends, the best of the sweep and those that came
next in it are then held against each other: a process of each (`attrbench serve`) is open, one
after the other serves for a fifth of a second, again and again; and that with fresh processes
several times. What these rounds differ by is what the check cannot tell: twice the standard error.
A sweep or a search of which the host stole more than 5 % is made again, at most twice.
Prints a Markdown table, and exits with 1 if a recommendation is more than 3 % behind the best of
all or took more than a quarter of the time.
"""
import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys

SHARE, BEHIND = 0.25, 0.03
NEXT = 2  # points of the sweep after its best
STOLEN, TRIES = 0.05, 3
# As in enum ab_algo and its like.
NUMBERS = {"algo": ("auto", "direct"), "memory": ("fast", "lean"), "pages": ("huge", "small"),
           "denormals": ("keep", "flush"), "place": ("cores", "smt", "free")}


def tune(args, model, method, objective, space, *more):
    """The JSON of one run of the command."""
    command = [args.attrbench, "tune", "--model", model, "--method", method, "--objective",
               objective, "--json", "--quiet", *more]
    command += [word for s in space for word in ("--space", s)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        sys.exit(f"tune_selftest: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def tune_in_quiet(args, what, *words):
    """The one the host stole least from, if it is too much of each."""
    tries = []
    while len(tries) < TRIES:
        result = tune(args, *words)
        stolen = result["tune"]["stolen"] or 0
        tries.append((stolen, len(tries), result))
        if stolen <= STOLEN:
            break
        print(f"tune_selftest: {what} of {words[0]} {words[1]}: the host stole "
              f"{100 * stolen:.0f} %", file=sys.stderr)
    return min(tries)[2]


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


def cpus(place, count):
    """CPUs of that many threads: each on a core of its own, or siblings first."""
    cores = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        with open(path, encoding="ascii") as f:
            cores.setdefault(f.read(), []).append(cpu)
    if place == "smt":
        return [cpu for core in cores.values() for cpu in core][:count]
    rows = itertools.zip_longest(*cores.values())
    return [cpu for row in rows for cpu in row if cpu is not None][:count]


class Server:
    """A process that serves a point by turns."""

    def __init__(self, args, model, method, point):
        deploy = {k: NUMBERS[k].index(v) if k in NUMBERS else v for k, v in point["deploy"].items()}
        count = deploy["threads"] * deploy["instances"]
        if point["deploy"]["place"] != "free":
            deploy["cpus"] = cpus(point["deploy"]["place"], count)
        self.places = deploy["batch"] * deploy["instances"]
        options = {"model": model, "method": method, "deploy": deploy, "load": 0, "streams": 0,
                   "rate": 0, "seed": 0, "born_ns": 0, "seconds": 2, "most_seconds": 0,
                   "least_requests": 0, "turn_s": args.turn, "quantile": 0.5, "limit_ns": 0,
                   "confidence": 0.95}
        self.process = subprocess.Popen([args.attrbench, "serve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(options) + "\n")

    def turn(self):
        """Images a second."""
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            told = json.loads(line) if line.strip() else {}
            if "error" in told:
                sys.exit(f"tune_selftest: {told['error']['text']}")
            if told:
                return told["turn"]["images_per_s"]
        sys.exit("tune_selftest: a server ended")

    def end(self):
        self.process.kill()
        self.process.communicate()


def duel(args, model, method, objective, points):
    """What each point's value is over the first's (logarithms), a list: in each round of fresh
    processes the median of their turns."""
    logs = {text: [] for text in points}
    for _ in range(args.rounds):
        servers = {text: Server(args, model, method, point) for text, point in points.items()}
        values = {text: [] for text in points}
        for server in servers.values():
            server.turn()
        texts = list(points)
        for i in range(args.turns):
            for text in texts[i % len(texts):] + texts[:i % len(texts)]:
                rate = servers[text].turn()
                per = servers[text].places if objective == "latency" else 1
                values[text].append(math.log(rate / per))
        for server in servers.values():
            server.end()
        first = values[texts[0]]
        for text in texts:
            logs[text].append(statistics.median(v - f for v, f in zip(values[text], first)))
    return logs


def ratio(logs, text, other):
    """The value of the one over the other's, and twice its standard error."""
    differences = [a - b for a, b in zip(logs[text], logs[other])]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return math.exp(statistics.mean(differences)), 2 * error


def log(args, model, method, logs, top, runs):
    if not args.verbose:
        return
    print(f"{model} {method}, against {top}:", file=sys.stderr)
    for text in logs:
        value, error = ratio(logs, text, top)
        print(f"  {100 * value - 100:+.1f} % +- {100 * error:.1f}: {text}", file=sys.stderr)
    for name, run in runs.items():
        t = run["tune"]
        stolen = "" if t.get("stolen") is None else f", {100 * t['stolen']:.0f} % stolen"
        print(f"  {name}: {t['visits']} visits{stolen}: {run['recommended']}", file=sys.stderr)


def judge(args, pair):
    """The row of a pair, and whether it is within the limits."""
    model, method, objective = pair.rsplit(":", 2)
    question = (model, method, objective, args.space)
    sweep = tune_in_quiet(args, "a sweep", *question, "--exhaustive", "--budget", "3h")
    spent = sweep["tune"]["spent_s"]
    swept = sorted(visited(sweep), key=lambda p: -value(p, objective))
    runs = [tune_in_quiet(args, f"search {i + 1}", *question, "--budget", f"{SHARE * spent:.0f}s",
                          "--seed", str(i)) for i in range(args.repeat)]
    texts = [r["recommended"] for r in runs if r["recommended"]]
    points = {p["text"]: p for p in swept[:1 + NEXT]}
    points.update({p["text"]: p for r in runs for p in r["points"] if p["text"] in texts})
    logs = duel(args, model, method, objective, points)
    top = max(logs, key=lambda text: statistics.mean(logs[text]))
    worst, error = min((ratio(logs, t, top) for t in texts), default=(0, 0))
    log(args, model, method, logs, top,
        {"sweep": sweep, **{f"run {i + 1}": r for i, r in enumerate(runs)}})
    took = max(r["tune"]["spent_s"] for r in runs) / spent
    cells = [model, method, objective, len(visited(sweep)), f"{spent:.0f} s", f"{100 * took:.0f} %",
             top, "; ".join(f"{texts.count(t)} x {t}" for t in sorted(set(texts))),
             f"{100 * worst - 100:+.1f} %", f"{100 * error:.1f} %"]
    fine = len(texts) == len(runs) and worst >= 1 - BEHIND and took <= SHARE * 1.04
    return "| " + " | ".join(map(str, cells)) + " |", fine


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--attrbench", default="build/release/attrbench")
    p.add_argument("--pair", action="append", required=True, help="MODEL:METHOD:OBJECTIVE")
    p.add_argument("--space", action="append", default=[], help="as of attrbench tune")
    p.add_argument("--repeat", type=int, default=3, help="runs of tune for each pair")
    p.add_argument("--rounds", type=int, default=12, help="of fresh processes")
    p.add_argument("--turns", type=int, default=15, help="of each in a round")
    p.add_argument("--turn", type=float, default=0.2, help="seconds of a turn")
    p.add_argument("--verbose", action="store_true",
                   help="what each differs by, and of each run what the host stole")
    args = p.parse_args()
    if args.rounds < 2:
        p.error(f"--rounds {args.rounds}: what rounds differ by takes 2 or more")
    args.attrbench = os.path.abspath(args.attrbench)
    print("| model | method | objective | points | sweep | share of its time | best | "
          "recommended | behind the best, by turns | what that cannot tell |\n"
          "|---|---|---|---|---|---|---|---|---|---|")
    good = True
    for pair in args.pair:
        row, fine = judge(args, pair)
        good = good and fine
        print(row + ("" if fine else " MISSED"), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
