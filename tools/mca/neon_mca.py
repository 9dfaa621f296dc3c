# SPDX-License-Identifier: Apache-2.0
"""Predicts how busy the NEON convolution kernels keep the FMA ports of ARM cores.

Compiles the kernels at the project's flags, finds the inner loop of each full-size register tile
and runs llvm-mca on 200 iterations of it, so that chains of dependent sums count as they do in a
long loop. llvm-mca assumes that every load hits L1 and every branch is predicted: what it predicts
is an upper bound, good for finding spills, moves and too few chains, not for absolute times.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Family: source, and a pattern of functions. The full-size tile is that with the largest numbers.
LOOPS = {
    "direct, stride 1": ("conv2d_neon.c", r"tile_(\d+)_(\d+)_STEP_1"),
    "direct, stride 2": ("conv2d_neon.c", r"tile_(\d+)_(\d+)_STEP_2"),
    "direct, 1x1": ("conv2d_neon.c", r"tile_(\d+)_(\d+)_ONE_TAP"),
    "F(4x4) products": ("conv2d_neon_winograd.c", r"wino_product_(\d+)_(\d+)"),
    "F(2x2) products": ("conv2d_neon_winograd2.c", r"wino_product_(\d+)_(\d+)"),
    "few channels, 3x3": ("conv2d_neon_image.c", r"image_31"),
    "dot, 3 outputs": ("conv2d_neon_dot.c", r"dot_sums_3"),
    "depthwise, windows": ("conv2d_neon_depthwise.c", r"dw_plane_331"),
    "depthwise, rows": ("conv2d_neon_depthwise.c", r"dw_(\d+)"),
}
BOUND_BY_FMA = tuple(title for title in LOOPS if title.startswith(("direct", "F(")))

# 128-bit FMLA per cycle of the cores themselves: Arm's software optimization guides of Neoverse N1,
# Neoverse V1 and Cortex-A76 ("ASIMD FP multiply accumulate"); for the M1's performance cores the
# measurements of D. Johnson, "Apple M1 Firestorm microarchitecture".
CORES = {"neoverse-n1": 2, "neoverse-v1": 4, "cortex-a76": 2, "apple-m1": 4}
ITERATIONS = 200
LANE, VECTOR = "s[1]", "4s"


class Failure(Exception):
    """Said in one line, without a traceback."""


@dataclass
class Prediction:
    """One loop on one core; ports are those of LLVM's model of the core."""

    loop: str
    function: str
    cpu: str
    fmla: int
    loads: int
    moves: int
    stack: int
    cycles: float
    per_cycle: float
    model_ports: float
    core_ports: int

    @property
    def share(self):
        """Of the ports that the model knows."""
        return self.per_cycle / self.model_ports


def run(command, text=None):
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Failure(f"{' '.join(command[:4])} ...: {said[0]}")
    return done.stdout


# --- assembly -------------------------------------------------------------------------------------


def project_flags():
    """Of a release build, read from the one place that has them."""
    text = (ROOT / "cmake/AbFlags.cmake").read_text()
    release = re.search(r'_FLAGS_RELEASE "([^"]*)"', text).group(1).split()
    options = re.findall(r"\n\s+(-f(?!sanitize|no-sanitize|macro)[a-z-]+(?:=[a-z]+)?)(?=\n)", text)
    return ["-std=c17", "-fPIC", "-D_GNU_SOURCE", *(f for f in release if f != "-g"), *options]


def assembly(cc, source):
    command = [*cc.split(), *project_flags(), "-S", "-o", "-", str(ROOT / "simd" / source)]
    return run(command).splitlines()


def functions(lines):
    """(name, its lines) of every function."""
    name, body = None, []
    for line in lines:
        label = re.match(r"([A-Za-z_][\w.]*):", line)
        if label:
            name, body = label.group(1), []
        elif name and re.match(r"\s+\.size\s", line):
            yield name, body
            name = None
        elif name:
            body.append(line)


def inner_loops(body):
    """Runs of instructions from a label to the branch back to it, with no such branch between."""
    at, back = {}, 0
    for index, line in enumerate(body):
        label = re.match(r"(\.L\w+):", line)
        if label:
            at[label.group(1)] = index
        branch = re.match(r"\s+(?:b|b\.?\w\w|cbn?z|tbn?z)\s.*?(\.L\w+)\s*$", line)
        if branch and at.get(branch.group(1), -1) >= back:
            start = at[branch.group(1)]
            yield [text for text in body[start + 1 : index + 1] if re.match(r"\s+[a-z]", text)]
            back = index + 1


def count(pattern, loop):
    return sum(bool(re.match(r"\s+" + pattern, line)) for line in loop)


def find_loop(lines, pattern):
    """(function, loop): the matching function with the largest numbers, its loop of most FMLA;
    None if it has no loop with any.

    Among equals the shortest: the one for pixels next to each other.
    """
    found = []
    for name, body in functions(lines):
        match = re.fullmatch(pattern + r"(?:\.\w+)*", name)
        for loop in inner_loops(body) if match else ():
            size = [int(n) for n in match.groups()]
            if count("fmla", loop):
                found.append((size, count("fmla", loop), -len(loop), name, loop))
    return max(found, key=lambda f: f[:3])[3:] if found else None


# --- prediction -----------------------------------------------------------------------------------


def cycles(mca, cpu, loop):
    """Per iteration."""
    command = [mca, "-mtriple=aarch64", f"-mcpu={cpu}", f"-iterations={ITERATIONS}"]
    said = run(command, "\n".join(loop) + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", said).group(1)) / ITERATIONS


def model_ports(mca, cpu, factor):
    """FMLA per cycle that the model allows: many that wait for nothing.

    factor: a vector or a lane, between which the model of the M1 distinguishes.
    """
    free = [f"\tfmla v{i}.4s, v30.4s, v31.{factor}" for i in range(30)]
    return round(len(free) / cycles(mca, cpu, free), 1)


def predict(args, cc):
    texts = {}
    ports = {(c, f): model_ports(args.mca, c, f) for c in args.cpu for f in (LANE, VECTOR)}
    for title, (source, pattern) in LOOPS.items():
        if source not in texts:
            texts[source] = assembly(cc, source)
        found = find_loop(texts[source], pattern)
        if not found and title in BOUND_BY_FMA:
            raise Failure(f"no loop found in a function {pattern}")
        if not found:
            print(f"{title}: no loop, {cc}", file=sys.stderr)
            continue
        name, loop = found
        fmla = count("fmla", loop)
        factor = LANE if count(r"fmla.*\.s\[", loop) else VECTOR
        for cpu in args.cpu:
            time = cycles(args.mca, cpu, loop)
            yield Prediction(
                loop=title,
                function=name,
                cpu=cpu,
                fmla=fmla,
                loads=count("(ldr|ldp|ldur|ld1)", loop),
                moves=count(r"(mov|dup|orr|ins|ext)\s+v", loop),
                stack=count(r"(ld|st).*\[sp\b", loop),
                cycles=round(time, 2),
                per_cycle=round(fmla / time, 3),
                model_ports=ports[cpu, factor],
                core_ports=CORES[cpu],
            )


def print_table(cc, rows):
    """A line per loop; per core: cycles, FMLA a cycle, share of the ports of LLVM's model."""
    cpus = list(dict.fromkeys(r.cpu for r in rows))
    print(f"{cc}\n\n| loop | FMLA | loads | moves | stack | {' | '.join(cpus)} |")
    print("|---" * (5 + len(cpus)) + "|")
    for title in dict.fromkeys(r.loop for r in rows):
        mine = [r for r in rows if r.loop == title]
        cells = [f"{r.cycles:.1f}: {r.per_cycle:.2f}, {100 * r.share:.0f} %" for r in mine]
        numbers = [mine[0].fmla, mine[0].loads, mine[0].moves, mine[0].stack]
        print("| " + " | ".join([title, *map(str, numbers), *cells]) + " |")
    cells = []
    for cpu in cpus:
        models = sorted({f"{r.model_ports:g}" for r in rows if r.cpu == cpu})
        cells.append(f"{' or '.join(models)} ({CORES[cpu]})")
    print(f"| ports of the model (of the core) | | | | | {' | '.join(cells)} |\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cc", action="append", metavar="CC", help="may be repeated")
    parser.add_argument("--cpu", action="append", choices=CORES, help="default: all")
    parser.add_argument("--mca", default="llvm-mca-19")
    parser.add_argument(
        "--bar",
        type=float,
        default=0,
        metavar="PERCENT",
        help="exit 1 if a direct or Winograd loop keeps the ports less busy",
    )
    parser.add_argument("--json", type=Path, metavar="F")
    args = parser.parse_args()
    args.cc = args.cc or ["aarch64-linux-gnu-gcc"]
    args.cpu = args.cpu or list(CORES)
    return args


def main():
    args = arguments()
    if not shutil.which(args.mca):
        raise Failure(f"{args.mca} is not installed: tools/setup.sh mca, or --mca PROGRAM")
    rows = []
    for cc in args.cc:
        mine = list(predict(args, cc))
        print_table(cc, mine)
        rows += [dict(asdict(r), compiler=cc, share=round(r.share, 3)) for r in mine]
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    low = [r for r in rows if r["loop"] in BOUND_BY_FMA and 100 * r["share"] < args.bar]
    for r in low:
        print(f"below {args.bar:g} %: {r['loop']}, {r['cpu']}, {r['compiler']}", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"neon_mca: {failure}")
