#!/bin/sh
# Build the wheel and unpack it into DIR, compiled ahead if that is possible here (setup.py says when). Whoever runs
# the environment's Python with PYTHONPATH=DIR has that copy instead of the checkout.
# Usage: compile.sh PYTHON DIR. PYTHON is the one of an environment made by setup.sh: nothing is downloaded.
set -eu
python=$1
place=$2
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
if [ "${RETRAP_PURE:-}" != 1 ]; then
    echo "compile: building the trap path as C extensions (a minute on two cores; RETRAP_PURE=1 does without)" >&2
fi
rm -rf build/lib* build/bdist* build/temp* "$place"
"$python" -m pip wheel -q --no-deps --no-build-isolation --disable-pip-version-check -w "$made" .
"$python" -m pip install -q --no-deps --no-index --disable-pip-version-check --target "$place" "$made"/retrap-*.whl
PYTHONPATH=$place "$python" -c 'from retrap.tools.build import description; print("compile: retrap is", description())' >&2
