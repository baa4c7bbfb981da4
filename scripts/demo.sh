#!/bin/sh
# demo.sh [BUILD]: examples on real data, interpreted against compiled, one thread. 'first call' is everything from the
# source text to the first result of the compiled kernel; the other times are the best of several runs; 'bytes' says whether
# both engines returned the same bits.
set -eu
cd "$(dirname "$0")/.."
quern=${1:-build}/bin/quern
data=examples/data
export QUERN_CACHE= # every first call compiles

printf '%-18s %-33s %12s %12s %9s %11s  %s\n' kernel data interpreted compiled speed-up 'first call' bytes
failed=0
row() {
    file=$1
    what=$2
    shift 2
    if ! json=$("$quern" bench "examples/$file" "$@" --engines interp,cpu --threads 1 --json 2>&1); then
        printf '%-18s %-33s failed:\n%s\n' "${file%%.qn*}" "$what" "$json"
        failed=1
        return
    fi
    printf '%s\n' "$json" | awk -v name="${file%%.qn*}" -v what="$what" '
        function field(key) { return match($0, "\"" key "\": [^,}]*") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) : "" }
        /"interp"/ { interpreted = field("min_ms") }
        /"cpu"/ { compiled = field("min_ms"); first = field("first_call_ms"); equal = field("equal") }
        END { printf "%-18s %-33s %9.2f ms %9.3f ms %8.0fx %8.1f ms  %s\n", name, what, interpreted, compiled,
              interpreted / compiled, first, equal == "true" ? "equal" : "DIFFERENT" }'
}

row sobel.qn              "photograph, 512x512 u8"           image=@$data/camera.npy
row gaussian_blur.qn      "photograph, 512x512 u8"           image=@$data/camera.npy sigma=2
row median3x3.qn          "photograph, 512x512 u8"           image=@$data/camera.npy
row histogram_equalise.qn "photograph, 512x512 u8"           image=@$data/camera.npy
row rgb_to_grey.qn        "Hubble deep field, 872x1000x3 u8" image=@$data/hubble.npy
row column_statistics.qn  "cell measurements, 569x30 f64"    data=@$data/breast_cancer.npy
row standardise.qn        "cell measurements, 569x30 f64"    data=@$data/breast_cancer.npy
row jacobi.qn             "512x512 f32, 20 steps"            "start=random(1,512,512)" steps=20
row matmul.qn             "256x256 f32"                      "A=random(1,256,256):f32" "B=random(2,256,256):f32"
row mandelbrot.qn         "512x512, limit 256"               limit=256 w=512 h=512
row black_scholes.qn      "100,000 options f64"              "price=random(1,100000)" "strike=random(2,100000)" \
    "years=random(3,100000)" rate=0.02 volatility=0.3
row monte_carlo_pi.qn     "1,000,000 darts f64"              seed=1 samples=1000000
exit $failed
