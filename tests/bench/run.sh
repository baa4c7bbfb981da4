#!/bin/sh
# run.sh QUERN [EMULATOR]: what the benches write that is not the same each time: keys of the JSON, rows of the tables, plots. EMULATOR is a library with
# the CUDA driver's entry points, for what needs a device.
set -eu
quern=$1 emulator=${2:-}
examples=$(cd "$(dirname "$0")/../../examples" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset QUERN_CUDA_LIBRARY # what needs a device says which
passed=0

has() { # FILE TEXT ...: every text is in the file
    file=$1
    shift
    for text in "$@"; do
        grep -qF -e "$text" "$file" || { echo "$file lacks: $text"; cat "$file"; exit 1; }
    done
    passed=$((passed + 1))
}

lacks() { # FILE TEXT
    if grep -qF -e "$2" "$1"; then echo "$1 has: $2"; cat "$1"; exit 1; fi
    passed=$((passed + 1))
}

"$quern" bench "$examples/saxpy.qn" a=2 'x=random(1,1000)' 'y=random(2,1000)' --repeat 3 --json > bench.json
has bench.json '"engine": "interp"' '"engine": "cpu"' '"threads": 1' '"median_ms": ' '"min_ms": ' '"gbytes_per_s": ' '"gflops": ' '"first_call_ms": ' '"equal": true'

# An output whose size only the kernel knows, and an inout.
"$quern" bench "$examples/threshold_filter.qn" 'x=random(1,1000)' limit=0.5 --repeat 3 > filter.txt
has filter.txt equal
printf 'kernel step(inout u: f64[n]) { u[i] = u[i] * 0.5 }\n' > step.qn
"$quern" bench step.qn 'u=random(1,1000)' --repeat 3 > step.txt
has step.txt equal

"$quern" bench precision "$examples/matmul.qn" 'A=random(1,40,40)' 'B=random(2,40,40)' --repeat 3 --svg bars.svg > precision.txt
has precision.txt 'cpu, errors against f64' '  f16 ' '  bf16 ' '  f32 ' '  f64 ' 'f16: worst at C[' 'f16: sums accumulate in f32' 'bf16: sums accumulate in f32'
has bars.svg '<svg ' 'RMS error against f64' 'bf16' '</svg>'
"$quern" bench precision "$examples/matmul.qn" 'A=random(1,40,40)' 'B=random(2,40,40)' --repeat 3 --json --engine interp > precision.json
has precision.json '"bench": "precision"' '"engine": "interp"' '"type": "bf16"' '"median_ms": ' '"bytes": 9600' '"bytes": 38400' '"max_absolute_error": ' '"max_relative_error": ' \
    '"rms_error": ' '"overflowed": 0' '"underflowed_to_zero": 0' '"nans": 0' '"sums_in_type": '

cat > kinds.qn <<'END'
kernel kinds[T: float](x: T[n], large: T, small: T) -> y: T[n], z: T[n], c: i64, d: T[n] {
    y[i] = x[i] * large
    z[i] = x[i] * small
    c = count(i: x[i] > 0.3)
    d[i] = y[i] - y[i]
}
kernel literal[T: float](x: T[n]) -> y: T[n] { y[i] = x[i] + 1e5 }
kernel checked[T: float](x: T[n]) -> y: T[n] { y[i] = x[i64(x[i])] }
END
"$quern" bench precision kinds.qn:kinds 'x=linspace(1,2,100)' large=65504 small=1e-5 --repeat 1 > kinds.txt
has kinds.txt 'f16: 99 of 300 results overflowed to infinity: the largest f16 is 65504' 'f16: NaNs that f64 does not have: 99' 'to subnormals (below 6.1e-05)'
lacks kinds.txt 'sums accumulate'
"$quern" bench precision kinds.qn:kinds 'x=linspace(1,2,10)' large=1 small=1e-9 --repeat 1 > zeros.txt
has zeros.txt 'f16: 10 of 30 results underflowed to 0, 0 to subnormals'
"$quern" bench precision kinds.qn:kinds 'x=[0.30001,1]' large=1 small=1 --repeat 1 > counts.txt
has counts.txt 'f16: results other than floats that differ from f64'
"$quern" bench precision kinds.qn:literal 'x=ones(4)' --repeat 1 > literal.txt
has literal.txt 'f16: not run, E0412' '  f32 '
"$quern" bench precision kinds.qn:checked 'x=[1.999,0]' --repeat 1 > checked.txt
has checked.txt 'f16: not run, line 8: index out of range: index 2, extent 2' '  f64 '

"$quern" bench crossover "$examples/saxpy.qn" a=2 'x=random(1,{n})' 'y=random(2,{n})' --n 10..1000*10 --engines interp,cpu --repeat 3 --svg lines.svg > crossover.txt
has crossover.txt '            10 ' '           100 ' '         1,000 ' interp cpu
has lines.svg '<svg ' 'median time of a call in ms' '>interp<' '>cpu<' '</svg>'
"$quern" bench crossover "$examples/saxpy.qn" a=2 'x=random(1,{n})' 'y=random(2,{n})' --n 10,1000 --engines interp,cpu --repeat 3 --json > crossover.json
has crossover.json '"bench": "crossover"' '"n": [10, 1000]' '"engine": "interp"' '"engine": "cpu"' '"median_ms": [' '"min_ms": [' '"crossovers": [' '"faster": '

if [ -n "$emulator" ]; then
    export QUERN_CUDA_LIBRARY="$emulator"
    "$quern" bench transfer --sizes 4Ki..64Ki --repeat 3 --svg transfer.svg > transfer.txt
    has transfer.txt 'copies between host and device' '  host to device' '  device to host' '         4 KiB ' '        64 KiB ' 'host to device, pinned: 4 KiB take'
    has transfer.svg '>pageable, to device<' '>pinned, to host<' 'GB/s'
    "$quern" bench transfer --sizes 100,5000 --repeat 3 --json > transfer.json
    has transfer.json '"bench": "transfer"' '"memory": "pageable", "direction": "to_device", "bytes": 100' '"memory": "pinned", "direction": "to_host", "bytes": 5000' \
        '"runs": 3' '"gbytes_per_s": '
    if "$quern" bench transfer --sizes 1Ki,4Gi > large.txt 2>&1; then echo "4 GiB fit?"; exit 1; else code=$?; fi
    [ "$code" = 5 ] || { echo "code $code"; exit 1; }
    has large.txt 'out of memory'
    if "$quern" bench transfer --engine cuda:9 > ninth.txt 2>&1; then echo "a ninth device?"; exit 1; else code=$?; fi
    [ "$code" = 7 ] || { echo "code $code"; exit 1; }
    if "$quern" run "$examples/saxpy.qn" a=2 x=[1] y=[1] --engine cuda > run.txt 2>&1; then # it executes kernels
        "$quern" bench crossover step.qn 'u=random(1,{n})' --n 10,100 --engines interp,cpu,cuda --repeat 3 --svg device.svg > device.txt # checks the bytes
        has device.txt ' cuda ' 'cuda without copies' '           100 '
        has device.svg '>cuda without copies<'
        "$quern" bench crossover "$examples/threshold_filter.qn" 'x=random(1,{n})' limit=0.5 --n 10,100 --repeat 3 --json > device.json
        has device.json '"engine": "cuda", "threads": 1, "copies": true' '"engine": "cuda", "threads": 1, "copies": false' '"name": "cpu"'
        "$quern" bench precision "$examples/matmul.qn" 'A=random(1,8,8)' 'B=random(2,8,8)' --engine cuda --repeat 1 > device.txt
        has device.txt 'cuda, errors against f64' 'f16: sums accumulate in f32'
        "$quern" bench transfer --sizes 100,5000 --repeat 3 > mapped.txt
        lacks mapped.txt 'not measured'
        has mapped.txt 'device to host, mapped: 100 B take'
    fi
    unset QUERN_CUDA_LIBRARY
fi
if QUERN_CUDA_LIBRARY=/no/such/library.so "$quern" bench transfer > none.txt 2>&1; then echo "a device without a driver?"; exit 1; else code=$?; fi
[ "$code" = 7 ] || { echo "code $code"; exit 1; }
has none.txt 'no CUDA driver: /no/such/library.so'
if QUERN_CUDA_LIBRARY=/no/such/library.so "$quern" bench precision "$examples/matmul.qn" 'A=ones(2,2)' 'B=ones(2,2)' --engine cuda > none.txt 2>&1; then exit 1; else code=$?; fi
[ "$code" = 7 ] || { echo "code $code"; exit 1; }
echo "$passed passed, 0 failed"
