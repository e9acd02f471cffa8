"""Devices of the user's own: `--device MODULE:CLASS@ADDRESS` and `[[devices]]` of a manifest.

Naming a class runs its module's code. So a manifest or a command line may name one, which is the user's word; a
trace may not: whoever replays one with such a device has to name it again.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from retrap.kernel.boot import BootPlan
from retrap.machine.devices import MODELS, Model
from retrap.tools.errors import UsageError

_CLASS: Final = re.compile(r".+:[A-Za-z_]\w*")
_FORM: Final = "MODEL@ADDRESS[,irq=N]…[,size=BYTES], MODEL a built-in one, MODULE:CLASS or FILE.py:CLASS"


def parse(text: str) -> dict[str, Any]:
    """The manifest table that a `--device` option stands for. Raises `UsageError`."""
    head, *options = text.split(",")
    model, at, address = head.rpartition("@")
    if not at or not model:
        raise UsageError(f"--device {text}: expected {_FORM}")
    if ":" not in model and model not in MODELS:
        raise UsageError(f"--device {text}: no model {model!r}: one of {', '.join(filter(None, MODELS))}")
    if ":" in model and not _CLASS.fullmatch(model):
        raise UsageError(f"--device {text}: {model!r} is not MODULE:CLASS")
    table: dict[str, Any] = {"name": model.rpartition(":")[2], "model": model, "base": _number(text, address)}
    irqs = []
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in ("irq", "size"):
            raise UsageError(f"--device {text}: {option!r} is neither irq=N nor size=BYTES")
        if key == "irq":
            irqs.append(_number(text, value))
        else:
            table["size"] = _number(text, value)
    if irqs:
        table["irqs"] = irqs
    return table


def _number(text: str, value: str) -> int:
    try:
        return int(value, 0)
    except ValueError:
        raise UsageError(f"--device {text}: {value!r} is no number") from None


def foreign(plan: BootPlan) -> list[str]:
    """The models of the plan that are classes of the user's own, each once."""
    return list(dict.fromkeys(device.model for device in plan.devices if ":" in device.model))


def load(names: Iterable[str], directory: Path | None = None) -> Mapping[str, type[Model]]:
    """The classes that MODULE:CLASS names stand for. FILE.py is relative to `directory` (the working directory).

    Raises `UsageError`.
    """
    return {name: _load(name, directory or Path()) for name in names}


def _load(name: str, directory: Path) -> type[Model]:
    module_name, _, class_name = name.rpartition(":")
    if not _CLASS.fullmatch(name):
        raise UsageError(f"device model {name!r} is not MODULE:CLASS")
    try:
        module = _module(module_name, directory)
    except Exception as error:  # the module's own code may raise anything
        raise UsageError(f"device {name}: {module_name}: {type(error).__name__}: {error}") from error
    kind = getattr(module, class_name, None)
    if not inspect.isclass(kind):
        raise UsageError(f"device {name}: {module_name} has no class {class_name}")
    if not issubclass(kind, Model):
        raise UsageError(f"device {name}: {class_name} is not derived from retrap.machine.devices.Model")
    return kind


def _module(name: str, directory: Path) -> Any:
    if name.endswith(".py"):
        path = directory / name
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    here = str(directory.resolve())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)

