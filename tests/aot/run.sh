#!/bin/sh
# run.sh QUERN CC: builds the kernels as a static library, a shared one and an object, and runs a C program with each.
set -eu
quern=$1 cc=$2
source=$(cd "$(dirname "$0")" && pwd)
include=$(cd "$source/../../include" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$quern" build "$source/kernels.qn" -o libkernels.a --header kernels.h
"$quern" build "$source/kernels.qn" -o libkernels.so
"$quern" build "$source/kernels.qn" -o kernels.o
"$quern" build "$source/kernels.qn" -o libone.a --cpu x86-64
$cc -I. -I"$include" "$source/host.c" libkernels.a -lm -o with_archive
$cc -I. -I"$include" "$source/host.c" -L. -lkernels -lm -Wl,-rpath,"$work" -o with_shared
$cc -I. -I"$include" "$source/host.c" kernels.o -lm -o with_object
$cc -I. -I"$include" "$source/host.c" libone.a -lm -o with_one
for program in with_archive with_shared with_object with_one; do
    echo "$program"
    ./$program
done
if "$quern" build "$source/kernels.qn" -o kernels.xyz 2>/dev/null; then echo "a wrong name was taken"; exit 1; fi
echo "5 passed, 0 failed"
