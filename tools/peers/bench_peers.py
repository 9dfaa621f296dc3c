# SPDX-License-Identifier: Apache-2.0
"""Times attribution by PyTorch, captum and zennit on the CPU, and by attrbench between them.

One process, the same weights, input and target for all. Before a method is timed, every tool's map
is compared with attrbench's; one that computes something else is timed but not quoted.
"""

import argparse
import ctypes
import importlib.util
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

MODULES = ("torch", "captum", "zennit", "onnx")
missing = [name for name in MODULES if not importlib.util.find_spec(name)]
if missing:
    sys.exit(f"bench_peers: not installed: {', '.join(missing)}; tools/README.md says how")

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402
from calls import METHODS, NOTES, SAME, SAME_BY_DEFAULT, TOGETHER, calls  # noqa: E402
from models import NAMES, Factory  # noqa: E402
from ours import Library, Plan  # noqa: E402
from report import NATIVE, ONEDNN, Joint, context, least, markdown, write  # noqa: E402

BACKENDS = {NATIVE: "native", ONEDNN: "onednn"}
SHAPE = (3, 224, 224)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h


@dataclass
class Row:
    """One (model, threads, method, tool) and its times; call computes the map once."""

    model: str
    threads: int
    method: str
    tool: str
    call: Callable = None
    ns: list = field(default_factory=list)
    cosine: float = None
    agrees: bool = False
    note: str = ""
    failure: str = ""

    def quotable(self):
        return self.agrees and not self.failure and bool(self.ns)


@dataclass
class Network:
    """A model on both sides."""

    name: str
    factory: Factory
    graph: object
    x: torch.Tensor
    target: int


def keep_memory():
    """Freed memory stays in the process: peers allocate tens of megabytes a layer and call, and
    would give them back to the system and fault them in again (zennit's z+ on VGG-16: 16 %)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # glibc
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def network(name, library):
    factory = Factory(name)
    model = factory.make()
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1)).clamp(-2.0, 2.5)
    with torch.no_grad():
        target = int(model(x).argmax())
    return Network(name, factory, library.graph(model, SHAPE), x, target)


# --- rows -----------------------------------------------------------------------------------------


def peer_rows(net, method, threads):
    for tool, call in calls(method, net.factory, net.target, net.x):
        note = NOTES.get((method, tool.removesuffix("-nhwc")), "")
        yield Row(net.name, threads, method, tool, call, note=note)


def our_rows(library, net, method, threads):
    for tool, backend in BACKENDS.items():
        row = Row(net.name, threads, method, tool)
        try:
            row.call = Plan(library, net.graph, [method], backend, threads, net.x, net.target)
        except RuntimeError as error:
            row.failure = str(error)
        yield row


def run(row):
    """(nanoseconds, map) of one visit; a row that fails once is left out afterwards."""
    try:
        start = time.perf_counter_ns()
        result = row.call()
        return time.perf_counter_ns() - start, result
    except Exception as error:  # a tool that does not support a network is a finding, not a crash
        row.failure = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        return None, None


def cosine(a, b):
    a, b = (t.detach().double().flatten() for t in (a.contiguous(), b.contiguous()))
    return float(a @ b / (a.norm() * b.norm()))


def compare(rows):
    """Every tool's map with attrbench's."""
    native = next(row for row in rows if row.tool == NATIVE)
    _, own = run(native) if not native.failure else (None, None)
    if own is None:
        raise SystemExit(f"bench_peers: attrbench: {native.method}: {native.failure}")
    own = own.clone()
    for row in rows:
        _, other = run(row) if not row.failure else (None, None)
        if other is not None:
            row.cosine = cosine(own, other)
            row.agrees = row.cosine >= SAME.get(row.method, SAME_BY_DEFAULT)
            if not row.agrees:
                row.note = f"computes something else, not quoted. {row.note}".strip()
        said = row.failure or f"cosine {row.cosine:.7f}{'' if row.agrees else ', not quoted'}"
        print(f"  {row.tool:<18}{said}", file=sys.stderr, flush=True)


# --- timing ---------------------------------------------------------------------------------------


def measure(rows, args):
    live = [row for row in rows if not row.failure]
    for _ in range(args.warmup):
        for row in live:
            run(row)
    for index in range(args.rounds):
        for row in live if index % 2 == 0 else reversed(live):
            ns, _ = (None, None) if row.failure else run(row)
            if ns:
                row.ns.append(ns)


def method_rows(library, net, method, threads, args):
    print(f"{net.name}, {threads} threads, {method}", file=sys.stderr, flush=True)
    rows = [*our_rows(library, net, method, threads), *peer_rows(net, method, threads)]
    compare(rows)
    measure(rows, args)
    for row in rows:
        if isinstance(row.call, Plan):
            row.call.close()
        row.call = None
        if row.ns:
            print(f"  {row.tool:<18}{least(row):>9.1f} ms", file=sys.stderr, flush=True)
    return rows


# --- many methods in one plan ---------------------------------------------------------------------


def joint(library, net, threads, args):
    """One plan of TOGETHER and ten plans of one method each, by turns, natively."""
    print(f"{net.name}, {threads} threads, {len(TOGETHER)} methods in one plan", file=sys.stderr)
    specs = [[method] for method in TOGETHER] + [TOGETHER]
    plans = [Plan(library, net.graph, s, "native", threads, net.x, net.target) for s in specs]
    times = [[] for _ in plans]
    for index in range(-args.warmup, args.rounds):
        for plan, ns in zip(plans, times):
            start = time.perf_counter_ns()
            plan()
            if index >= 0:
                ns.append(time.perf_counter_ns() - start)
    for method, one, map_ in zip(TOGETHER, plans, plans[-1].maps):
        if not torch.equal(one.maps[0], map_):
            raise SystemExit(f"bench_peers: {method}: the joint plan's map differs from its own")
    for plan in plans:
        plan.close()
    return Joint(net.name, threads, TOGETHER, times[-1], times[:-1])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--library",
        required=True,
        metavar="F",
        help="libattrbench.so, of a build with -DBUILD_SHARED_LIBS=ON",
    )
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        metavar="M",
        help="default: all; " + " ".join(METHODS),
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--out", type=Path, metavar="DIR", help="gets peers.json and peers.md")
    args = parser.parse_args()
    if not Path(args.library).is_file():
        parser.error(f"{args.library} does not exist; build it with -DBUILD_SHARED_LIBS=ON")
    if args.rounds < 1 or min(args.threads) < 1:
        parser.error("--rounds and --threads must be at least 1")
    return args


def main():
    args = arguments()
    warnings.simplefilter("ignore")
    torch.set_num_interop_threads(1)
    keep_memory()
    library = Library(args.library)
    about, rows, joints = context(args, library.versions()), [], []
    for name in args.models:
        net = network(name, library)
        for threads in sorted(args.threads):
            torch.set_num_threads(threads)
            for method in args.methods:
                rows += method_rows(library, net, method, threads, args)
                if args.out:  # what is there so far, should the rest be interrupted
                    write(args.out, rows, joints, about)
            if set(TOGETHER) <= set(args.methods):
                joints.append(joint(library, net, threads, args))
                if args.out:
                    write(args.out, rows, joints, about)
    print("\n".join(markdown(rows, joints, about)))


if __name__ == "__main__":
    main()
