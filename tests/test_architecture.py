"""The house rules that no linter knows: one importer per third-party library, no bare imports, typed packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("machine", "kernel", "loader", "traces", "tools")

IMPORTERS = {
    "capstone": {"machine/arm/decode.py"},
    "llvmlite": {"machine/llvm/"},
    "lief": {"loader/image.py"},
    "fdt": {"loader/device_tree.py"},
    "msgspec": {"loader/tables.py"},
    "construct": {"loader/layouts.py", "traces/schema.py"},
    "librt": {"traces/output.py"},
    "mypy_extensions": {"machine/compiled.py"},  # for mypyc only: no dependency
    "zstandard": {"traces/compression.py"},
    "typer": {"tools/verbs.py"},
    "rich": {"tools/display.py"},
    # Test-only: the product never imports these.
    "unicorn": set(),
    "hypothesis": set(),
    "pytest": set(),
    "elftools": set(),
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(), str(path))


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_each_library_has_one_importer() -> None:
    wrong = []
    for name, tree in sources():
        for library in imported(tree) & IMPORTERS.keys():
            allowed = IMPORTERS[library]
            if not any(name == place or (place.endswith("/") and name.startswith(place)) for place in allowed):
                wrong.append(f"{name} imports {library}")
    assert wrong == []


def test_only_known_libraries_are_imported() -> None:
    known = set(sys.stdlib_module_names) | {"retrap"} | IMPORTERS.keys()
    assert {(name, x) for name, tree in sources() for x in imported(tree) - known} == set()


@pytest.mark.parametrize("floor", FLOORS)
def test_a_bare_import_is_refused(floor: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {floor}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"import this package as retrap.{floor}" in done.stderr


@pytest.mark.parametrize("floor", FLOORS)
def test_packages_are_marked_as_typed(floor: str) -> None:
    assert (ROOT / floor / "py.typed").is_file()


def test_every_folder_with_modules_is_a_package() -> None:
    missing = {
        path.parent.relative_to(ROOT).as_posix()
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*.py")
        if not (path.parent / "__init__.py").is_file()
    }
    assert missing == set()
