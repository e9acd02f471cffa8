"""What a kernel's own ELF file says about the system it was built for: its place, and parts of its configuration.

A packed boot image carries its kernel. That kernel is never run here, but where it lies decides the first untypeds
of the root task, and its build decides the size of the initial CNode. What cannot be told reliably is None.

Three things are read: texts of messages, code that is known by what it does, and the sizes of global variables,
which keep their names in every build.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from retrap.kernel import abi
from retrap.kernel.abi.release import BootInfoLayout
from retrap.loader import kernel_release
from retrap.loader.errors import InputError
from retrap.loader.image import Image
from retrap.loader.platform import ADDRESS_SPACE, PAGE

_WINDOW: Final = 20
"""Instructions around a store that are taken to be the same stretch of code."""

# Encodings of the ARM ARM (A8.8): STR (immediate, offset), STRB, STRD (immediate), MOV (immediate), VSTM of d0-d15.
_STORES: Final = ((0x0FF0_0000, 0x0580_0000), (0x0FF0_0000, 0x05C0_0000))
_STORE_DOUBLE: Final = (0x0FF0_00F0, 0x01C0_00F0)
_MOVE: Final = (0xFFFF_0F00, 0xE3A0_0000)
_STORE_ALL_D: Final = (0xFE10_0FFF, 0xEC00_0B20)
_MOVE_ROTATED: Final = (0xFFFF_0000, 0xE3A0_0000)
_MOVE_WIDE: Final = (0xFFF0_0000, 0xE300_0000)
_SET_CNTKCTL: Final = (0xFFFF_0FFF, 0xEE0E_0F11)  # MCR p15, 0, Rt, c14, c1, 0
_SET_C9: Final = b"\x09\xee"  # high halfword of MCR p15, 0, Rt, c9, …
_PMUSERENR: Final = 0x1E  # low byte: c14, 0
_PMCR: Final = 0x1C  # c12, 0
EXPORTS: Final = {
    "export_pcnt_user": 1 << 0,
    "export_vcnt_user": 1 << 1,
    "export_vtmr_user": 1 << 8,
    "export_ptmr_user": 1 << 9,
}
"""Build options that decide what of the generic timer user code may use, and their bits of CNTKCTL (B4.1.26)."""
_MCS_VARIABLES: Final = frozenset(("ksCurSC", "ksReprogram", "ksConsumed"))
_SMP_VARIABLES: Final = frozenset(("ksSMP", "clh_lock", "big_kernel_lock"))
_HYPERVISOR_VARIABLES: Final = frozenset(("armHSGlobalPGD", "armHSCurVCPU", "armUSGlobalPT"))
_BENCHMARK_VARIABLES: Final = (
    ("track_utilisation", frozenset(("benchmark_log_utilisation_enabled",))),
    ("tracepoints", frozenset(("ksEntries", "ksStarted"))),
    ("track_kernel_entries", frozenset(("ksLogIndex", "ksLog"))),
)
"""What kernels that measure themselves have, by the option `benchmarks`; the first that fits."""
_UTILISATION_TEXT: Final = b"SysBenchmarkFinalizeLog: cap is not a TCB"
"""What kernels that track utilisation, and print, say: all that tells them if their variables have no names."""
_MAX_DOMAINS: Final = 256
_MAX_PRIORITIES: Final = 256


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel's place (bytes, whole pages) and what could be told of its build."""

    image: Image
    base: int  # physical
    virtual_base: int
    size: int
    boot_size: int | None  # the part that is given back after boot
    releases: tuple[str, ...]  # that have such a kernel, oldest first; empty: it is none of them
    printing: bool
    debug: bool
    fpu: bool
    mcs: bool | None
    smp: bool
    hypervisor: bool
    benchmarks: str  # as the build option
    root_cnode_bits: int | None
    initial_slots: int | None  # seL4_NumInitialCaps
    num_domains: int | None
    num_priorities: int | None
    max_irq: int | None
    exports: Mapping[str, bool] | None  # what of the generic timer user code may use, by build option
    export_pmu_user: bool
    start_cycle_counter: bool


def _benchmarks(variables: Collection[str], code: bytes, started: bool) -> str:
    """What the kernel measures. `started`: it uses the cycle counter."""
    if _UTILISATION_TEXT in code:
        return "track_utilisation"
    for kind, known in _BENCHMARK_VARIABLES:
        if not known.isdisjoint(variables):
            return kind
    return "generic" if started else "none"


def read_kernel(image: Image, release: str | None = None) -> KernelImage:
    """Reads a verified kernel ELF. Raises `InputError` if it cannot be a kernel.

    `release` is the one that is expected, if any: the code that fills in its boot information tells the size of
    the initial CNode. Without, it is the newest that the kernel can be.
    """
    base = min(segment.physical for segment in image.segments)
    virtual = min(segment.virtual for segment in image.segments)
    end = max(segment.physical + segment.memory_size for segment in image.segments)
    if any((s.virtual - s.physical) % ADDRESS_SPACE != (virtual - base) % ADDRESS_SPACE for s in image.segments):
        raise InputError(
            image.path, "", "is not a kernel: its segments are not at one distance from physical memory"
        )
    code = b"".join(segment.data for segment in image.segments)
    variables = image.variables
    printing = b"Bootstrapping kernel" in code
    fpu = _matches(code, *_STORE_ALL_D)
    mcs = _mcs(variables, code, printing)
    boot = next((section for section in image.sections if section.name == ".boot"), None)
    boot_code = code if boot is None else code[boot.address - virtual :][: boot.size]
    newest = abi.release()
    # Every release that has as many fixed slots as can be told apart by has this layout.
    _, slots = _bootinfo_constants(boot_code, newest.bootinfo)
    releases = () if mcs else kernel_release.candidates(variables, code, printing, fpu, slots)
    expected = release or (releases[-1] if releases else newest.name)
    root_cnode_bits, initial_slots = _bootinfo_constants(boot_code, abi.release(expected).bootinfo)
    domains, priorities = _scheduling(variables)
    # Only a kernel with benchmarks uses the performance monitors itself, and only one that exports them (below)
    # writes PMUSERENR.
    started = _sets(code, _PMCR)
    return KernelImage(
        image=image,
        base=base,
        virtual_base=virtual,
        size=-(-(end - base) // PAGE) * PAGE,
        boot_size=None if boot is None else boot.address + boot.size - virtual,
        releases=releases,
        printing=printing,
        debug=b"failed assertion '" in code,
        fpu=fpu,
        mcs=mcs,
        smp=not _SMP_VARIABLES.isdisjoint(variables),
        hypervisor=not _HYPERVISOR_VARIABLES.isdisjoint(variables),
        benchmarks=_benchmarks(variables, code, started),
        root_cnode_bits=root_cnode_bits,
        initial_slots=initial_slots,
        num_domains=domains,
        num_priorities=priorities,
        max_irq=_max_irq(variables),
        exports=_exports(code),
        export_pmu_user=_sets(code, _PMUSERENR),
        start_cycle_counter=started,
    )


def _mcs(variables: Mapping[str, int], code: bytes, printing: bool) -> bool | None:
    """By the variables of its scheduling contexts; without a symbol table only a printing kernel's texts tell."""
    if variables:
        return not _MCS_VARIABLES.isdisjoint(variables)
    return b"SchedContext" in code if printing else None


def _scheduling(variables: Mapping[str, int]) -> tuple[int | None, int | None]:
    """CONFIG_NUM_DOMAINS and CONFIG_NUM_PRIORITIES: a ready queue (two words) for each of both, and a word of the
    first-level bitmap for each domain (src/model/statedata.c)."""
    queues, bitmap = variables.get("ksReadyQueues", 0), variables.get("ksReadyQueuesL1Bitmap", 0)
    domains = bitmap // 4
    if not 1 <= domains <= _MAX_DOMAINS or bitmap % 4 or queues % (8 * domains):
        return None, None
    priorities = queues // (8 * domains)
    return (domains, priorities) if 1 <= priorities <= _MAX_PRIORITIES else (None, None)


def _max_irq(variables: Mapping[str, int]) -> int | None:
    """The last interrupt: the kernel keeps a word of state for each."""
    size = variables.get("intStateIRQTable", 0)
    return size // 4 - 1 if size % 4 == 0 and 32 < size // 4 <= 1020 else None


def _exports(code: bytes) -> Mapping[str, bool] | None:
    """The constant that armv_init_user_access puts into CNTKCTL (src/arch/arm/armv/armv7-a/user_access.c)."""
    words = _words(code)
    found = set()
    for before, word in pairwise(words):
        if word & _SET_CNTKCTL[0] == _SET_CNTKCTL[1] and before >> 12 & 15 == word >> 12 & 15:
            if before & _MOVE_WIDE[0] == _MOVE_WIDE[1]:
                found.add(before >> 4 & 0xF000 | before & 0xFFF)
            elif before & _MOVE_ROTATED[0] == _MOVE_ROTATED[1]:
                turn = 2 * (before >> 8 & 15)
                found.add(((before & 0xFF) << 32 | before & 0xFF) >> turn & 0xFFFF_FFFF)
    if len(found) != 1:
        return None
    value = found.pop()
    return {option: bool(value & bit) for option, bit in EXPORTS.items()}


def _sets(code: bytes, register: int) -> bool:
    """Whether a register of the performance monitors is written."""
    at = code.find(_SET_C9)
    while at >= 0:
        if at % 4 == 2 and code[at - 2] == register and code[at - 1] & 15 == 15:
            return True
        at = code.find(_SET_C9, at + 1)
    return False


def _words(code: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(code) // 4}I", code[: len(code) // 4 * 4])


def _matches(code: bytes, mask: int, value: int) -> bool:
    return any(word & mask == value for word in _words(code))


def _bootinfo_constants(code: bytes, layout: BootInfoLayout) -> tuple[int | None, int | None]:
    """CONFIG_ROOT_CNODE_SIZE_BITS and seL4_NumInitialCaps, as the kernel's populate_bi_frame stores them.

    That code is found by what it does: within a few instructions it stores to several fields of the boot
    information through one register, among them constants into initThreadCNodeSizeBits. Only if all such places
    agree is the answer believed.
    """
    offsets = {field.name: field.offset for field in layout.fields}
    if "initThreadCNodeSizeBits" not in offsets:
        return None, None
    size_at = offsets["initThreadCNodeSizeBits"]
    needed = {offsets[name] for name in ("numIOPTLevels", "ipcBuffer", "initThreadDomain")}
    words = _words(code)
    found: set[tuple[int, int | None]] = set()
    for index, word in enumerate(words):
        # Cheap first: hardly any word has the offset in its low bits.
        store = _store(word) if word & 0xFFF == size_at else None
        if store is None:
            continue
        source, base, _, _ = store
        around = range(max(0, index - _WINDOW), min(len(words), index + _WINDOW))
        stores = [s for s in (_store(words[i]) for i in around) if s is not None and s[1] == base]
        stored = {offset for s in stores for offset in (s[2], s[2] + 4 if s[3] else s[2])}
        bits = _moved(words, index, source)
        if needed <= stored and bits is not None and 8 <= bits <= 27:
            found.add((bits, _slots(words, index, layout)))
    if len({bits for bits, _ in found}) != 1:
        return None, None
    slots = {slots for _, slots in found}
    return next(iter(found))[0], next(iter(slots)) if len(slots) == 1 else None


def _store(word: int) -> tuple[int, int, int, bool] | None:
    """(source, base, offset, of two words) of a store to `[base, #offset]`."""
    for mask, value in _STORES:
        if word & mask == value:
            return word >> 12 & 15, word >> 16 & 15, word & 0xFFF, False
    mask, value = _STORE_DOUBLE
    if word & mask == value:
        return word >> 12 & 15, word >> 16 & 15, (word >> 4 & 0xF0) | word & 15, True
    return None


def _moved(words: tuple[int, ...], before: int, register: int) -> int | None:
    """The constant that a MOV shortly before put into a register."""
    mask, value = _MOVE
    for index in range(before - 1, max(-1, before - _WINDOW), -1):
        word = words[index]
        if word & mask == value and word >> 12 & 15 == register:
            return word & 0xFF
    return None


def _slots(words: tuple[int, ...], index: int, layout: BootInfoLayout) -> int | None:
    """The other small constant stored there: the first free slot, kept in a variable of the kernel's."""
    known = {field.offset for field in layout.fields}
    for at in range(index + 1, min(len(words), index + _WINDOW)):
        store = _store(words[at])
        if store is not None and store[2] not in known:
            constant = _moved(words, at, store[0])
            if constant is not None and 11 <= constant <= 31:
                return constant
    return None
