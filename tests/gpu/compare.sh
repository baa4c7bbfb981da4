#!/bin/sh
# Every `#! quern run` line of the language tests, of golden tests and examples, on the interpreter and on the engine cuda: what they print and the exit code must agree.
#   compare.sh QUERN [FILE...]
# QUERN_CUDA_LIBRARY names the driver, usually the emulator's library; without a device the exit code is 77 (skipped).
quern=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || set -- "$root"/tests/language/*.qn "$root"/tests/golden/run/*.qn "$root"/tests/golden/faults/*.qn "$root"/examples/*.qn
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export QUERN_CACHE=
printf 'kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }\n' >"$work/k.qn"
"$quern" run --engine cuda "$work/k.qn" "x=zeros(3)" >/dev/null 2>"$work/err" || { echo "skipped: $(head -1 "$work/err")"; exit 77; }
start=$PWD
same=0 different=0 left=0
for file; do
    case $file in /*) ;; *) file=$start/$file ;; esac
    cd "$(dirname "$file")" || exit 1
    base=$(basename "$file")
    grep '^#! quern run' "$file" | sed 's/^#! quern run //; s/--engine [a-z]* //' | sort -u >"$work/lines"
    while read -r line; do
        case $line in *' -o '*|*%t*|*--engine*|*--library*) left=$((left + 1)); continue ;; esac
        line=$(printf '%s' "$line" | sed "s|%r/|$root/|g; s|%|$base|g")
        set -f
        "$quern" run --engine interp $line >"$work/interp" 2>&1 </dev/null; a=$?
        "$quern" run --engine cuda $line >"$work/cuda" 2>&1 </dev/null; b=$?
        set +f
        if [ $a -eq $b ] && cmp -s "$work/interp" "$work/cuda"; then
            same=$((same + 1))
        else
            different=$((different + 1))
            echo "DIFFERENT: $base: quern run $line (exit codes $a, $b)"
            diff "$work/interp" "$work/cuda" | head -${QUERN_COMPARE_LINES:-4}
        fi
    done <"$work/lines"
done
echo "$same the same, $different different, $left left out (they write files)"
[ $different -eq 0 ]
