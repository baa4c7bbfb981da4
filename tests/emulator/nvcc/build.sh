#!/bin/sh
# Compiles the kernels again: NVCC=.../nvcc sh build.sh. The PTX is checked in, since the tests must not need CUDA.
set -eu
cd "$(dirname "$0")"
for source in *.cu; do
    name=${source%.cu}
    case $name in bfloat) arch=sm_90 ;; *) arch=sm_80 ;; esac
    "${NVCC:-nvcc}" -ptx -arch=$arch -O3 -lineinfo "$source" -o "$name.ptx"
    "${NVCC:-nvcc}" -ptx -arch=$arch -Xcicc -O0 "$source" -o "$name.O0.ptx"
    sed -i 's|^\(\s*\.file\s*[0-9]*\s*"\)[^"]*/|\1|' "$name.ptx" "$name.O0.ptx" # no paths of this machine
done
# clang's, of those that need no header of CUDA's.
for name in saxpy mandelbrot reduce scan transpose histogram integer64 recursion pointers choice structs locals spinlock gridbarrier dynamic vectors matmul stencil minmax divergence nbody globals; do
    for level in 3 0; do
        "${CLANG:-clang-22}" -O$level -x cuda --cuda-device-only --cuda-gpu-arch=sm_80 -nocudainc -nocudalib -include clang.h -S "$name.cu" -o "$name.clang$level.ptx" || exit 1
    done
done
