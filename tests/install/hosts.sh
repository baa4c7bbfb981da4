#!/bin/sh
# hosts.sh BUILD: installs the build into a scratch folder, builds examples/hosts against it (all through find_package, image_filter through
# pkg-config), and runs them. Without libpng image_filter is left out, and it says so.
set -eu
build=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d /tmp/quern-hosts-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$build" --prefix "$prefix" --strip >/dev/null
libraries=$(dirname "$(find "$prefix" -name quern.pc)")
export PKG_CONFIG_PATH="$libraries${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}" LD_LIBRARY_PATH="$(dirname "$libraries")" QUERN_CACHE="$scratch/cache"

cmake -S "$root/examples/hosts" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1 &&
    cmake --build "$scratch/build" >>"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

expect() {
    want=$1
    shift
    got=$("$@") || { echo "FAILED: $* exits with $?, says: $got"; exit 1; }
    case $got in
    *"$want"*) echo "ok: $(basename "$1"): $got" ;;
    *) echo "FAILED: $* printed '$got'"; exit 1 ;;
    esac
}
expect "0 1 4 9 16 25" "$scratch/build/hello"
expect "0 1 4 9 16 25" "$scratch/build/hello" # from the cache
expect "0 failed" "$scratch/build/server"
expect "8 rods are cold" "$scratch/build/events"
if pkg-config --exists libpng; then
    cc -Wall -Wextra -Werror "$root/examples/hosts/image_filter.c" -o "$scratch/image_filter" $(pkg-config --cflags --libs quern libpng)
    expect "edges of the square: found" "$scratch/image_filter" --test "$root/examples/sobel.qn" "$scratch/edges.png"
else
    echo "skipped: image_filter: libpng is missing (libpng-dev)"
fi
