"""How this installation was built: compiled ahead, or plain Python."""

from __future__ import annotations

from importlib.util import find_spec


def compiled_ahead() -> bool:
    """Whether the kernel engine and the rest of the trap path are extension modules (`setup.py` says which)."""
    spec = find_spec("retrap.kernel.engine")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def description() -> str:
    """For people: what `retrap --version` says."""
    return "compiled ahead" if compiled_ahead() else "plain Python"
