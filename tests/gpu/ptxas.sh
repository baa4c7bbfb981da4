#!/bin/sh
# Every kernel of the examples and of the language tests through `quern emit --ptx`, assembled by NVIDIA's ptxas for several GPUs. Says what ptxas warns of and which entries
# spill registers. The code must be strict: no contracted or approximate arithmetic may occur in it.
#   ptxas.sh QUERN [SM...]
# ptxas: QUERN_PTXAS, or the one on PATH; without one the exit code is 77 (skipped). QUERN_PTXAS_FILES: other sources than all.
quern=$1
shift
[ $# -gt 0 ] || set -- 75 80 86 90 100 120
ptxas=${QUERN_PTXAS:-$(command -v ptxas)}
[ -x "$ptxas" ] || { echo "skipped: there is no ptxas"; exit 77; }
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 assembled=0 refused=0 spills=0

# The kernels of a file: the command names them when there are several.
kernels() {
    "$quern" emit --ir "$1" 2>&1 >/dev/null | sed -n 's/.*write FILE.qn:NAME with one of: //p' | tr -d ',' | head -1
}

one() { # file:kernel
    case $1 in *:*) label=$1 ;; *) label=$(basename "$1") ;; esac
    for sm; do
        [ "$sm" = "$1" ] && continue
        if ! "$quern" emit --ptx --target sm_$sm "$1" >"$work/k.ptx" 2>"$work/err"; then
            if grep -q "runs on the CPU only" "$work/err"; then refused=$((refused + 1)); return; fi
            grep -q "ptx:" "$work/err" || return # no kernel, or one with errors: not for this test
            echo "$label sm_$sm: $(grep 'ptx:' "$work/err")"; failed=$((failed + 1)); return
        fi
        if ! "$ptxas" -v -arch=sm_$sm "$work/k.ptx" -o /dev/null >"$work/log" 2>&1; then
            echo "$label sm_$sm: ptxas refuses"; head -5 "$work/log"; failed=$((failed + 1)); continue
        fi
        assembled=$((assembled + 1))
        grep -i warning "$work/log" | sed "s|^|$label sm_$sm: |"
        grep -E '[1-9][0-9]* bytes spill' "$work/log" >"$work/spill" && { spills=$((spills + 1)); echo "$label sm_$sm: $(head -1 "$work/spill" | tr -s ' ')"; }
        if grep -nE '\b(add|sub|mul|fma|mad)(\.ftz|\.sat)?\.f(32|64|16)|\.approx|\.ftz|\.full|\bmad\.f' "$work/k.ptx" >"$work/loose"; then
            echo "$label sm_$sm: arithmetic that is not strict: $(head -1 "$work/loose")"; failed=$((failed + 1))
        fi
    done
}

for file in ${QUERN_PTXAS_FILES:-"$root"/examples/*.qn "$root"/tests/language/*.qn}; do
    names=$(kernels "$file")
    if [ -z "$names" ]; then one "$file" "$@"; else for name in $names; do one "$file:$name" "$@"; done; fi
done
echo "$assembled modules assembled, $refused kernels refused as CPU only, $spills with spills, $failed failures"
[ $failed -eq 0 ]
