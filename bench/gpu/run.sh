#!/bin/sh
# Checks and measures the CUDA engine on this machine's device, in less than eight minutes, with what the build has made: no compiler, no Python.
#   bench/gpu/run.sh [--small] [--build FOLDER] [--out FOLDER] [--limit SECONDS]
# Writes gpu.json and gpu.md to --out (gpu-report). --limit is for the comparison of engines (200 s). --small: sizes for the emulator, which
# QUERN_CUDA_LIBRARY names. Exit codes: 0; 1 a check or a row failed (the report says which); 2 usage; 7 no driver or no device.
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build out=gpu-report limit=200 small=
while [ $# -gt 0 ]; do
    case $1 in
    --small) small=--small ;;
    --build) build=$2; shift ;;
    --out) out=$2; shift ;;
    --limit) limit=$2; shift ;;
    *) sed -n '2,5s/^# *//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
bin=$build/bin
for program in quern bench_gpu engine_test_engines; do
    [ -x "$bin/$program" ] || { echo "run.sh: $bin/$program is not there: build first" >&2; exit 2; }
done
mkdir -p "$out" || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
export QUERN_CACHE=
failed=0

"$bin/bench_gpu" --probe >"$work/probe" 2>"$work/why" || { cat "$work/why" >&2; exit 7; }
began=$(date +%s)
cat "$work/probe"

# The text of a file as a JSON string.
quoted() { awk 'BEGIN { printf "\"" } { gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, " "); printf "%s\\n", $0 } END { printf "\"" }' "$1"; }
state() {
    command -v nvidia-smi >/dev/null 2>&1 || { echo "nvidia-smi is not here"; return; }
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,power.draw,ecc.mode.current --format=csv 2>&1
}
state >"$work/before"

echo "doctor"
"$bin/quern" doctor >"$work/doctor" 2>&1 || failed=1
# one long line of the processor's features is of no use here
sed -i 's/^\(  code .\{0,60\}\).*/\1/' "$work/doctor"

# Every kernel of the examples and language tests on the device and in the interpreter, in parts, several at once until the time is over.
echo "the engines' bytes (at most $limit s)"
parts=48
deadline=$(($(date +%s) + limit))
some() { # worker, workers
    part=$1
    while [ "$part" -lt $parts ]; do
        left=$((deadline - $(date +%s)))
        [ $left -gt 0 ] || return
        timeout $left "$bin/engine_test_engines" --cuda "$part/$parts" >"$work/part.$part" 2>&1
        echo $? >"$work/rc.$part"
        part=$((part + $2))
    done
}
workers=$(($(nproc 2>/dev/null || echo 2) / 2))
[ $workers -ge 1 ] || workers=1
[ $workers -le 6 ] || workers=6
worker=0
while [ $worker -lt $workers ]; do
    some $worker $workers &
    worker=$((worker + 1))
done
wait
passed=0 wrong=0 late=0 broken=0 part=0
while [ $part -lt $parts ]; do
    rc=$(cat "$work/rc.$part" 2>/dev/null || echo 124)
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$work/part.$part" 2>/dev/null)
    case $rc:$counts in
    *:*\ *) passed=$((passed + ${counts% *})) wrong=$((wrong + ${counts#* })) ;;
    124:) late=$((late + 1)) ;;
    *) broken=$((broken + 1)) ;;
    esac
    part=$((part + 1))
done
cat "$work"/part.* 2>/dev/null | grep -v ' passed, ' | head -40 >"$work/failures"
took=$(($(date +%s) - deadline + limit))
engines="$passed comparisons equal, $wrong different; of $parts parts $late were not reached in time, $broken ended without a count; $took s, $workers at a time"
echo "  $engines"
[ $wrong -eq 0 ] && [ $broken -eq 0 ] && [ $passed -gt 0 ] || failed=1

# Errors: what is printed, and the exit code.
echo "errors of kernels"
timeout 60 sh "$root/tests/gpu/compare.sh" "$bin/quern" "$root"/tests/golden/faults/*.qn >"$work/faults" 2>&1
case $? in
0) ;;
124) echo "not done after 60 s" >>"$work/faults" ;;
*) failed=1 ;;
esac
tail -1 "$work/faults" | sed 's/^/  /'

echo "copies between host and device"
sizes=4Ki..256Mi
[ -z "$small" ] || sizes=4Ki..256Ki
timeout 60 "$bin/quern" bench transfer --sizes $sizes --json >"$work/transfer.json" 2>"$work/transfer.err" || { failed=1; echo null >"$work/transfer.json"; }

echo "measurements"
timeout 180 "$bin/bench_gpu" $small --json "$work/rows.json" --markdown "$work/rows.md" "$root/bench/gpu/kernels.qn" 2>"$work/measure.err"
rc=$?
[ $rc -eq 0 ] || { failed=1; tail -3 "$work/measure.err" >&2; }
[ $rc -ne 124 ] || echo "The measurements were stopped after 180 s; what is missing was not reached." >>"$work/failures"
[ -s "$work/rows.json" ] || echo null >"$work/rows.json"
state >"$work/after"
seconds=$(($(date +%s) - began))

{
    printf '{"date": "%s", "seconds": %d, "quern": "%s", "failed": %s,\n"probe": ' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" $seconds \
        "$("$bin/quern" --version 2>/dev/null | head -1)" "$([ $failed -eq 0 ] && echo false || echo true)"
    quoted "$work/probe"; printf ',\n"before": '; quoted "$work/before"; printf ',\n"after": '; quoted "$work/after"
    printf ',\n"doctor": '; quoted "$work/doctor"
    printf ',\n"engines": {"equal": %d, "different": %d, "parts": %d, "parts_not_reached": %d, "parts_broken": %d, "seconds": %d},\n"failures": ' $passed $wrong $parts $late $broken $took
    quoted "$work/failures"; printf ',\n"errors": '; quoted "$work/faults"
    printf ',\n"transfer": '; cat "$work/transfer.json"; printf ',\n"measurements": '; cat "$work/rows.json"; printf '}\n'
} >"$out/gpu.json"

{
    echo "# The CUDA engine on $(sed 's/,.*//' "$work/probe")"
    echo
    echo "$(date -u '+%Y-%m-%d %H:%M') UTC, $seconds s. $(cat "$work/probe")"
    echo
    echo "## Checks"
    echo "- Engines: $engines."
    echo "- Errors: $(tail -1 "$work/faults")."
    echo "- Kernels below whose result was not the processor's, byte for byte, are marked FAILED."
    [ ! -s "$work/failures" ] || { echo; echo '```'; cat "$work/failures"; echo '```'; }
    echo; echo '```'; cat "$work/doctor"; echo; echo "before:"; cat "$work/before"; echo "after:"; cat "$work/after"; echo '```'
    cat "$work/rows.md" 2>/dev/null
    echo
    echo "## Copies between host and device"
    echo "| memory | direction | bytes | ms | GB/s |"
    echo "| --- | --- | --- | --- | --- |"
    sed -n 's/.*"memory": "\([a-z]*\)", "direction": "\([a-z_]*\)", "bytes": \([0-9]*\).*"median_ms": \([0-9.]*\).*"gbytes_per_s": \([0-9.]*\).*/| \1 | \2 | \3 | \4 | \5 |/p' \
        "$work/transfer.json"
    sed 's/^/    /' "$work/transfer.err"
} >"$out/gpu.md"
echo "$seconds s; $out/gpu.md, $out/gpu.json$([ $failed -eq 0 ] || echo '; something FAILED, see there')"
exit $failed
