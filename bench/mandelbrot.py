"""The mandelbrot example in plain CPython loops: the reference for the interpreter. Prints milliseconds per picture.

    python3 bench/mandelbrot.py WIDTH HEIGHT LIMIT
"""
import sys
import time


def mandelbrot(w, h, limit):
    picture = bytearray(w * h)
    for row in range(h):
        cy = row / h * 2.0 - 1.0
        for col in range(w):
            cx = col / w * 3.0 - 2.0
            x = y = 0.0
            n = 0
            while n < limit and x * x + y * y <= 4.0:
                x, y = x * x - y * y + cx, 2.0 * x * y + cy
                n += 1
            picture[row * w + col] = 0 if n == limit else int(255.0 * (n / limit) ** 0.5)
    return picture


if __name__ == "__main__":
    width, height, rounds = (int(argument) for argument in sys.argv[1:4])
    best = []
    for _ in range(3):
        start = time.perf_counter()
        mandelbrot(width, height, rounds)
        best.append((time.perf_counter() - start) * 1e3)
    print(f"{sorted(best)[1]:.3f}")
