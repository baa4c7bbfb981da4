#!/bin/sh
# Installs what the build and the tests need, and only what is missing. Debian 12 or newer, as root or through sudo.
# Elsewhere it says which packages are needed and fails if a tool is not there.
set -eu

required="cmake ninja-build gcc g++ pkg-config llvm-22-dev libffi-dev libxxhash-dev libdlpack-dev libzstd-dev zlib1g-dev libtbb-dev"
testing="libcriterion-dev libmpfr-dev"
optional="gdb lld-22 clang-22 libclang-rt-22-dev libpng-dev"

if [ ! -e /etc/debian_version ] || ! command -v dpkg-query >/dev/null 2>&1; then
    missing=""
    for tool in cmake ninja cc pkg-config; do
        command -v $tool >/dev/null 2>&1 || missing="$missing $tool"
    done
    command -v llvm-config-22 >/dev/null 2>&1 || command -v llvm-config >/dev/null 2>&1 || missing="$missing llvm-config(22)"
    if [ -n "$missing" ]; then
        echo "setup: not Debian, and these tools are missing:$missing" >&2
        echo "setup: on Debian the packages are: $required $testing $optional" >&2
        exit 1
    fi
    exit 0
fi

missing_of() {
    for package in "$@"; do
        dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' || printf '%s ' "$package"
    done
}

need=$(missing_of $required $testing)
want=$(missing_of $optional)
[ -z "$need$want" ] && exit 0

root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        if [ -n "$need" ]; then
            echo "setup: please install as root: apt-get install $need" >&2
            exit 1
        fi
        echo "setup: without root, not installed (optional): $want" >&2
        exit 0
    fi
    root="sudo"
fi

apt() { $root env DEBIAN_FRONTEND=noninteractive apt-get "$@"; }
candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'; }

for package in $need $want; do
    if ! candidate "$package"; then
        echo "setup: reading the package lists"
        apt update -q >/dev/null || echo "setup: the package lists could not be read" >&2
        break
    fi
done

if [ -n "$need" ]; then
    for package in $need; do
        if ! candidate "$package"; then
            echo "setup: Debian has no package '$package' here; llvm-22-dev comes with the security archive of Debian 12" >&2
            exit 1
        fi
    done
    echo "setup: installing $need"
    apt install -q -y --no-install-recommends $need >/dev/null
fi
for package in $want; do
    if candidate "$package" && apt install -q -y --no-install-recommends "$package" >/dev/null; then
        echo "setup: installed $package"
    else
        echo "setup: $package is not available: $(
            case $package in
            lld-22) echo 'linking takes longer' ;;
            libpng-dev) echo 'one example host is not tested' ;;
            *) echo 'the fuzzers and the clang build are left out' ;;
            esac)" >&2
    fi
done
