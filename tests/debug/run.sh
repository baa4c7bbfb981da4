#!/bin/sh
# run.sh QUERN: gdb, in batch mode, stops in a kernel's source line, shows its variables, and steps through its lines.
set -eu
quern=$1
if ! command -v gdb >/dev/null 2>&1; then
    echo "gdb is missing: skipped"
    exit 77
fi
cd "$(dirname "$0")"
out=$(gdb -q -batch -nx -ex 'set breakpoint pending on' -ex 'set debuginfod enabled off' -ex 'break steps.qn:7 if i == 2' -ex run -ex 'print i' -ex 'print k' \
    -ex 'print total' -ex next -ex next -ex 'print total' -ex 'info source' --args "$quern" run steps.qn 'x=[1.5,2.5,4]' --debug 2>&1) || true
expect() {
    case $out in
    *"$1"*) ;;
    *) printf '%s\n\nexpected: %s\n' "$out" "$1"; exit 1 ;;
    esac
}
expect 'at steps.qn:7'
expect '$1 = 2'      # i
expect '$2 = 0'      # k
expect '$3 = 0'      # total before the line
expect 'k += 1'      # the line stepped to
expect '$4 = 4'      # total after it
plain=$("$quern" run steps.qn 'x=[1.5,2.5,4]')
debug=$("$quern" run steps.qn 'x=[1.5,2.5,4]' --debug)
[ "$plain" = "$debug" ] || { echo "the debug code computes something else: $debug"; exit 1; }
echo "7 passed, 0 failed"
