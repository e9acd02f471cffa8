#!/bin/sh
# Build a wheel, install it into an empty environment elsewhere, and boot a sample with it from there.
# Usage: wheel-check.sh PYTHON (one that has pip).
set -eu
python=$1
here=$(pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m pip wheel -q --no-deps --disable-pip-version-check -w "$place/dist" .
"$python" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps "$place"/dist/retrap-*.whl
"$python" - "$here/pyproject.toml" >"$place/needs.txt" <<'PY'
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    print("\n".join(tomllib.load(file)["project"]["dependencies"]))
PY
"$place/venv/bin/python" -m pip install -q --disable-pip-version-check -r "$place/needs.txt"
cd "$place"
cp "$here/samples/prebuilt/hello-arm.elf" .
"$place/venv/bin/retrap" boot hello-arm.elf -o hello.rtr | tail -n 1 | grep -x PASS
"$place/venv/bin/retrap" replay hello.rtr
"$place/venv/bin/python" -c 'import retrap.tools, pathlib; assert "venv" in retrap.tools.__file__, retrap.tools.__file__'
echo "wheel-check: the wheel installs and runs elsewhere"
