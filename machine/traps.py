"""Why the CPU stopped running user code and entered the kernel."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, final


class TrapKind(IntEnum):
    """Exception classes of ARM ARM B1.8 that user code can cause, and the interrupt that ends a budget."""

    SVC = 0
    UNDEFINED = 1
    PREFETCH_ABORT = 2
    DATA_ABORT = 3
    INTERRUPT = 4  # the budget is used up (a timer tick, a device event, a limit), or a device wants attention
    BREAKPOINT = 5  # BKPT: a debug event, taken as a prefetch abort with the debug status (C3.4)


class FaultStatus:
    """Short-descriptor fault status codes, as DFSR/IFSR hold them (ARM ARM B3.13.3, table B3-23)."""

    ALIGNMENT: Final = 0x1
    DEBUG: Final = 0x2
    TRANSLATION_SECTION: Final = 0x5
    TRANSLATION_PAGE: Final = 0x7
    EXTERNAL: Final = 0x8
    PERMISSION_SECTION: Final = 0xD
    PERMISSION_PAGE: Final = 0xF
    WRITE: Final = 0x800  # DFSR.WnR


@final
class Trap:
    """One entry into the kernel.

    On return from `Cpu.run` the context's PC is the address of the trapping instruction (for INTERRUPT: of
    the next one to execute), with no effect of that instruction visible except, for SVC, the advanced ITSTATE.
    """

    __slots__ = ("address", "kind", "status")

    def __init__(self, kind: TrapKind, address: int = 0, status: int = 0) -> None:
        self.kind: Final = kind
        self.address: Final = address  # fault address of an abort (DFAR/IFAR)
        self.status: Final = status  # DFSR/IFSR of an abort

    def __repr__(self) -> str:
        return f"Trap({self.kind.name}, address={self.address:#x}, status={self.status:#x})"


SVC: Final = Trap(TrapKind.SVC)
UNDEFINED: Final = Trap(TrapKind.UNDEFINED)
INTERRUPT: Final = Trap(TrapKind.INTERRUPT)
