#!/bin/sh
# run.sh BUILD: installs the build into a scratch folder, builds host.c there through pkg-config and through CMake, against the
# shared and the static library, and checks what each prints.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d /tmp/quern-install-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$build" --prefix "$prefix" --strip >/dev/null

expect=" 12 24 36 48 60"
check() {
    got=$("$@")
    if [ "$got" != "$expect" ]; then
        echo "FAILED: $* printed '$got'"
        exit 1
    fi
    echo "ok: $(basename "$1")"
}

libraries=$(dirname "$(find "$prefix" -name quern.pc)")
export PKG_CONFIG_PATH="$libraries" LD_LIBRARY_PATH="$(dirname "$libraries")"
cc "$here/host.c" -o "$scratch/pkg_shared" $(pkg-config --cflags --libs quern)
check "$scratch/pkg_shared"
cp -r "$prefix" "$scratch/moved" # an installed tree may be moved; without the shared library -lquern is the archive
rm "$scratch/moved/${libraries#"$prefix/"}"/../libquern.so*
lld=""
command -v ld.lld-22 >/dev/null 2>&1 && lld="-B/usr/lib/llvm-22/bin -fuse-ld=lld"
export PKG_CONFIG_PATH="$scratch/moved/${libraries#"$prefix/"}"
cc "$here/host.c" -o "$scratch/pkg_static" $lld -Wl,--gc-sections $(pkg-config --static --cflags --libs quern)
check "$scratch/pkg_static"

cmake -S "$here" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1 &&
    cmake --build "$scratch/build" >>"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
check "$scratch/build/host_shared"
check "$scratch/build/host_static"
"$prefix/bin/quern" --version >/dev/null
echo "4 hosts built and run"
