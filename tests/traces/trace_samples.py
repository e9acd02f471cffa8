"""Hand-made and generated kernel entries, and ways to put them into traces: shared by the tests of this folder."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass

from hypothesis import strategies as st
from retrap.kernel.abi import release
from retrap.kernel.effects import Effects, Outcome
from retrap.machine.context import Context, ContextArena, Slot
from retrap.machine.traps import INTERRUPT, SVC, Trap, TrapKind
from retrap.traces.reader import Reader
from retrap.traces.record import NO_CONTEXT, Record, effects_of, record_of
from retrap.traces.schema import Header
from retrap.traces.writer import Recorder

RELEASE = release("16.0.0")
IMAGE = b"\x7fELF" + bytes(range(256)) * 8
CALLS = RELEASE.syscall_numbers()
LABELS = RELEASE.label_numbers()
ARENA = ContextArena()


@dataclass
class FakeThread:
    number: int
    address: int
    name: str


def header(interval: int = 4096, inputs: tuple[tuple[str, bytes], ...] = ()) -> Header:
    return Header(
        release="16.0.0",
        platform="qemu-arm-virt",
        clock_hz=1_000_000_000,
        digest_interval=interval,
        plan_digest=bytes(range(32)),
        image_name="hello.elf",
        image_sha256=hashlib.sha256(IMAGE).digest(),
        manifest='[image]\narguments = "rounds=3"\n',
        options=(("debug", "true"), ("root_cnode_bits", "12")),
        settings=(("max_instructions", "1000"),),
        inputs=tuple((name, hashlib.sha256(data).digest()) for name, data in inputs),
    )


def context_with(registers: dict[int, int]) -> Context:
    context = ARENA.allocate()
    for slot, value in registers.items():
        context.words[slot] = value & 0xFFFF_FFFF
    return context


def entry(
    call: str = "Call",
    label: int = 0,
    words: tuple[int, ...] = (),
    cptr: int = 0,
    *,
    thread: int = 0,
    time: int = 100,
    pc: int = 0x1_0400,
    caps: tuple[int, ...] = (),
    trap: Trap = SVC,
    **fields: object,
) -> tuple[Context, Effects]:
    """A kernel entry as an engine would report it: a system call with its message, or another trap."""
    registers = {0: cptr, 1: label << 12 | len(caps) << 7 | len(words), 7: CALLS[call], Slot.PC: pc}
    registers.update({2 + i: word for i, word in enumerate(words[:4])})
    effects = Effects()
    effects.begin(time, thread, trap)
    effects.next_thread = thread
    if trap is SVC:
        effects.syscall = CALLS[call]
    if words[4:]:
        effects.reads.append((thread, 5, list(words[4:])))
    if caps:
        effects.reads.append((thread, 122, list(caps)))
    for name, value in fields.items():
        setattr(effects, name, value)
    return context_with(registers), effects


def made(*entry_arguments: object, **fields: object) -> Record:
    """The record of `entry(…)`."""
    context, effects = entry(*entry_arguments, **fields)  # type: ignore[arg-type]
    return record_of(0, effects, context.words[:32].tobytes())


RETYPE_WORDS = (1, 0, 0, 0, 42, 1)


def sample_entries() -> list[tuple[Context, Effects]]:
    """A short run with everything a record can hold."""
    untyped = ("Untyped", 0x6100_0000, 0)
    root = ("CNode", 0x4010_0000, 0)
    endpoint = ("Endpoint", 0x4020_0000, 7)
    reply = [(0, 0, 0), (0, 1, 0), (0, Slot.PC, 0x1_0404)]
    return [
        entry(
            "Call", LABELS["UntypedRetype"], RETYPE_WORDS, 31, time=1000, caps=(2,),
            target=untyped, extra_caps=[root], registers=reply,
        ),
        entry(
            "Call", LABELS["UntypedRetype"], (1, 31, 0, 0, 42, 1), 31, time=1100, caps=(2,),
            target=untyped, extra_caps=[root], outcome=Outcome.ERROR, error=4, error_words=[0, 29],
            reason="size_bits 31 is not below 30", registers=[(0, 1, 4 << 12 | 2), (0, 2, 0), (0, 3, 29)],
        ),
        entry("Recv", 0, (), 50, time=1200, target=endpoint, outcome=Outcome.BLOCKED, next_thread=1),
        entry(
            "Call", 3, (10, 20, 30, 40, 50), 51, thread=1, time=1300, target=endpoint, badge=7,
            outcome=Outcome.BLOCKED, next_thread=0, buffer_writes=[(0, 5, [50])],
            registers=[(0, 0, 7), (0, 1, 3 << 12 | 5), (0, 2, 10), (0, 3, 20), (0, 4, 30), (0, 5, 40)],
        ),
        entry("DebugPutChar", cptr=ord("H"), time=1310, console=bytearray(b"H")),
        entry(trap=INTERRUPT, time=1_000_000, next_thread=1),
        entry(
            trap=Trap(TrapKind.DATA_ABORT, 0xDEAD_0000, 0x805), time=1_000_100, thread=1, next_thread=0,
            outcome=Outcome.FAULT, fault="VMFault", fault_words=[0x1_0400, 0xDEAD_0000, 0, 0x805],
        ),
        entry(trap=INTERRUPT, time=2_000_000, thread=-1, next_thread=-1),
        entry(trap=Trap(TrapKind.UNDEFINED), time=2_000_001, outcome=Outcome.DEAD, fault="UserException",
              fault_words=[0x1_0400, 0, 0x150, 0, 0], reason="no fault handler", next_thread=-1),
        entry("DebugHalt", time=2_000_002, outcome=Outcome.HALTED),
    ]  # fmt: skip


def record_entries(
    entries: list[tuple[Context, Effects]],
    interval: int = 4096,
    inputs: tuple[tuple[str, bytes], ...] = (),
    threads: list[FakeThread] | None = None,
) -> bytes:
    """A complete trace of these entries, in memory."""
    stream = io.BytesIO()
    threads = threads if threads is not None else [FakeThread(0, 0x4000_0000, "init")]
    recorder = Recorder(
        stream, header(interval, inputs), IMAGE, threads, RELEASE, lambda: bytes(16), [data for _, data in inputs]
    )
    for context, effects in entries:
        effects.context = context.head.tobytes()
        recorder.after(effects)
    recorder.close(entries[-1][1].time if entries else 0, "halted", b"\x11" * 16)
    return stream.getvalue()


def write_records(records: list[Record], interval: int = 4096) -> bytes:
    """A complete trace of existing records."""
    stream = io.BytesIO()
    recorder = Recorder(stream, header(interval), IMAGE, [], RELEASE, lambda: bytes(16))
    for record in records:
        recorder.write(record)
    recorder.close(records[-1].time if records else 0, "halted", bytes(16))
    return stream.getvalue()


def read(data: bytes) -> Reader:
    return Reader(io.BytesIO(data))


words = st.integers(0, 0xFFFF_FFFF)
threads = st.integers(-1, 5)
word_lists = st.lists(words, max_size=70)
contexts = st.lists(words, min_size=32, max_size=32).map(lambda values: struct.pack("<32I", *values))
texts = st.text(max_size=12)
capabilities = st.tuples(st.sampled_from(["Untyped", "Endpoint", "TCB", "Frame"]), words, words)
buffer_words = st.lists(st.tuples(threads, st.integers(0, 127), word_lists), max_size=3)
thread_entries = st.lists(st.tuples(st.integers(0, 1000), words, texts), max_size=3)


@st.composite
def records(draw: st.DrawFn, number: int = 0, time: int = 0) -> Record:
    """Any record, sensible or not."""
    kind = draw(st.integers(0, len(TrapKind) - 1))
    thread = draw(threads)
    record = Record(
        number,
        time + draw(st.integers(0, 1 << 40)),
        thread,
        kind,
        draw(contexts) if thread >= 0 or not kind else NO_CONTEXT,
        draw(st.integers(0, 8)),
        draw(threads),
        draw(st.lists(st.tuples(threads, st.integers(-1, 31), words), max_size=70)),
        draw(st.none() | capabilities),
        tuple(draw(st.lists(st.none() | capabilities, max_size=3))),
        draw(words),
        draw(st.integers(0, 10)),
        draw(st.sampled_from(["", "VMFault", "CapFault"])),
        draw(texts),
    )
    if kind:
        record.address, record.status = draw(words), draw(words)
    record.reads = draw(buffer_words)
    record.buffer_writes = draw(buffer_words)
    record.error_words = draw(word_lists)
    record.fault_words = draw(word_lists)
    record.console = draw(st.binary(max_size=8))
    record.threads = draw(thread_entries)
    record.interrupts = draw(st.lists(st.integers(0, 255), max_size=2))
    record.arrived = draw(st.lists(st.tuples(st.integers(0, 1 << 62), st.binary(max_size=8)), max_size=2))
    record.warnings = draw(st.lists(texts, max_size=2))
    record.work = draw(st.integers(0, 1000)) if record.interrupts else 0
    record.digest = draw(st.sampled_from([b"", b"\x22" * 16]))
    return record


@st.composite
def record_lists(draw: st.DrawFn, max_size: int = 12) -> list[Record]:
    """Records in order, a few of which repeat an earlier one's shape."""
    made_records: list[Record] = []
    time = 0
    for number in range(draw(st.integers(0, max_size))):
        if made_records and draw(st.booleans()):
            earlier = draw(st.sampled_from(made_records))
            record = copy(earlier)
            record.number, record.time = number, time + draw(st.integers(0, 100))
        else:
            record = draw(records(number, time))
        time = record.time
        made_records.append(record)
    return made_records


def copy(record: Record) -> Record:
    made_copy = record_of(record.number, effects_of(record), record.context)
    made_copy.context = record.context
    made_copy.threads, made_copy.interrupts = list(record.threads), list(record.interrupts)
    made_copy.digest = record.digest
    return made_copy
