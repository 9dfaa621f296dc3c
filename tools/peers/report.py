# SPDX-License-Identifier: Apache-2.0
"""Rows of times to JSON and Markdown."""

import json
import os
import platform
import statistics
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from calls import SAME, SAME_BY_DEFAULT

NATIVE, ONEDNN = "attrbench", "attrbench-onednn"


@dataclass
class Joint:
    """Nanoseconds of one plan of several methods, and of a plan of each alone."""

    model: str
    threads: int
    methods: list
    ns: list
    singles_ns: list

    def sum_of_singles(self):
        return sum(min(ns) for ns in self.singles_ns)

    def sum_of_peers(self, found):
        """Milliseconds of the fastest quotable peer of each method; None if one has none."""
        total = 0
        for method in self.methods:
            case = found[(self.model, self.threads, method)]
            best = case.get(summary(case)["best_peer"])
            if best is None:
                return None
            total += least(best)
        return total


def least(row):
    return min(row.ns) / 1e6


def median(row):
    return statistics.median(row.ns) / 1e6


def cpu_name():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def context(args, versions):
    found = {name: version(name) for name in ("torch", "captum", "zennit")}
    found.update(versions)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return {
        "versions": found,
        "cpu": cpu_name(),
        "cores": cores,
        "python": platform.python_version(),
        "input": "1x3x224x224",
        "rounds": args.rounds,
        "warmup": args.warmup,
        "cosine_at_least": SAME_BY_DEFAULT,
        "cosine_at_least_of": SAME,
    }


def cases(rows):
    """{(model, threads, method): {tool: row}} in the order of measuring."""
    found = {}
    for row in rows:
        found.setdefault((row.model, row.threads, row.method), {})[row.tool] = row
    return found


def summary(case):
    """Best peer and ratios of one case; None where there is nothing to compare."""
    native, onednn = case[NATIVE], case.get(ONEDNN)
    peers = [r for r in case.values() if r.quotable() and r.tool not in (NATIVE, ONEDNN)]
    best = min(peers, key=least, default=None)
    ratio = {"best_peer": best.tool if best else None, "peer_min": None, "peer_median": None}
    if best and native.ns:
        ratio["peer_min"] = least(best) / least(native)
        ratio["peer_median"] = median(best) / median(native)
    both = onednn is not None and onednn.ns and native.ns
    ratio["onednn_min"] = least(onednn) / least(native) if both else None
    ratio["onednn_median"] = median(onednn) / median(native) if both else None
    return ratio


def records(rows):
    results = []
    for (model, threads, method), case in cases(rows).items():
        tools = []
        for row in case.values():
            times = {"ms_min": least(row), "ms_median": median(row)} if row.ns else {}
            said = {"tool": row.tool, "cosine": row.cosine, "note": row.note, **times}
            tools.append(said | {"samples_ns": row.ns, "failure": row.failure})
        key = {"model": model, "threads": threads, "method": method}
        results.append(key | {"ratios": summary(case), "tools": tools})
    return results


def joint_record(joint, found):
    peers, ms = joint.sum_of_peers(found), min(joint.ns) / 1e6
    return {
        "model": joint.model,
        "threads": joint.threads,
        "methods": joint.methods,
        "ms_min": ms,
        "singles_ms": joint.sum_of_singles() / 1e6,
        "share_of_singles": 1e6 * ms / joint.sum_of_singles(),
        "best_peers_ms": peers,
        "ratio_to_best_peers": peers / ms if peers else None,
        "samples_ns": joint.ns,
        "singles_samples_ns": joint.singles_ns,
    }


def joint_lines(joints, found):
    yield "\n## Several methods in one plan\n"
    yield "| model | threads | methods | one plan | a plan each | share | best peers | ratio |"
    yield "|---|---|---|---|---|---|---|---|"
    for joint in joints:
        r = joint_record(joint, found)
        cells = [r["model"], str(r["threads"]), str(len(r["methods"])), f"{r['ms_min']:.0f}"]
        cells += [f"{r['singles_ms']:.0f}", f"{r['share_of_singles']:.2f}"]
        cells += [number(r["best_peers_ms"], "{:.0f}"), number(r["ratio_to_best_peers"], "{:.1f}")]
        yield "| " + " | ".join(cells) + " |"
    yield f"\nThe methods: {', '.join(joints[0].methods)}. Each map of the one plan equals,"
    yield "bit for bit, that of its own plan. Best peers: the sum over the methods of the fastest"
    yield "tool's minimum, from the tables above."


def number(value, form="{:.2f}"):
    return "" if value is None else form.format(value)


def times(row):
    return f"{least(row):.0f} ({median(row):.0f})" if row is not None and row.ns else ""


def ratio_lines(found, model, threads):
    yield f"\n## {model}, {threads} thread{'s' if threads > 1 else ''}\n"
    yield "| method | attrbench | its oneDNN | best peer | | peer / ours | oneDNN / ours |"
    yield "|---|---|---|---|---|---|---|"
    for (m, t, method), case in found.items():
        if (m, t) != (model, threads):
            continue
        ratio = summary(case)
        best = case.get(ratio["best_peer"])
        cells = [method, times(case[NATIVE]), times(case.get(ONEDNN)), times(best)]
        cells += [ratio["best_peer"] or "none agrees"]
        cells += [number(ratio["peer_min"]), number(ratio["onednn_min"])]
        yield "| " + " | ".join(cells) + " |"


def tool_lines(found):
    yield "\n## All tools\n"
    yield "| model | threads | method | tool | min (median) ms | cosine | |"
    yield "|---|---|---|---|---|---|---|"
    for (model, threads, method), case in found.items():
        for row in case.values():
            cosine = number(row.cosine, "{:.6f}")
            cells = [model, str(threads), method, row.tool, times(row), cosine]
            yield "| " + " | ".join([*cells, row.failure or row.note]) + " |"


def markdown(rows, joints, about):
    found = cases(rows)
    yield "<!-- SPDX-License-Identifier: Apache-2.0 -->"
    yield "# attrbench and PyTorch's attribution tools\n"
    said = ", ".join(f"{name} {text}" for name, text in about["versions"].items())
    yield f"{about['cpu']}, cores {about['cores']}; {said}.\n"
    yield f"Input {about['input']}, the same weights and target for all. Minimum (median) of"
    yield f"{about['rounds']} rounds in ms; every round runs each tool once, every other one"
    yield "backwards. Ratios are those of the minima. A peer is quoted if the cosine of its map and"
    least_cosines = f"at least {SAME_BY_DEFAULT}"
    least_cosines += "".join(f", {value} for {method}" for method, value in SAME.items())
    yield f"attrbench's is {least_cosines}; `-nhwc` is PyTorch's channels-last."
    for model, threads in dict.fromkeys((m, t) for m, t, _ in found):
        yield from ratio_lines(found, model, threads)
    if joints:
        yield from joint_lines(joints, found)
    yield from tool_lines(found)


def write(folder, rows, joints, about):
    folder.mkdir(parents=True, exist_ok=True)
    together = [joint_record(joint, cases(rows)) for joint in joints]
    record = {"context": about, "results": records(rows), "joint": together}
    (folder / "peers.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "peers.md").write_text("\n".join(markdown(rows, joints, about)) + "\n")
