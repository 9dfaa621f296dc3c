# SPDX-License-Identifier: Apache-2.0
"""Times attribution by PyTorch, captum and zennit on the CPU, and by attrbench in the same session.

Peers get their best case: both memory layouts, weights that need no gradients, batch norm folded
beforehand for every method, zennit's rules attached once, captum spared the search for the target.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import captum.attr  # noqa: E402
import torch  # noqa: E402
from attribute import STABILISER, composite  # noqa: E402
from captum.attr._utils.custom_modules import Addition_Module  # noqa: E402
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule  # noqa: E402
from models import NAMES, Factory  # noqa: E402
from netspec import StackedAdd  # noqa: E402
from torch import nn  # noqa: E402
from zennit_import import composites, rules  # noqa: E402

ZERO = ["bias"]
ZENNIT = {
    "deconvnet": composites.DeconvNet,
    "guided-backprop": composites.GuidedBackprop,
    "lrp-epsilon": lambda: composite(rules.Epsilon(1e-6)),
    "lrp-zplus": lambda: composite(rules.ZPlus(STABILISER)),
    "lrp-alpha-beta": lambda: composite(rules.AlphaBeta(2.0, 1.0, STABILISER)),
    "dtd": lambda: composite(rules.ZPlus(STABILISER, ZERO), rules.WSquare(STABILISER, ZERO)),
    "dtd:low=-2,high=2.5": lambda: composite(
        rules.ZPlus(STABILISER, ZERO), rules.ZBox(-2.0, 2.5, STABILISER, ZERO)
    ),
}
CAPTUM = {
    "gradient": captum.attr.Saliency,
    "input-x-gradient": captum.attr.InputXGradient,
    "deconvnet": captum.attr.Deconvolution,
    "guided-backprop": captum.attr.GuidedBackprop,
}
CAPTUM_LRP = {"lrp-epsilon": EpsilonRule, "lrp-zplus": Alpha1_Beta0_Rule}
METHODS = ["gradient", "input-x-gradient", *ZENNIT]


@dataclass
class Row:
    """One (model, method, tool) and its times; call runs one attribution."""

    model: str
    method: str
    tool: str
    call: Callable
    ns: list = field(default_factory=list)
    failure: str = ""


# --- peers --------------------------------------------------------------------------------------


def backward(model, x, by_value):
    """From the largest logit back to the input; the seed is its value or 1."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    logits = model(x)
    top = logits.max(dim=1, keepdim=True)
    value = top.values.detach() if by_value else torch.ones_like(top.values)
    seed = torch.zeros_like(logits).scatter(1, top.indices, value)
    return torch.autograd.grad(logits, x, seed)[0]


def torch_call(method, factory):
    if method not in ("gradient", "input-x-gradient"):
        return None
    model = factory.make(inplace=True)
    if method == "gradient":
        return model, lambda x: backward(model, x, False)
    return model, lambda x: x * backward(model, x, False)


def captum_call(method, factory):
    if method in CAPTUM:
        model = factory.make()
        options = {"abs": False} if method == "gradient" else {}
        attribute = CAPTUM[method](model).attribute
        return model, lambda x: attribute(x, target=0, **options)
    if method in CAPTUM_LRP:
        model = factory.make(add=Addition_Module)
        return model, lambda x: captum_lrp(model, x, CAPTUM_LRP[method])
    return None


def captum_lrp(model, x, rule):
    """captum takes its rules off again after every call."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.rule = rule()
    return captum.attr.LRP(model).attribute(x, target=0)


def zennit_call(method, factory):
    if method not in ZENNIT:
        return None
    relevance = method not in ("deconvnet", "guided-backprop")
    model = factory.make(add=StackedAdd) if relevance else factory.make()
    comp = ZENNIT[method]()
    comp.register(model)
    model.composite = [comp]  # keeps the rules alive
    return model, lambda x: backward(model, x, relevance)


PEERS = {"torch": torch_call, "captum": captum_call, "zennit": zennit_call}
LAYOUTS = {"": torch.contiguous_format, "-nhwc": torch.channels_last}


def peer_rows(name, methods, x):
    """Each tool in both memory layouts: which one is faster depends on the machine."""
    factory = Factory(name)
    for method in methods:
        for tool, make in PEERS.items():
            for suffix, layout in LAYOUTS.items():
                made = make(method, factory)
                if made is None:
                    break
                made[0].to(memory_format=layout)
                call = partial(made[1], x.to(memory_format=layout))
                yield Row(name, method, tool + suffix, call)


# --- attrbench ----------------------------------------------------------------------------------


def ours(path, row, args):
    """One run of the program; its own least and median time join the row's samples."""
    command = [path, "run", "--model", row.model, "--method", row.method, "--backend", args.backend]
    command += ["--threads", str(args.threads), "--batch", str(args.batch), "--json"]
    done = subprocess.run(command + args.attrbench_args.split(), capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(said[-1])
    results = json.loads(done.stdout).get("results", [])
    times = [r for r in results if r.get("ns_median") and r.get("kind", "method") == "method"]
    if not times:
        raise RuntimeError("no result with ns_median in its output")
    return [times[0].get("ns_min") or times[0]["ns_median"], times[0]["ns_median"]]


def our_rows(name, methods, args):
    for method in methods if args.attrbench else ():
        row = Row(name, method, "attrbench", None)
        row.call = partial(ours, args.attrbench, row, args)
        yield row


# --- timing -------------------------------------------------------------------------------------


def sample(row):
    """Adds (least, median) in ns of one visit; a row that fails once is left out afterwards."""
    try:
        start = time.perf_counter_ns()
        result = row.call()
        elapsed = time.perf_counter_ns() - start
    except Exception as error:  # a tool that does not support a network is a finding, not a crash
        row.failure = f"{type(error).__name__}: {error}".splitlines()[0]
        return None
    if isinstance(result, list):
        return tuple(result)
    if not torch.isfinite(result).all():
        row.failure = "result is not finite"
    return elapsed, elapsed


def measure(rows, args):
    for _ in range(args.warmup):
        for row in rows:
            if not row.failure and row.tool != "attrbench":
                sample(row)
    for index in range(args.repeats):
        for row in rows if index % 2 == 0 else reversed(rows):
            times = None if row.failure else sample(row)
            if times:
                row.ns.append(times)
        print(f"round {index + 1}/{args.repeats}", file=sys.stderr, flush=True)


def least(row):
    """In ns, over all visits."""
    return min(low for low, _ in row.ns)


def median(row):
    """In ns, over all visits; attrbench contributes its own median per visit."""
    return statistics.median(mid for _, mid in row.ns)


def ratios(rows):
    """{(model, method): best peer / attrbench} at their least and at their median times."""
    found = {}
    for row in rows:
        if row.tool != "attrbench" or not row.ns:
            continue
        key = (row.model, row.method)
        peers = [r for r in rows if (r.model, r.method) == key and r is not row and r.ns]
        if peers:
            found[key] = tuple(min(map(f, peers)) / f(row) for f in (least, median))
    return found


def print_table(rows):
    ratio = ratios(rows)
    head = f"{'model':<10}{'method':<22}{'tool':<13}{'min ms':>10}{'median ms':>11}"
    print(f"{head}  best peer / ours")
    for row in sorted(rows, key=lambda r: (NAMES.index(r.model), METHODS.index(r.method))):
        text = f"{row.model:<10}{row.method:<22}{row.tool:<13}"
        if row.failure:
            print(f"{text}  failed: {row.failure[:90]}")
            continue
        text += f"{least(row) / 1e6:>10.1f}{median(row) / 1e6:>11.1f}"
        pair = ratio.get((row.model, row.method)) if row.tool == "attrbench" else None
        print(text + (f"  {pair[0]:.2f} (min) {pair[1]:.2f} (median)" if pair else ""))


def cpu_name():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def record(rows, args):
    ratio = ratios(rows)
    context = {package: version(package) for package in ("torch", "captum", "zennit")}
    context.update(cpu=cpu_name(), load=os.getloadavg()[0], size=args.size, warmup=args.warmup)
    results = []
    for row in rows:
        result = dict(model=row.model, method=row.method, tool=row.tool)
        result.update(threads=args.threads, batch=args.batch, samples=len(row.ns))
        times = (least(row), median(row)) if row.ns else (None, None)
        result.update(ns_min=times[0], ns_median=times[1])
        if row.failure:
            result["reason"] = row.failure
        if row.tool == "attrbench":
            pair = ratio.get((row.model, row.method), (None, None))
            result.update(ratio_min=pair[0], ratio_median=pair[1])
        results.append(result)
    return {"context": context, "results": results}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", choices=NAMES, help="default: both")
    parser.add_argument("--method", action="append", choices=METHODS, help="default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=224, help="of the input; attrbench uses 224")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--attrbench", metavar="PATH", help="also time this program")
    parser.add_argument("--attrbench-args", default="", metavar="ARGS", help="added to its command")
    parser.add_argument("--backend", default="native", help="of attrbench")
    parser.add_argument("--json", type=Path, metavar="F")
    return parser.parse_args()


def main():
    args = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    methods = args.method or METHODS
    x = torch.randn(args.batch, 3, args.size, args.size, generator=torch.Generator().manual_seed(1))
    x = x.clamp(-2.0, 2.5)
    rows = []
    for name in args.model or NAMES:
        mine = [*peer_rows(name, methods, x), *our_rows(name, methods, args)]
        mine.sort(key=lambda row: methods.index(row.method))
        measure(mine, args)
        for row in mine:
            row.call = None
        rows += mine
    print_table(rows)
    if args.json:
        args.json.write_text(json.dumps(record(rows, args), indent=1) + "\n")


if __name__ == "__main__":
    main()
