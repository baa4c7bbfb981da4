#!/bin/sh
# demo.sh [BUILD]: examples on real data, interpreted against compiled, one thread. 'first call' is everything from the
# source text to the first result of the compiled kernel; 'bytes' says whether both engines returned the same bits.
set -eu
cd "$(dirname "$0")/.."
quern=${1:-build}/bin/quern
data=examples/data

printf '%-13s %-34s %12s %12s %9s %11s  %s\n' kernel data interpreted compiled speed-up 'first call' bytes
failed=0
row() {
    file=$1
    what=$2
    shift 2
    if ! json=$("$quern" bench "examples/$file" "$@" --engines interp,cpu --json 2>&1); then
        printf '%-13s %-34s failed:\n%s\n' "${file%%.qn*}" "$what" "$json"
        failed=1
        return
    fi
    printf '%s\n' "$json" | awk -v name="${file%%.qn*}" -v what="$what" '
        function field(key) { return match($0, "\"" key "\": [^,}]*") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) : "" }
        /"interp"/ { interpreted = field("median_ms") }
        /"cpu"/ { compiled = field("median_ms"); first = field("first_call_ms"); equal = field("equal") }
        END { printf "%-13s %-34s %9.2f ms %9.3f ms %8.0fx %8.1f ms  %s\n", name, what, interpreted, compiled,
              interpreted / compiled, first, equal == "true" ? "equal" : "DIFFERENT" }'
}

row sobel.qn        "photograph, 512x512 u8"          image=@$data/camera.npy
row median.qn       "photograph, 512x512 u8"          image=@$data/camera.npy
row histogram.qn:grey "photograph, 512x512 u8"        image=@$data/camera.npy
row blur.qn         "Hubble deep field, 872x1000x3 u8" image=@$data/hubble.npy
row above.qn:bright "Hubble deep field, 872x1000x3 u8" image=@$data/hubble.npy limit=60
row standardise.qn  "cell measurements, 569x30 f64"   x=@$data/breast_cancer.npy
row covariance.qn   "cell measurements, 569x30 f64"   x=@$data/breast_cancer.npy
row nearest.qn      "cell measurements, 569x30 f64"   x=@$data/breast_cancer.npy
row jacobi.qn:diffuse "512x512 f32, 20 steps"         "u=random(1,512,512)" steps=20
row matmul.qn       "256x256 f32"                     "A=random(1,256,256):f32" "B=random(2,256,256):f32"
row mandelbrot.qn   "512x512, 256 steps"              limit=256 w=512 h=512
row options.qn      "100,000 options f64"             "spot=random(1,100000)" "strike=random(2,100000)" \
    "years=random(3,100000)" rate=0.02 volatility=0.3
exit $failed
