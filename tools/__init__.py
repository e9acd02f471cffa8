"""The command line and the library verbs; composes every other package.

`from retrap.tools import boot, replay, diff`: the verbs as functions, with typed results.
"""

from typing import Any

if __name__ != "retrap.tools":
    raise ImportError("import this package as retrap.tools, never as a bare 'tools'")

_VERBS = {
    "boot": "retrap.tools.booting",
    "BootResult": "retrap.tools.booting",
    "replay": "retrap.tools.replaying",
    "diff": "retrap.tools.comparing",
}

__all__ = ["BootResult", "boot", "diff", "replay"]


def __getattr__(name: str) -> Any:
    module = _VERBS.get(name)
    if module is None:
        raise AttributeError(f"module 'retrap.tools' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)
