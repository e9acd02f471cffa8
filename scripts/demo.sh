#!/bin/sh
# What retrap does, on one sample: boot, traps, memory map, record, replay, diff. Usage: demo.sh RETRAP
set -eu
retrap=$1
out=out/demo
mkdir -p "$out"
image=samples/prebuilt/hello-arm.elf

step() { printf '\n== %s\n' "$*"; }
run() { printf '$ retrap %s\n' "$*"; "$retrap" "$@"; }

step "which build this is"
run --version
step "what the image is"
run info "$image"
step "where everything will lie: memory map and untyped memory (no instruction is run)"
run boot "$image" --dry-run
step "boot it: the guest's console goes to standard output; every trap is recorded"
run boot "$image" -o "$out/first.rtr" --stats
step "the recorded traps, decoded (the first and the last lines)"
printf '$ retrap show %s\n' "$out/first.rtr"
"$retrap" show "$out/first.rtr" >"$out/first.txt"
sed -n '1,12p' "$out/first.txt"
echo "…"
tail -n 5 "$out/first.txt"
step "how often which call"
run show "$out/first.rtr" -c
step "replay: the kernel engine alone, fed with the recorded traps; then the CPU again"
run replay "$out/first.rtr"
run replay "$out/first.rtr" --cpu
step "a second run is the same, byte for byte"
run boot "$image" -o "$out/second.rtr" >/dev/null
run diff "$out/first.rtr" "$out/second.rtr"
cmp "$out/first.rtr" "$out/second.rtr"
step "and a different program is not (pingpong with 3 and with 4 rounds)"
run boot samples/prebuilt/pingpong-arm.elf --arguments rounds=3 -o "$out/three.rtr"
run boot samples/prebuilt/pingpong-arm.elf --arguments rounds=4 -o "$out/four.rtr"
printf '$ retrap diff %s %s\n' "$out/three.rtr" "$out/four.rtr"
status=0
"$retrap" diff "$out/three.rtr" "$out/four.rtr" || status=$?
[ "$status" = 1 ] || { echo "demo: diff of different traces exited with $status, not 1" >&2; exit 1; }
printf '\ndemo: done; the traces are in %s\n' "$out"
