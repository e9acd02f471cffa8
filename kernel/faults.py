"""Faults: what a thread did wrong, the message its handler gets, and what the handler's reply changes.

Encodings: libsel4 `sel4_arch/types.bf`, manual 6.2. Delivery is in `retrap.kernel.fault_handling`.
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.failures import LookupFailure
from retrap.kernel.registers import CPSR, RESTART_PC, read_register
from retrap.kernel.state import KernelState
from retrap.kernel.structures import Fault, Tcb
from retrap.machine.context import Slot as ContextSlot

_EXCEPTION_REGISTERS: Final = (RESTART_PC, ContextSlot.SP, CPSR)
_SYSCALL_REGISTERS: Final = (0, 1, 2, 3, 4, 5, 6, 7, RESTART_PC, ContextSlot.SP, ContextSlot.LR, CPSR)
_STATUS_MASK: Final = 0x3FFF
"""How many bits of a fault status register the fault keeps."""


@final
class CapFault(Fault):
    """A capability pointer that leads nowhere. `receiving`: in the receive phase of a system call."""

    __slots__ = ("cptr", "failure", "receiving")

    def __init__(self, cptr: int, receiving: bool, failure: LookupFailure) -> None:
        super().__init__("CapFault")
        self.cptr: Final = cptr
        self.receiving: Final = receiving
        self.failure: Final = failure

    def words(self, state: KernelState, thread: Tcb) -> list[int]:
        restart = thread.context.words[RESTART_PC]
        return [restart, self.cptr, int(self.receiving), *self.failure.words()]

    def describe(self) -> str:
        phase = "receive" if self.receiving else "send"
        return f"cap fault in {phase} phase at capability pointer {self.cptr:#x}: {self.failure.sentence()}"


@final
class VmFault(Fault):
    """An access that the address space does not allow. `status` is the DFSR or IFSR."""

    __slots__ = ("address", "instruction", "status")

    def __init__(self, address: int, status: int, instruction: bool) -> None:
        super().__init__("VMFault")
        self.address: Final = address
        self.status: Final = status & _STATUS_MASK
        self.instruction: Final = instruction

    def words(self, state: KernelState, thread: Tcb) -> list[int]:
        restart = thread.context.words[RESTART_PC]
        return [restart, self.address, int(self.instruction), self.status]

    def describe(self) -> str:
        kind = "code" if self.instruction else "data"
        return f"VM fault on {kind} at address {self.address:#010x} with status {self.status:#x}"


@final
class UnknownSyscall(Fault):
    """A system call number that the kernel does not have."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__("UnknownSyscall")
        self.number: Final = number

    def words(self, state: KernelState, thread: Tcb) -> list[int]:
        return [*(read_register(state, thread, slot) for slot in _SYSCALL_REGISTERS), self.number]

    def describe(self) -> str:
        return f"unknown system call {self.number - (self.number >> 31 << 32)}"


@final
class UserException(Fault):
    """An undefined instruction; number and code are 0 on this architecture."""

    __slots__ = ("code", "number")

    def __init__(self, number: int = 0, code: int = 0) -> None:
        super().__init__("UserException")
        self.number: Final = number
        self.code: Final = code

    def words(self, state: KernelState, thread: Tcb) -> list[int]:
        registers = [read_register(state, thread, slot) for slot in _EXCEPTION_REGISTERS]
        return [*registers, self.number, self.code]

    def describe(self) -> str:
        return f"user exception {self.number} code {self.code}"


def reply_registers(fault: Fault) -> tuple[int, ...]:
    """The context slots that the words of a fault reply go to, in order."""
    if isinstance(fault, UnknownSyscall):
        return _SYSCALL_REGISTERS
    if isinstance(fault, UserException):
        return _EXCEPTION_REGISTERS
    return ()
