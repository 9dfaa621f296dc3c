# SPDX-License-Identifier: Apache-2.0
"""Writes data/golden: reference attributions in double precision, made by other people's tools.

Weights and inputs are float32; the same values are cast to double and everything is computed there.
Where two tools offer a method they must agree before anything is written.
"""

import argparse
import re
import shutil
import warnings
from importlib.metadata import version
from pathlib import Path

import captum_methods
import numpy as np
import onnx
import torch
from attribute import (
    FAULTS,
    STABILISER,
    RectGradHooks,
    composite,
    rectgrad_with_margin,
    relevance,
    run,
    tool,
    zennit_gradient,
)
from common import backward, parse
from golden_nets import CASES, build
from golden_tables import CONDITIONS, DECISIONS, MAIN, TABLES
from golden_tables import FAULTS as FAULT_TABLE
from netspec import CappedReLU, write_onnx
from onnx.reference import ReferenceEvaluator
from torch import nn
from zennit_import import Composite, composites, rules

DECISION_MARGIN = 1e-5  # of ReLU signs and pooling winners, relative to the layer's largest value
RECTGRAD_MARGIN = 1e-4  # of any value to its threshold, relative to the threshold
SMALLEST_TOP, LARGEST_LOW = 0.05, -0.02
# A float32 engine may sum in another order or use Winograd transforms: 32 times the deviation of
# the same tool run in float32, and never below 2e-5 of the largest relevance.
SMALLEST_FAULT = 1e-4
TOLERANCE_FACTOR, TOLERANCE_FLOOR, LARGEST_DEVIATION = 32, 2e-5, 1e-5

HEADER = """\
# Attributions in float64, batch first, like input.npy; see ../README.md for the format.
# columns, separated by tabs: method, target, file, tool, tolerance
# tolerance: max|got - file| <= tolerance * max|file|, per sample, for a float32 engine
# torch {torch}, captum {captum}, zennit {zennit}, numpy {numpy}
# network {name}, seed {seed}, class with negative logits {low}
# zennit's stabiliser is {stabiliser:g} for ZPlus, AlphaBeta, Gamma, ZBox, WSquare, Flat and Norm;
# Norm handles average pools and sums also under lrp-epsilon, whatever its eps. lrp-0: eps is 0
# everywhere, 0/0 = 0. Batch norm is folded first, its epsilon included, for all but gradient-type
# methods.
# Seeds: 1 for gradient-type methods and excitation-backprop, the logit for lrp and the epsilon-*
# composites, max(logit, 0) for dtd.
"""

FAULTS_HEADER = """\
# Maps of the top class in float64 that a tool gets wrong; see ../README.md.
# columns, separated by tabs: what attrbench calls it, the invariant that the map breaks (and
# attrbench's keeps), file, tool
"""
DECISIONS_HEADER = """\
# Decisions of the forward pass and of rectgrad:q=80 for the top class; see ../README.md.
# columns, separated by tabs: kind, layer, file
"""


# --- how far every decision is from its tipping point ------------------------------------------


def _pool_gap(pool, x, y):
    """Smallest distance of first and second in a window; zeros, or caps, are no contest."""
    k, s, p = pool.kernel_size, pool.stride, pool.padding
    x = nn.functional.pad(x, (p, p + k, p, p + k), value=float("-inf"))
    windows = x.unfold(2, k, s).unfold(3, k, s)[:, :, : y.shape[2], : y.shape[3]]
    best = windows.flatten(4).topk(2, dim=-1).values
    contested = best[..., 0] != best[..., 1]
    return ((best[..., 0] - best[..., 1]) / y.abs().max())[contested].min().item()


def decision_margin(model, x):
    """The smallest margin of all ReLUs and max-pools, relative to their layer's largest value."""
    margins = []

    def relu_hook(module, args, y):
        margins.append((args[0].abs().min() / args[0].abs().max()).item())

    def pool_hook(module, args, y):
        margins.append(_pool_gap(module, args[0], y))

    def cap_hook(module, args, y):
        relu_hook(module, args, y)
        margins.append(((args[0] - module.cap).abs().min() / args[0].abs().max()).item())

    hooks = {nn.ReLU: relu_hook, CappedReLU: cap_hook, nn.MaxPool2d: pool_hook}
    pairs = [(m, hooks[type(m)]) for m in model.modules() if type(m) in hooks]
    handles = [m.register_forward_hook(hook) for m, hook in pairs]
    model(x)
    for handle in handles:
        handle.remove()
    return min(margins)


def low_class(logits):
    """The class whose largest logit over the batch is smallest."""
    return int(logits.max(dim=0).values.argmin())


def rectgrad_margin(model, x, low):
    specs = [(s, t) for s, ts, _ in MAIN for t in ts.split() if s.startswith("rectgrad")]
    picked = [(parse(s)[1], low if t == "low" else t) for s, t in specs]
    return min(rectgrad_with_margin(model, x, t, p)[1] for p, t in picked)


def complaints(model, x):
    """Why this seed makes a poor test, or nothing."""
    logits = model(x).detach()
    low = low_class(logits)
    found = {
        "top logit": logits.max(dim=1).values.min() - SMALLEST_TOP,
        "low logit": LARGEST_LOW - logits[:, low].max(),
        "decision margin": decision_margin(model, x) - DECISION_MARGIN,
    }
    bad = [name for name, room in found.items() if room < 0]
    return bad or ["rectgrad margin"] * (rectgrad_margin(model, x, low) < RECTGRAD_MARGIN)


def search():
    for name, case in CASES.items():
        for seed in range(2000):
            model, x = build(case, seed)
            if complaints(model.double(), x.double()):
                continue
            worst, spec = largest_deviation(case, model, x.double())
            print(f"{name}: seed {seed}, float32 deviates by {worst:.1e} ({spec})", flush=True)
            if worst <= LARGEST_DEVIATION:
                break


# --- agreement between tools, and invariants ----------------------------------------------------


def require(what, got, want, bound):
    scale = want.abs().max().item() or 1.0
    error = (got - want).abs().max().item() / scale
    print(f"  {what}: {error:.1e} (at most {bound:g})")
    if not error <= bound:
        raise SystemExit(f"golden: {what}: relative difference {error:.3g} exceeds {bound:g}")


def check_tools(model, x, biased):
    """captum and zennit on the gradient family; on chains also on LRP."""
    pairs = {
        "gradient": Composite(),
        "deconvnet": composites.DeconvNet(),
        "guided-backprop": composites.GuidedBackprop(),
    }
    for method, comp in pairs.items():
        other = zennit_gradient(comp, model, x, "top")
        require(f"{method}: captum = zennit", other, run(method, model, x, "top"), 1e-14)
    if any(op.kind in ("add", "concat", "avgpool") for op in model.net.ops):
        return
    other = captum_methods.lrp_epsilon(model, x, "top", {"eps": 1e-6})
    require("lrp-epsilon: captum = zennit", other, run("lrp-epsilon", model, x, "top"), 1e-6)
    if not biased:
        other = captum_methods.lrp_zplus(model, x, "top", {})
        require("lrp-zplus: captum = zennit", other, run("lrp-zplus", model, x, "top"), 1e-5)


def check_invariants(model, x, biased):
    top = model(x).max(dim=1).values.detach()

    def attribute(spec):
        return run(spec, model, x, "top")

    def total(spec):
        return attribute(spec).sum((1, 2, 3))

    plain = run("rectgrad:q=0,input_mul=0", model, x, "top")
    require("rectgrad, tau 0 = guided-backprop", plain, attribute("guided-backprop"), 0)
    if not any(op.kind == "cap" for op in model.net.ops):  # at a cap relevance passes
        want = attribute("input-x-gradient")
        require("lrp-0 = input-x-gradient", attribute("lrp-0"), want, 1e-10)
    ab = relevance(composite(rules.AlphaBeta(1, 0, STABILISER)), model, x, "top")
    require("alpha-beta(1, 0) = z+", ab, attribute("lrp-zplus"), 1e-12)
    # A unit that only its bias makes positive has z+ = 0 and swallows its relevance; with the few
    # inputs per unit of grouped convolutions that happens.
    grouped = any(op.attr.get("groups", 1) > 1 for op in model.net.ops)
    leak = 0.3 if biased and grouped else 1e-5
    require("dtd conserves the logit", total("dtd"), top, leak)
    require("dtd with bounds conserves it", total("dtd:low=-3,high=3"), top, leak)
    require("excitation-backprop sums to 1", total("excitation-backprop"), top / top, leak)
    if not biased:
        require("lrp-0 conserves the logit", total("lrp-0"), top, 1e-12)
        require("lrp-zplus conserves the logit", total("lrp-zplus"), top, 1e-5)


def check_onnx(path, x, logits):
    """Read as opset 15: for 13 the evaluator normalises with the batch's own statistics."""
    proto = onnx.load(path)
    proto.opset_import[0].version = 15
    got = ReferenceEvaluator(proto).run(None, {"input": x.numpy()})[0]
    require("onnx reference = torch", torch.tensor(got, dtype=torch.float64), logits, 1e-5)


def check_pool_ties():
    """Of equal maxima the first in row-major order wins: our definition too."""
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    y = nn.MaxPool2d(3, 2)(x)
    grad = torch.autograd.grad(y.sum(), x)[0][0, 0]
    want = torch.zeros(5, 5, dtype=torch.float64)
    want[::2, ::2][:2, :2] = 1
    require("max-pool keeps the first maximum", grad, want, 0)


# --- writing ----------------------------------------------------------------------------------


def bounds_text(case):
    def join(values):
        short = values[:1] if len(set(values)) == 1 else values
        return "/".join(f"{v:g}" for v in short)

    return f"low={join(case.low)},high={join(case.high)}"


def file_name(spec, target):
    words = re.sub("[:,;()/]+", "_", spec).replace("=", "")
    return f"{words}.{target}.npy"


def deviation(spec, model, x, target, want):
    """Of the same tool in float32."""
    got = run(spec, model.float(), x.float(), target).double()
    model.double()
    largest = want.abs().amax((1, 2, 3)).clamp(min=1e-300)
    return ((got - want).abs().amax((1, 2, 3)) / largest).max().item()


def jobs(case, low):
    """(table, spec, spec without numbers for bounds, target) of all that is recorded."""
    for table, methods in TABLES.items():
        for template, kinds, condition in methods:
            spec = template.format(bounds=bounds_text(case))
            name = spec if "{" not in template else template.replace("{bounds}", "bounds")
            if CONDITIONS[condition](case.net):
                for kind in kinds.split():
                    yield table, spec, name, low if kind == "low" else kind


def largest_deviation(case, model, x):
    low = low_class(model(x).detach())
    found = [
        (deviation(spec, model, x, target, run(spec, model, x, target)), spec)
        for _, spec, _, target in jobs(case, low)
    ]
    return max(found)


def header(name, seed, low):
    tools = {package: version(package) for package in ("torch", "captum", "zennit", "numpy")}
    return HEADER.format(name=name, seed=seed, low=low, stabiliser=STABILISER, **tools)


def write_maps(out, case, text, model, x, low):
    lines = {table: [] for table in TABLES}
    for table, spec, plain, target in jobs(case, low):
        want = run(spec, model, x, target)
        name = file_name(plain, target)
        np.save(out / name, want.contiguous().numpy())
        off = deviation(spec, model, x, target, want)
        if off > LARGEST_DEVIATION:
            raise SystemExit(f"golden: {spec}: float32 deviates by {off:.3g}; run --search")
        bound = max(TOLERANCE_FLOOR, TOLERANCE_FACTOR * off)
        lines[table].append(f"{spec}\t{target}\t{name}\t{tool(spec)}\t{bound:.1e}\n")
    for table in TABLES:
        (out / table).write_text(text + "".join(lines[table]))


# --- what tools get wrong -----------------------------------------------------------------------


def violation(invariant, out, model, x, got):
    """How far `got` is from keeping the invariant, in units of its own size."""
    size = got.abs().amax((1, 2, 3))
    if invariant == "complete":
        logits, base = model(x).detach(), model(torch.zeros_like(x)).detach()
        top = logits.argmax(1, keepdim=True)
        change = (logits - base).gather(1, top)[:, 0]
        return ((got.sum((1, 2, 3)) - change).abs() / got.abs().sum((1, 2, 3))).min()
    if invariant == "nonnegative":
        return (-got.amin((1, 2, 3)) / size).min()
    want = torch.from_numpy(np.load(out / invariant.split()[1]))
    return ((got - want).abs().amax((1, 2, 3)) / want.abs().amax((1, 2, 3))).min()


def write_faults(out, name, model, x):
    lines = []
    for fault, spec, invariant, networks in FAULT_TABLE:
        if name not in networks:
            continue
        method, which = FAULTS[fault]
        got = method(model, x, "top", parse(spec)[1]).detach()
        off = violation(invariant, out, model, x, got).item()
        print(f"  {fault}: {which} is off by {off:.1e}")
        if off < SMALLEST_FAULT:
            raise SystemExit(f"golden: {which} keeps {invariant} ({fault}): no fault to record")
        file = f"fault-{fault.replace(' ', '-')}.npy"
        np.save(out / file, got.contiguous().numpy())
        lines.append(f"{spec}\t{invariant}\t{file}\t{which}\n")
    if lines:
        (out / "faults.txt").write_text(FAULTS_HEADER + "".join(lines))


# --- decisions ----------------------------------------------------------------------------------


def _winners(pool, x):
    """Flat index h * width + w, in the pool's input, of each window's first maximum."""
    window = (pool.kernel_size, pool.stride, pool.padding)
    kw = dict(ceil_mode=pool.ceil_mode, return_indices=True)
    return nn.functional.max_pool2d(x, *window, **kw)[1]


def write_decisions(out, model, x):
    inputs = {}
    layers = [op for op in model.net.ops if op.kind in ("relu", "cap", "maxpool")]
    for op in layers:
        keep = lambda module, args, _, op=op: inputs.update({op.name: args[0].detach()})  # noqa: E731
        model.layer(op.name).register_forward_hook(keep)
    with RectGradHooks(model, 80, 0.0) as hooks:
        backward(model, x, "top", "one")
    lines = []

    def save(kind, op, array):
        name = f"decision-{kind}-{op.name}.npy"
        np.save(out / name, array)
        lines.append(f"{kind}\t{op.name}\t{name}\n")

    for op in layers:
        layer, given = model.layer(op.name), inputs[op.name]
        if op.kind == "maxpool":
            save("switch", op, _winners(layer, given).numpy().astype(np.int32))
        else:
            state = (given > 0).to(torch.uint8)
            if op.kind == "cap":
                state += given >= layer.cap
            save(op.kind, op, state.numpy())
            save("tau", op, hooks.tau[layer].numpy())
    (out / "decisions.txt").write_text(DECISIONS_HEADER + "".join(lines))


def write_case(name, case, out):
    print(name)
    out.mkdir(parents=True)
    model, x32 = build(case, case.seed)
    write_onnx(model, out / "model.onnx", name)
    model, x = model.double(), x32.double()
    logits = model(x).detach()
    if complaints(model, x):
        raise SystemExit(f"golden: {name}: seed {case.seed}: {complaints(model, x)}; run --search")
    check_onnx(out / "model.onnx", x32, logits)
    check_tools(model, x, case.biased)
    check_invariants(model, x, case.biased)
    np.save(out / "input.npy", x32.numpy())
    np.save(out / "logits.npy", logits.numpy())
    low = low_class(logits)
    text = header(name, case.seed, low)
    write_maps(out, case, text, model, x, low)
    write_faults(out, name, model, x)
    if name in DECISIONS:
        write_decisions(out, model, x)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "data" / "golden"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--search", action="store_true", help="print usable seeds and stop")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.search:
        return search()
    check_pool_ties()
    for name, case in CASES.items():
        shutil.rmtree(args.out / name, ignore_errors=True)
        write_case(name, case, args.out / name)


if __name__ == "__main__":
    main()
