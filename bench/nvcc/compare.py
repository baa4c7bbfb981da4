"""Quern's GPU code beside nvcc's for the same computations: what ptxas and the disassembler say of it, as a Markdown table.

    python3 bench/nvcc/compare.py [BUILD] [--sm 80]

nvcc, ptxas and nvdisasm are found on the PATH or below $CUDA_HOME/bin. No GPU is needed. The hot loop is the one with most elements: values stored (saxpy,
black_scholes, jacobi) or loaded (sum, histogram), products (matmul), iterations (mandelbrot). Compilers unroll and load several elements at once, so compare
instructions per element. They are counted as they stand, rare branches of the loop included.
"""
import argparse
import os
import re
import shutil
import subprocess
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
# By kernel: the instruction that stands for an element, and the bits of one where the instruction may have several.
marks = {"saxpy": ("STG", 32), "black_scholes": ("STG", 64), "jacobi": ("STG", 32), "sum": ("LDG", 64), "matmul": ("FFMA", None), "histogram": ("LDG", 8),
         "mandelbrot": ("FSETP", None)}


def tool(name):
    found = shutil.which(name) or os.path.join(os.environ.get("CUDA_HOME", ""), "bin", name)
    if not os.path.exists(found):
        raise SystemExit(f"compare: {name} is not on the PATH, nor below $CUDA_HOME/bin")
    return found


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"compare: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def resources(report):
    """By entry: registers, spilled bytes (stores and loads), shared bytes."""
    found, entry = {}, None
    for line in report.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            entry = m[1]
        if m := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            found[entry] = {"spills": int(m[1]) + int(m[2])}
        if m := re.search(r"Used (\d+) registers", line):
            found[entry]["registers"] = int(m[1])
            shared = re.search(r"(\d+) bytes smem", line)
            found[entry]["shared"] = int(shared[1]) if shared else 0
    return found


def functions(listing):
    """Instructions by entry: (label or None, opcode, branch target or None)."""
    result, current, label = {}, None, None
    for line in listing.splitlines():
        if m := re.match(r"\s*\.section\s+\.text\.(\w+)", line):
            current = result.setdefault(m[1], [])
        elif m := re.match(r"\s*(\.L_x_\w+):", line):
            label = m[1]
        elif (m := re.match(r"\s*/\*[0-9a-f]+\*/\s+(@!?U?P\w+\s+)?([\w.]+)(.*?);", line)) and current is not None:
            target = re.search(r"`\((\.L_x_\w+)\)", m[3])
            current.append((label, m[2], target[1] if target else None))
            label = None
    return result


def weight(op, mark, bits):
    """How many elements an instruction stands for: accesses may be wider than one."""
    if not op.startswith(mark):
        return 0
    if bits is None:
        return 1
    width = re.search(r"\.(?:U|S)?(8|16|64|128)\b", op)
    return (int(width[1]) if width else 32) / bits


def hot_loop(code, mark, bits):
    """Instructions and elements of the loop that has most elements of its own, that is outside of loops within it; the smaller one of two equals."""
    place = {label: i for i, (label, _, _) in enumerate(code) if label}
    loops = {(place[t], i) for i, (_, op, t) in enumerate(code) if t in place and place[t] < i and op.startswith("BRA")}
    best = None
    for a, b in loops or {(0, len(code) - 1)}:
        nested = [(c, d) for c, d in loops if (c, d) != (a, b) and a <= c and d <= b and (c, d) != (a, b) and c != a]
        own = [op for i, (_, op, _) in enumerate(code[a : b + 1], a) if op != "NOP" and not any(c <= i <= d for c, d in nested)]
        elements = sum(weight(op, mark, bits) for op in own)
        if best is None or (elements, -len(own)) > (best[1], -best[0]):
            best = len(own), elements
    return best


def occupancy(registers, shared, threads, sm):
    """Theoretical, in percent, of an SM with 64 warps (48 on 8.6 and 8.9), 65536 registers, 100 KiB shared memory or more."""
    most = 48 if sm in (86, 89, 120) else 32 if sm == 75 else 64
    warps = (threads + 31) // 32
    per_warp = (registers * 32 + 255) // 256 * 256
    blocks = min(65536 // (per_warp * warps), most // warps, 102400 // (shared + 1024) if shared else 99)
    return 100 * blocks * warps // most


def measure(ptx, sm, folder, kernel=None):
    path = os.path.join(folder, "code.cubin")
    report = resources(run(tool("ptxas"), f"-arch=sm_{sm}", "-O3", "-v", ptx, "-o", path))
    code = functions(run(tool("nvdisasm"), "-c", path))
    return {name: dict(r, loop=hot_loop(code[name], *marks[kernel or name]), total=len([1 for _, op, _ in code[name] if op != "NOP"])) for name, r in report.items()}


def entries_of(quern, name, sm, folder):
    path = os.path.join(folder, name + ".ptx")
    text = run(quern, "emit", "--ptx", "--target", f"sm_{sm}", os.path.join(here, "kernels.qn") + ":" + name)
    with open(path, "w") as f:
        f.write(text)
    block = {m[1]: int(m[2]) * int(m[3]) * int(m[4])
             for m in re.finditer(r"\.visible \.entry (\w+)\(.*?\.reqntid (\d+), (\d+), (\d+)", text, re.S)}
    return measure(path, sm, folder, name), block


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=os.path.join(here, "..", "..", "build"))
    parser.add_argument("--sm", type=int, default=80)
    arguments = parser.parse_args()
    quern = os.path.join(arguments.build, "bin", "quern")
    sm = arguments.sm
    print(f"| kernel | by | registers | spilled bytes | shared bytes | occupancy | hot loop | elements | per element | all |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "nvcc.ptx")
        run(tool("nvcc"), "-ptx", "-O3", f"-arch=sm_{sm}", os.path.join(here, "kernels.cu"), "-o", path)
        theirs = measure(path, sm, folder)
        for name in marks:
            rows = [("nvcc", theirs[name], 256)]
            ours, block = entries_of(quern, name, sm, folder)
            rows += [("Quern " + entry.replace(f"quern_{name}_", ""), r, block.get(entry, 256)) for entry, r in ours.items()]
            for by, r, threads in rows:
                print(f"| {name} | {by} | {r['registers']} | {r['spills']} | {r['shared']} | "
                      f"{occupancy(r['registers'], r['shared'], threads, sm)} % | {r['loop'][0]} | {r['loop'][1]:g} | {r['loop'][0] / max(r['loop'][1], 1):.2f} | {r['total']} |")


main()
