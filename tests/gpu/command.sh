#!/bin/sh
# The command with engine cuda: results, errors and their exit codes, falling back, profiles, timelines. Usage: command.sh QUERN EMULATOR SOURCES
set -u
quern=$1 emulator=$2 sources=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export QUERN_CUDA_LIBRARY="$emulator" QUERN_CACHE="$folder/cache"
failed=0

# expect EXIT-CODE TEXT COMMAND...: the text is in what the command says on either stream.
expect() {
    code=$1 text=$2
    shift 2
    "$@" >"$folder/said" 2>&1
    found=$?
    if [ "$found" != "$code" ] || ! grep -qF -- "$text" "$folder/said"; then
        echo "FAILED: $* exits with $found (expected $code, with '$text'):"
        cat "$folder/said"
        failed=1
    fi
}
saxpy="run $sources/examples/saxpy.qn a=2.5 x=linspace(0,1,8) y=ones(8) --engine cuda"

expect 0 'z: f32[8] = [1.0, 1.3571429' "$quern" $saxpy
expect 0 'cuda:0' "$quern" $saxpy --profile
expect 0 '"engine": "cuda:0", "fallback": false' "$quern" $saxpy --profile --json
expect 0 'z: f32[8]' "$quern" $saxpy --trace "$folder/trace.json"
expect 0 '"name": "compute"' cat "$folder/trace.json"
expect 0 '"name": "x", "ph": "X"' cat "$folder/trace.json"
expect 7 'there is no CUDA device 1: 1 found' "$quern" run "$sources/examples/saxpy.qn" a=1 x='[1]' y='[1]' --engine cuda:1
expect 2 "unknown engine 'cuda:x'" "$quern" run "$sources/examples/saxpy.qn" a=1 x='[1]' y='[1]' --engine cuda:x
expect 0 'equal' "$quern" bench "$sources/examples/saxpy.qn" a=2 'x=random(1,2000)' 'y=random(2,2000)' --engines interp,cuda --repeat 1
expect 0 'cuda:0' "$quern" doctor
expect 0 'the engines agree' "$quern" doctor
expect 0 'the device' "$quern" explain "$sources/examples/saxpy.qn" a=1 'x=ones(1000)' 'y=ones(1000)'
expect 0 'too little for a device' "$quern" run "$sources/examples/saxpy.qn" a=1 x='[1]' y='[1]' --engine auto --profile
QUERN_EMULATOR_FAULT=launch:1 expect 7 'unspecified launch failure' "$quern" $saxpy
QUERN_EMULATOR_FAULT=launch:1 expect 0 'note: engine cpu ran the kernel instead of cuda' "$quern" $saxpy --fallback
QUERN_EMULATOR_FAULT=alloc:1+ expect 5 'memory' "$quern" $saxpy
QUERN_EMULATOR_FAULT=load:1 expect 7 'ptxas application ptx input' "$quern" $saxpy
QUERN_EMULATOR_MISSING=cuLaunchKernel expect 7 'lacks what is needed: cuLaunchKernel' "$quern" $saxpy
QUERN_EMULATOR_DEVICES=0 expect 7 'no CUDA-capable device' "$quern" $saxpy
export QUERN_CUDA_LIBRARY=/nowhere/libcuda.so
expect 7 'no CUDA driver: /nowhere/libcuda.so' "$quern" $saxpy
expect 0 'z: f32[8]' "$quern" $saxpy --fallback
expect 0 'cuda       none   no CUDA driver' "$quern" doctor
[ $failed = 0 ] && echo "the command works with engine cuda"
exit $failed
