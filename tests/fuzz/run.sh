#!/bin/sh
# run.sh FUZZER SECONDS: seeds a corpus from the golden tests and the examples and runs one fuzzer.
# A finding is kept in findings/ below the fuzzer's folder.
set -eu
fuzzer=$1
seconds=$2
folder=$(dirname "$fuzzer")/../fuzz/$(basename "$fuzzer")
mkdir -p "$folder/corpus" "$folder/findings"
case $(basename "$fuzzer") in
fuzz_npy) seeds=$(find examples tests -name '*.npy' -size -300k) ;;
fuzz_ptx) seeds=$(find tests -name '*.ptx' -size -64k) ;;
*) seeds=$(find examples tests -name '*.qn' -size -64k) ;;
esac
for seed in $seeds; do
    cp "$seed" "$folder/corpus/$(echo "$seed" | tr / _)"
done
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1} exec "$fuzzer" "$folder/corpus" \
    -artifact_prefix="$folder/findings/" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=65536 \
    -print_final_stats=1 -verbosity=0
