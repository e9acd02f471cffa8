"""Which release a kernel's ELF file is, told by names and texts that came and went between releases.

A kernel image does not say its version. But its global variables keep their names whatever the compiler does, and
a kernel that prints has the texts of its messages. Each mark below is in every kernel of its releases (AArch32,
without MCS) and in no other; both its presence and its absence are evidence. What is left may be one release or a
few neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from retrap.kernel import abi


@dataclass(frozen=True, slots=True)
class Mark:
    """A global variable's name or a text, with the first and the last release that have it ("": no limit).

    `fpu`: only kernels for a processor with a floating-point unit have it.
    """

    name: str
    first: str = ""
    last: str = ""
    fpu: bool = False


VARIABLES: Final = (
    # src/model/statedata.c, src/arch/arm/**/statedata.c, src/arch/arm/**/fpu.c, src/api/faults.c of the tags
    Mark("ksReadyQueuesL1Bitmap", first="2.0.0"),
    Mark("syscallMessage", last="3.2.0"),
    Mark("fault_messages", first="4.0.0"),
    Mark("isFPUD32SupportedCached", first="6.0.0", fpu=True),
    Mark("rootserver", first="11.0.0"),
    Mark("irqInvalid", first="12.0.0", last="13.0.0"),  # of an interrupt controller of ARM's (GIC)
    Mark("isFPUEnabledCached", first="6.0.0", last="13.0.0", fpu=True),
    Mark("ksCurFPUOwner", first="14.0.0", fpu=True),
    Mark("ksDomScheduleLength", last="14.0.0"),
    Mark("ksDomScheduleStart", first="15.0.0"),
)
TEXTS: Final = (
    # of user errors, in src/object and src/arch/arm/**/object, and of the boot code
    Mark("is not an async endpoint capablity.", first="1.0.3", last="1.0.3"),
    Mark("is not an async endpoint capability.", first="1.0.4", last="1.0.4"),
    Mark("TCB BindNotification: Truncated message.", first="2.0.0"),
    Mark("TCB SetMCPriority: Truncated message.", first="4.0.0"),
    Mark("Booting all finished, dropped to user space", first="5.0.0"),
    Mark("TCB SetSchedParams: Truncated message.", first="9.0.0"),
    Mark("TCB SetTLSBase: Truncated message.", first="10.1.0"),
    Mark("ARMPageMap: Attempting to map frame into multiple addresses", first="11.0.0"),
    Mark("Cannot map frame over kernel window. vaddr: 0x%08lx, USER_TOP", first="12.0.0"),
    Mark("Insufficient MAX_NUM_FREEMEM_REG\n", first="12.1.0", last="12.1.0"),
    Mark("ERROR: CPU init failed", first="13.0.0"),
    Mark("TCB SetFlags: Truncated message.", first="14.0.0"),
    Mark("Domain Schedule Configure: Truncated message.", first="15.0.0"),
    Mark("Page Flush: Attempting to use cap with stale mapping information.", first="16.0.0"),
)


def candidates(
    variables: Mapping[str, int], code: bytes, printing: bool, fpu: bool, initial_slots: int | None
) -> tuple[str, ...]:
    """The releases that have such a kernel, oldest first; all of them if there is no evidence at all.

    `variables`: the names in the symbol table (empty: stripped). `code`: what the kernel has in memory.
    Evidence that no known release shows together is that of a kernel in between, or of a younger one: then the
    youngest mark that is there decides. None: no known release has so many fixed slots.
    """
    known = _known()
    evidence = [(mark, mark.name in variables) for mark in VARIABLES if variables and (fpu or not mark.fpu)]
    if printing:
        evidence += [(mark, mark.name.encode() in code) for mark in TEXTS]
    if initial_slots is not None:
        known = [name for name in known if len(abi.release(name).boot_slots) == initial_slots]
    since = [mark.first for mark, seen in evidence if seen and mark.first]
    if not any(seen for _, seen in evidence):
        return tuple(known)  # what is absent alone says nothing
    fitting = [name for name in known if all(_in(mark, name) == seen for mark, seen in evidence)]
    if fitting or not since:
        return tuple(fitting)
    youngest = _order(max(since, key=_order))
    return tuple(name for name in known if _order(name) >= youngest)[:1]


def _known() -> list[str]:
    return [name for name in abi.bootable() if "." in name and not abi.release(name).mcs]


def _in(mark: Mark, name: str) -> bool:
    order = _order(name)
    return (not mark.first or _order(mark.first) <= order) and (not mark.last or order <= _order(mark.last))


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.partition("-")[0].split("."))


def in_words(names: Sequence[str]) -> str:
    """Releases for people: one, or the range."""
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
