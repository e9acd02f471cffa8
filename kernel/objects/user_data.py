"""User data of the 2006 design: memory of the user's, of any power of two from a page on (paper, section 3.1).

The capability is that of a frame without a mapping: a CNode of an address space is where it is put to be seen, and
loads and stores are its invocations (`retrap.kernel.capability_spaces`). It has no others.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.caps import VM_READ_WRITE, Cap, FrameCap
from retrap.kernel.state import Creator, KernelState


def create(state: KernelState, address: int, size_bits: int, device: bool) -> Cap:
    """2^size_bits bytes, to read, write and execute."""
    return FrameCap(address, size_bits, False, VM_READ_WRITE)


CREATORS: Final[dict[str, Creator]] = {"UserData": create}
