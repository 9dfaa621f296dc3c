#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does `attrbench verify` notice when a kernel is wrong? Changes simd/ by one token at a time.

A scratch copy of the sources is built once. Then, for each of N mutations drawn by a seed: change
one token, compile one of the objects that the file is part of, put the file back, link, and run
`attrbench verify` on the kernels that the object has a part in. (Templates are compiled for several
instruction sets; a change is tried in one of them.) What becomes of it:

  killed       verify fails (exit code 6)
  timeout      verify does not end in time: noticed too
  same-code    the object is the same, bit for bit: no change at all
  no-compile   the compiler refuses it
  equivalent   survives, and tools/mutants_equivalent.txt says why it changes no result
  survived     survives: a hole in the trials, or an equivalent mutation that nobody has explained
  error        verify ends in another way

Results are appended to FOLDER/results.jsonl: a run that was interrupted goes on where it was, and a
larger --count adds to it. Python's standard library alone is needed, besides what builds attrbench.
"""

import argparse
import fnmatch
import hashlib
import json
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tools" / "mutants_equivalent.txt"
OPERATIONS = ("conv2d", "dense", "maxpool", "avgpool", "pointwise", "select")

# Not judged by verify: the choice among kernels and the CPU's detection, which change no result,
# and files of other architectures.
LEFT_OUT = re.compile(r"(^|_)neon|^cpu\.c$|^pick\.c$|^names\.c$|^kernels\.h$")

# Of the scratch copy, and of what is compiled again and again: half the time of -O1.
BUILT, COMPILED = "-O1", "-Og"

# ---- tokens --------------------------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<name>[A-Za-z_]\w*)
  | (?P<number>0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?[uUlLfF]*|\d+\.?\d*(?:[eE][+-]?\d+)?[uUlLfF]*)
  | (?P<operator><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=
      |[-+*/%<>=!~&|^?:;,.(){}\[\]])
""", re.X)

SWAPPED_OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "+=": "-=", "-=": "+=", "*=": "+=",
    "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "&", "|=": "&=", "&=": "|=",
}

KEYWORDS = ("if", "for", "while", "switch", "sizeof", "return")
COMMUTES = re.compile(r"^(v_(add|mul|and|or|eq)|vm_(and|or)|_mm\d*_(add|mul|and|or)_ps)$")

# Names that are mistaken for each other: members of shapes and views, and the vocabulary.
SWAPPED_NAMES = {}
for pair in ("kh kw|sh sw|dh dw|pt pl|pb pr|ih iw|oh ow|ic oc|n0 n1|b0 b1|y0 y1|"
             "image block|block row|"
             "true false|begin end|AB_FWD AB_BWD|a z|mul add|kx ky|ox oy|sx sy|"
             "v_add v_sub|v_mul v_add|v_max v_min|v_loadu v_zero|v_gt v_ge|v_nle v_gt|v_and v_or|"
             "v_fma v_fnma|vm_and vm_or|_mm256_add_ps _mm256_sub_ps|_mm512_add_ps _mm512_sub_ps|"
             "_mm256_mul_ps _mm256_add_ps|_mm512_mul_ps _mm512_add_ps|_mm256_min_ps _mm256_max_ps|"
             "_mm512_min_ps _mm512_max_ps|_mm256_fmadd_ps _mm256_fmsub_ps|"
             "_mm512_fmadd_ps _mm512_fmsub_ps|_mm256_unpacklo_ps _mm256_unpackhi_ps|"
             "_mm512_unpacklo_ps _mm512_unpackhi_ps|_CMP_GT_OQ _CMP_GE_OQ|_CMP_LT_OQ _CMP_LE_OQ|"
             "_CMP_NLE_UQ _CMP_GT_OQ|_CMP_EQ_OQ _CMP_NEQ_UQ|fabsf fmaxf").split("|"):
    one, other = pair.split()
    SWAPPED_NAMES.setdefault(one, []).append(other)
    SWAPPED_NAMES.setdefault(other, []).append(one)
del SWAPPED_NAMES["fmaxf"], SWAPPED_NAMES["fabsf"]

TYPES = re.compile(r"^(void|char|float|double|int|unsigned|long|bool|const|restrict|vec|uvec|vmask|"
                   r"[a-z0-9_]+_t|__m\w+|struct|enum|static|return)$")


def blanked(text):
    """The text with comments, strings and preprocessor lines as spaces: offsets stay."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group())
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', spaces, text,
                  flags=re.S)
    # Macro bodies are code, their names and parameters are not.
    text = re.sub(r"^[ \t]*#[ \t]*define[ \t]+\w+(\([^)]*\))?", spaces, text, flags=re.M)
    return re.sub(r"^[ \t]*#(?![ \t]*define)(?:[^\n]*\\\n)*[^\n]*", spaces, text, flags=re.M)


def is_operand(token):
    return token is not None and (token.lastgroup != "operator" or token.group() in (")", "]"))


def is_type(tokens, i):
    """Whether token i is (the end of) a type's name: what follows is a declarator."""
    return bool(TYPES.match(tokens[i].group())) or (
        i > 0 and tokens[i - 1].group() in ("struct", "enum", "union"))


def numbers_near(text):
    match = re.fullmatch(r"(0[xX][\da-fA-F]+|\d+)([uUlL]*)", text)
    if match:
        value, suffix = int(match.group(1), 0), match.group(2)
        near = [value + 1] + ([value - 1] if value > 0 else [])
        return [(hex(v) if text[:2].lower() == "0x" else str(v)) + suffix for v in near]
    if re.fullmatch(r"\d+\.\d*f?", text):
        value = float(text.rstrip("f"))
        return [f"{value + 1.0}" + ("f" if text.endswith("f") else "")]
    return []


def arguments(tokens, i):
    """Of the call whose name is token i: the spans of its arguments, [] if it is none."""
    spans, depth, start = [], 0, None
    for token in tokens[i + 1:]:
        text = token.group()
        if text in "([{":
            depth += 1
            if depth == 1:
                start = token.end()
        elif text in ")]}":
            depth -= 1
            if depth == 0:
                return spans + [(start, token.start())]
        elif text == "," and depth == 1:
            spans.append((start, token.start()))
            start = token.end()
        elif text in (";",) and depth:
            return []
    return []


def token_mutations(code, tokens):
    """(kind, start, end, replacement) of all one-token changes."""
    for i, token in enumerate(tokens):
        text = token.group()
        before = tokens[i - 1] if i else None
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        if token.lastgroup == "number":
            for near in numbers_near(text):
                yield "constant", token.start(), token.end(), near
        elif token.lastgroup == "name":
            for other in SWAPPED_NAMES.get(text, ()):
                if text in ("a", "z", "mul", "add", "block", "row", "begin", "end", "image") and (
                        before is None or before.group() not in (".", "->")):
                    continue
                yield "name", token.start(), token.end(), other
        elif text == "!" and after is not None:
            yield "negation", token.start(), token.end(), " "
        elif text in SWAPPED_OPERATORS:
            binary = is_operand(before) and not is_type(tokens, i - 1)
            if binary and after is not None:
                yield "operator", token.start(), token.end(), SWAPPED_OPERATORS[text]
            elif text == "-":
                yield "sign", token.start(), token.end(), " "


def call_mutations(code, tokens):
    for i, token in enumerate(tokens[:-1]):
        is_call = token.lastgroup == "name" and tokens[i + 1].group() == "("
        if not is_call or COMMUTES.match(token.group()) or token.group() in KEYWORDS:
            continue
        if i and is_type(tokens, i - 1) and tokens[i - 1].group() != "return":
            continue
        spans = arguments(tokens, i)
        for (a, b), (c, d) in zip(spans, spans[1:]):
            one, other = code[a:b], code[c:d]
            if one.strip() and other.strip() and one.strip() != other.strip():
                lead = re.match(r"\s*", one).group()
                yield "arguments", a, d, lead + other.strip() + ", " + one.strip()


STATEMENT = re.compile(r"^[ \t]+(?:[*]?[a-z_][\w.>\[\]*+ -]*?(?:[-+*/|&^]|<<|>>)?=[^=][^;{}]*"
                       r"|[a-z_]\w*\([^;{}]*\)|continue|break);[ \t]*$", re.M)
DECLARATION = re.compile(r"^[ \t]+(?:const|static|float|double|int|unsigned|vec|uvec|vmask|bool|"
                         r"ptrdiff_t|size_t|u?int\d+_t|struct|enum|union|return|case|__m\w+)\b")


def statement_mutations(code, _tokens):
    for match in STATEMENT.finditer(code):
        if not DECLARATION.match(match.group()) and match.group().count("\n") < 3:
            text = match.group()
            start = match.start() + len(text) - len(text.lstrip())
            yield "statement", start, match.end(), ";"


def mutations_of(path):
    """All mutations of a file, as records."""
    text = path.read_text()
    code = blanked(text)
    tokens = list(TOKEN.finditer(code))
    for maker in (token_mutations, call_mutations, statement_mutations):
        for kind, start, end, new in maker(code, tokens):
            line = text.count("\n", 0, start) + 1
            first = text.rfind("\n", 0, start) + 1
            last = text.find("\n", end)
            before = " ".join(text[first:last].split())
            after = " ".join((text[first:start] + new + text[end:last]).split())
            if before == after or re.search(r"\bassert\(|_Static_assert|prefetch", before):
                continue
            key = f"{path.name}|{before}|{after}|{start}"
            yield {"id": hashlib.sha1(key.encode()).hexdigest()[:12], "file": path.name,
                   "line": line, "kind": kind, "before": before, "after": after,
                   "start": start, "end": end, "new": new}


# ---- where mutations are tried -------------------------------------------------------------------

class Failure(Exception):
    """A line for the user: what, where, what to do."""


def run(command, **more):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **more)


def cpu_seconds():
    """Of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def must(command, what, **more):
    done = run(command, **more)
    if done.returncode:
        raise Failure(f"{what} fails:\n{done.stdout[-3000:]}")
    return done.stdout


def patterns_of(name):
    """What verify calls the kernels in which an object of simd/ has a part, or [] if it judges
    none of them. Objects are called ab_<kernel>.dir/simd/<file>.o, others only by their file."""
    kernel = re.search(r"/ab_(\w+)\.dir/simd/", name)
    if kernel and kernel.group(1).startswith(OPERATIONS):
        return [kernel.group(1)]
    # All kernels of an operation call these in the same way: those of two instruction sets judge.
    return {"conv2d_pack.c.o": ["conv2d_plain*", "conv2d_avx2*"],
            "conv2d_geom.c.o": ["conv2d_plain*", "conv2d_avx2*", "conv2d_f64_plain"]}.get(
                name.rsplit("/", 1)[-1], [])


class Scratch:
    """A copy of the sources, its build, and which objects each file of simd/ is part of.

    Mutated objects are compiled beside the build, with few optimisations and without ninja, and
    linked in front of the library, which then has no use for its own."""

    def __init__(self, folder, jobs, options):
        self.source, self.build, self.jobs = folder / "source", folder / "build", jobs
        self.mutant, self.baseline = folder / "mutant", folder / "baseline"
        if not (self.source / "CMakeLists.txt").exists():
            self.copy()
        for made in (self.mutant, self.baseline):
            made.mkdir(exist_ok=True)
        for kept in self.source.glob("simd/*.saved"):  # of a run that was killed
            kept.replace(kept.with_name(kept.name.removesuffix(".saved")))
        # No type that CMakeLists.txt has flags for: those would be added to these.
        must(["cmake", "-G", "Ninja", "-S", self.source, "-B", self.build,
              "-DCMAKE_BUILD_TYPE=Mutated", f"-DCMAKE_C_FLAGS_MUTATED={BUILT} -DNDEBUG",
              f"-DCMAKE_CXX_FLAGS_MUTATED={BUILT} -DNDEBUG", "-DAB_TESTS=OFF", "-DAB_WERROR=OFF",
              "-DAB_WITH_ONEDNN=OFF", "-DAB_WITH_ONNX=OFF", "-DAB_WITH_IMAGES=OFF", *options],
             "configuring the scratch copy")
        must(["ninja", "-C", self.build, "-j", jobs, "attrbench_command"],
             "building the scratch copy")
        self.commands, self.link = self.read_commands()
        self.objects = self.read_dependencies()

    def copy(self):
        names = must(["git", "ls-files", "-z"], "git ls-files", cwd=ROOT).split("\0")
        for name in filter(None, names):
            to = self.source / name
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copy2(ROOT / name, to)

    def read_commands(self):
        """({object: what compiles it}, what links the command), without their outputs."""
        commands = {}
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            words = [COMPILED if word == BUILT else word for word in shlex.split(entry["command"])]
            at = words.index("-o")
            commands[words[at + 1]] = words[:at] + words[at + 2:]
        lines = must(["ninja", "-C", self.build, "-t", "commands", "attrbench_command"],
                     "ninja -t commands").strip().splitlines()
        link = [word for word in shlex.split(lines[-1]) if word not in ("&&", ":")]
        at = link.index("-o")
        return commands, link[:at] + link[at + 2:]

    def read_dependencies(self):
        objects, current = {}, None
        for line in must(["ninja", "-C", self.build, "-t", "deps"], "ninja -t deps").splitlines():
            if line and not line.startswith(" ") and ": #deps" in line:
                current = line.split(":")[0]
            elif "/simd/" in line and current is not None and patterns_of(current):
                objects.setdefault(Path(line.strip()).name, []).append(current)
        return {name: sorted(group) for name, group in objects.items()}

    def compile(self, name, to):
        return run([*self.commands[name], "-o", to], cwd=self.build)

    def verify(self, name, made, timeout):
        """(status, the lines that say most) of verify on the kernels of an object, of which `made`
        takes the place."""
        program = self.mutant / "attrbench"
        linked = run([*self.link[:1], made, *self.link[1:], "-o", program], cwd=self.build)
        if linked.returncode:
            return "no-compile", linked.stdout[-400:]
        command = [program, "verify", "--fail-fast"]
        for pattern in patterns_of(name):
            command += ["--op", pattern]
        try:
            done = run(command, timeout=timeout, cwd=self.build)
        except subprocess.TimeoutExpired:
            return "timeout", f"verify ran longer than {timeout} s"
        lines = [line.strip() for line in done.stdout.strip().splitlines()] or [""]
        failed = [k for k, line in enumerate(lines) if "--repro" in line]
        said = lines[failed[0] - 1:failed[0] + 1] if failed else lines[-1:]
        return ({0: "survived", 6: "killed"}.get(done.returncode, "error"),
                ": ".join(said)[:600])

    def original(self, name, timeout):
        """An object that is not mutated. Verify must pass it, or it would kill all mutations."""
        kept = self.baseline / Path(name).relative_to("CMakeFiles").as_posix().replace("/", "+")
        if kept.exists() and kept.stat().st_mtime > (self.build / "attrbench").stat().st_mtime:
            return kept.read_bytes()
        made = self.mutant / "original.o"
        compiled = self.compile(name, made)
        if compiled.returncode:
            raise Failure(f"{name} cannot be compiled:\n{compiled.stdout[-3000:]}")
        status, line = self.verify(name, made, timeout)
        if status != "survived":
            raise Failure(f"verify does not pass without a mutation ({patterns_of(name)}): "
                          f"{status}: {line}")
        made.replace(kept)
        return kept.read_bytes()

    def attempt(self, mutation, timeout):
        """(status, note) of a mutation."""
        name, made = mutation["object"], self.mutant / "mutated.o"
        before = self.original(name, timeout)
        source = self.source / "simd" / mutation["file"]
        saved = source.with_name(source.name + ".saved")
        shutil.copy2(source, saved)
        try:
            text = source.read_text()
            source.write_text(text[:mutation["start"]] + mutation["new"] + text[mutation["end"]:])
            compiled = self.compile(name, made)
        finally:
            saved.replace(source)
        if compiled.returncode:
            errors = [line for line in compiled.stdout.splitlines() if "error" in line]
            return "no-compile", (errors or [""])[0][:400]
        if made.read_bytes() == before:
            return "same-code", ""
        return self.verify(name, made, timeout)


# ---- the run -------------------------------------------------------------------------------------

def read_equivalents():
    """[(file, glob of kernels, before, after)] of tools/mutants_equivalent.txt."""
    known = []
    for number, line in enumerate(EQUIVALENT.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split(" ||| ")]
        if len(parts) != 5:
            raise Failure(f"{EQUIVALENT}:{number}: not 'file ||| kernels ||| before ||| after ||| "
                          "reason'")
        known.append(parts[:4])
    return known


def is_known(record, known):
    kernel = patterns_of(record["object"])[0]
    return any([file, before, after] == [record[k] for k in ("file", "before", "after")]
               and fnmatch.fnmatch(kernel, glob) for file, glob, before, after in known)


def read_results(path):
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return {record["id"]: record for record in records}


def draw(scratch, pattern, seed, count):
    """`count` mutations in the order of the seed: files in turn, so that long ones do not crowd out
    the short ones."""
    order = random.Random(seed)
    queues = []
    for path in sorted((ROOT / "simd").glob("*.[ch]")):
        if LEFT_OUT.search(path.name) or not re.search(pattern, path.name):
            continue
        objects = scratch.objects.get(path.name)
        if not objects:
            continue
        found = list(mutations_of(scratch.source / "simd" / path.name))
        for mutation in found:
            mutation["object"] = order.choice(objects)
        order.shuffle(found)
        if found:
            queues.append(found)
    order.shuffle(queues)
    drawn = []
    while queues and len(drawn) < count:
        # The longer a file, the more of its mutations: by the square root.
        queue = order.choices(queues, [len(q) ** 0.5 for q in queues])[0]
        drawn.append(queue.pop())
        queues = [q for q in queues if q]
    return drawn


def summary(records, known, out):
    groups = {}
    for record in records:
        status = record["status"]
        if status == "survived" and is_known(record, known):
            status = "equivalent"
        groups.setdefault(status, []).append(record)
    for record in groups.get("survived", []) + groups.get("error", []):
        print(f"{record['status']}: simd/{record['file']}:{record['line']} ({record['kind']}) in "
              f"{patterns_of(record['object'])[0]}",
              f"  - {record['before']}", f"  + {record['after']}", sep="\n", file=out)
        if record["status"] == "error":
            print(f"  {record['note']}", file=out)
    count = {status: len(group) for status, group in groups.items()}
    noticed = count.get("killed", 0) + count.get("timeout", 0)
    judged = noticed + count.get("survived", 0) + count.get("error", 0)
    print("  ".join(f"{status} {count[status]}" for status in sorted(count)), file=out)
    if judged:
        print(f"kill rate of those that change a result: {noticed}/{judged} = "
              f"{100.0 * noticed / judged:.1f} %", file=out)
    return count.get("survived", 0) + count.get("error", 0)


def parse():
    text = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    text.add_argument("--count", type=int, default=200, help="how many mutations (200)")
    text.add_argument("--seed", type=int, default=1, help="which ones (1)")
    text.add_argument("--files", default="", metavar="REGEX", help="of simd/ alone that match")
    text.add_argument("--folder", type=Path, default=ROOT / "build" / "mutate",
                      help="scratch copy, its build and results.jsonl (build/mutate)")
    text.add_argument("--timeout", type=float, default=300.0, metavar="S",
                      help="of one verify (300); more on a busy machine")
    text.add_argument("--jobs", type=int, default=1, help="of the build (1)")
    text.add_argument("--cmake", action="append", default=[], metavar="OPTION",
                      help="more for the scratch copy's configuration (which is no release)")
    text.add_argument("--again", action="store_true",
                      help="run survivors and errors of earlier runs again, on today's sources")
    text.add_argument("--list", action="store_true", help="print the mutations, run nothing")
    text.add_argument("--summary", action="store_true", help="print what results.jsonl says")
    return text.parse_args()


def work(given):
    results = given.folder / "results.jsonl"
    known, records = read_equivalents(), read_results(results)
    if given.summary:
        return summary(records.values(), known, sys.stdout)
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.again and (given.folder / "source").exists():
        shutil.rmtree(given.folder / "source")
    scratch = Scratch(given.folder.resolve(), given.jobs, given.cmake)
    mutations = draw(scratch, given.files, given.seed, given.count)
    if given.list:
        for m in mutations:
            print(f"simd/{m['file']}:{m['line']} ({m['kind']})", f"  - {m['before']}",
                  f"  + {m['after']}", sep="\n")
        return 0
    retry = ("survived", "error") if given.again else ()
    with results.open("a") as out:
        for number, m in enumerate(mutations, 1):
            if m["id"] in records and records[m["id"]]["status"] not in retry:
                continue
            start = cpu_seconds()
            m["status"], m["note"] = scratch.attempt(m, given.timeout)
            m["cpu_seconds"] = round(cpu_seconds() - start, 1)
            records[m["id"]] = m
            print(json.dumps(m), file=out, flush=True)
            print(f"{number}/{len(mutations)} {m['status']} simd/{m['file']}:{m['line']} "
                  f"[{patterns_of(m['object'])[0]}] {m['before']}  ->  {m['after']}",
                  file=sys.stderr, flush=True)
    return summary([records[m["id"]] for m in mutations], known, sys.stdout)


def main():
    given = parse()
    for tool in ("cmake", "ninja", "git"):
        if not shutil.which(tool):
            sys.exit(f"mutate.py: {tool} is not installed; see cmake/packages.txt")
    try:
        sys.exit(1 if work(given) else 0)
    except Failure as failure:
        sys.exit(f"mutate.py: {failure}")
    except KeyboardInterrupt:
        sys.exit("mutate.py: interrupted; the same command goes on from here")


if __name__ == "__main__":
    main()
