"""The figures that the documentation quotes: whole processes against each other, compile times, CPython against the interpreter.

    python3 bench/figures.py [BUILD]      needs the built command and `ninja -C BUILD bench_compile`
"""
import json
import os
import statistics
import subprocess
import sys
import time

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
build = sys.argv[1] if len(sys.argv) > 1 else os.path.join(root, "build")
quern = os.path.join(build, "bin", "quern")


def example(name):
    return os.path.join(root, "examples", name + ".qn")


def process_ms(command, runs=21):
    """Median wall time of a whole process, after one warm-up."""
    times = []
    for i in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[1:])


def main():
    saxpy = [quern, "run", example("saxpy"), "a=2.5", "x=linspace(0,1,10)", "y=ones(10)"]
    print("whole process, median of 21 runs, ms")
    for name, command in [("/bin/true", ["/bin/true"]), ("quern --version", [quern, "--version"]),
                          ("saxpy of 10, interp", saxpy + ["--engine", "interp"]), ("saxpy of 10, cpu", saxpy + ["--engine", "cpu", "--no-cache"]),
                          ("saxpy of 10, cpu, cached", saxpy + ["--engine", "cpu"])]:
        print(f"  {name:24} {process_ms(command):8.2f}")
    compiler = os.path.join(build, "bin", "bench_compile")
    names = ["saxpy", "dot", "mandelbrot", "jacobi", "matmul", "black_scholes", "sobel"]
    print("compile, one process, warm median of 20, ms")
    print(subprocess.run([compiler, "20"] + [example(n) for n in names], check=True, capture_output=True, text=True).stdout, end="")
    size = ["256", "256", "256"]
    python = float(subprocess.run([sys.executable, os.path.join(root, "bench", "mandelbrot.py")] + size, check=True, capture_output=True, text=True).stdout)
    rows = json.loads(subprocess.run([quern, "bench", example("mandelbrot"), "w=256", "h=256", "limit=256", "--json"], check=True,
                                     capture_output=True, text=True).stdout)
    interp, cpu = rows[0]["median_ms"], rows[1]["median_ms"]
    print(f"mandelbrot 256x256, limit 256, ms: CPython {python:.1f}, interp {interp:.2f}, cpu {cpu:.3f}; "
          f"CPython/interp {python / interp:.1f}x, interp/cpu {interp / cpu:.1f}x, equal {rows[1]['equal']}")


main()
