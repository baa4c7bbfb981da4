#!/bin/sh
# Everything that must hold before a change goes in: the optimised build and all its tests; the build with
# AddressSanitizer and UndefinedBehaviorSanitizer and its unit, golden, bad-input, thread, memory and emulator tests; each fuzzer for 30 seconds; the
# test of threads, and those of the emulator's driver, with ThreadSanitizer.
# QN_FUZZ_SECONDS=N changes that, QN_QUICK=1 leaves out all but the first part.
set -eu
cd "$(dirname "$0")/.."
started=$(date +%s)
jobs=$(nproc 2>/dev/null || echo 2)
part() { echo; echo "== $* ($(($(date +%s) - started)) s)"; }
configure() { cmake "$@" >configure.log 2>&1 || { cat configure.log; exit 1; }; rm -f configure.log; }

part "build"
configure -S . -B build -G Ninja
cmake --build build -j "$jobs"
part "tests"
ctest --test-dir build --output-on-failure -j "$jobs"
[ -n "${QN_QUICK:-}" ] && exit 0

compiler=gcc
plusplus=g++
fuzz=OFF
if command -v clang-22 >/dev/null 2>&1; then
    compiler=clang-22
    plusplus=clang++-22
    if [ -e "$(clang-22 -print-file-name=libclang_rt.fuzzer-$(uname -m).a)" ] ||
        [ -e "$(clang-22 -print-resource-dir)/lib/linux/libclang_rt.fuzzer-$(uname -m).a" ]; then
        fuzz=ON
    fi
fi
part "build with sanitizers ($compiler)"
configure -S . -B build-asan -G Ninja -DCMAKE_C_COMPILER=$compiler -DCMAKE_CXX_COMPILER=$plusplus -DCMAKE_BUILD_TYPE=Debug \
    "-DCMAKE_C_FLAGS_DEBUG=-O1 -g" "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g" -DQN_SANITIZE=address,undefined -DQN_WERROR=OFF -DQN_FUZZ=$fuzz \
    -DQN_FUZZ_SECONDS="${QN_FUZZ_SECONDS:-30}"
cmake --build build-asan -j "$jobs"
part "tests with sanitizers"
ctest --test-dir build-asan --output-on-failure -j "$jobs" -L 'unit|golden|examples|bad|thread|memory|emulator'
if [ $fuzz = ON ]; then
    part "fuzzers"
    ctest --test-dir build-asan --output-on-failure -j "$jobs" -L fuzz
else
    echo "clang's libFuzzer is not available (libclang-rt-22-dev): the fuzzers did not run"
fi
part "threads with ThreadSanitizer ($compiler)"
configure -S . -B build-tsan -G Ninja -DCMAKE_C_COMPILER=$compiler -DCMAKE_CXX_COMPILER=$plusplus -DCMAKE_BUILD_TYPE=Debug \
    "-DCMAKE_C_FLAGS_DEBUG=-O1 -g" "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g" -DQN_SANITIZE=thread -DQN_WERROR=OFF
cmake --build build-tsan -j "$jobs" --target engine_test_threads engine_test_parallel emulator_driver_tests
ctest --test-dir build-tsan --output-on-failure -L thread
part "all passed"
