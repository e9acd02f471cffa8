"""What classes on the trap path tell mypyc, which compiles them ahead. In plain Python it means nothing.

`@mypyc_attr(acyclic=True, free_list_len=1)`: objects of the class are in no cycle of references, so the garbage
collector need not know them; and the memory of one that is gone serves the next. Objects that are made anew in
every kernel entry cost half as much that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(*, acyclic=False, free_list_len=0):
        return lambda decorated: decorated
