#!/bin/sh
# Make the virtual environment VENV with the locked dependencies and retrap itself, editable.
# Usage: setup.sh PYTHON VENV. Needs Python 3.11 or newer; installs Debian's venv module if it is missing.
set -eu
python=$1
venv=$2

command -v "$python" >/dev/null 2>&1 || { echo "setup: no $python found: install Python 3.11 or newer" >&2; exit 2; }
"$python" - <<'PY' || exit 2
import sys
if sys.version_info < (3, 11):
    sys.exit(f"setup: Python 3.11 or newer is needed, this is {sys.version.split()[0]} (try: make PYTHON=python3.11)")
PY

if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    # Debian and Ubuntu ship venv apart from python3.
    minor=$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "setup: installing python$minor-venv" >&2
    $sudo apt-get update -qq && $sudo apt-get install -y -qq "python$minor-venv" >/dev/null || {
        echo "setup: $python has no venv module and it could not be installed: install python$minor-venv" >&2
        exit 2
    }
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "setup: installing the locked dependencies into $venv" >&2
"$venv/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
