"""Records as text and JSON, filters, counts, exports."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trace_samples as samples
from hypothesis import given, settings
from retrap.kernel.abi import release, releases
from retrap.kernel.effects import Outcome
from retrap.machine.context import Slot
from retrap.machine.traps import Trap, TrapKind
from retrap.traces.calls import Decoder, Names
from retrap.traces.counts import Counter, counts_text
from retrap.traces.export import jsonl
from retrap.traces.filters import Filter, FilterError
from retrap.traces.record import Record
from retrap.traces.show import OUTCOME_NAMES, Formatter, format_record

CNODE = ("CNode", 0x4010_0000, 0)
UNTYPED = ("Untyped", 0x6100_0000, 0)
ENDPOINT = ("Endpoint", 0x4020_0000, 0x7)
NAMES = {0: (0, 0x4000_0000, "init"), 1: (1, 0x4000_1000, "server"), 2: (2, 0x4000_2000, "")}
SERVER = ("TCB", 0x4000_1000, 0)
LABELS = samples.LABELS
REPLY = [(0, 0, 0), (0, 1, 0)]


def line(record: Record) -> str:
    """The record's text without time and thread."""
    text = format_record(record, samples.RELEASE, Names(NAMES))
    return text[text.index("]") + 1 :].split(maxsplit=1)[1]


def invoke(label: str, words: tuple[int, ...] = (), **fields: Any) -> Record:
    fields.setdefault("registers", REPLY)
    return samples.made("Call", LABELS[label], words, 9, **fields)


def test_a_line_says_when_and_who() -> None:
    record = invoke("TCBResume", target=("TCB", 0x4000_1000, 0), time=1234)
    assert format_record(record, samples.RELEASE, Names(NAMES)) == (
        "[      1234] init         seL4_TCB_Resume(tcb(server)) = 0"
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            invoke("UntypedRetype", samples.RETYPE_WORDS, caps=(2,), extra_caps=[CNODE], target=UNTYPED),
            "seL4_Untyped_Retype(untyped@0x61000000, type=TCB, size_bits=0, root=cnode@0x40100000, node_index=0, "
            "node_depth=0, node_offset=42, num_objects=1) = 0",
        ),
        (
            invoke("UntypedRetype", (99, 31), caps=(2,), extra_caps=[None], target=("Untyped", 0x61000000, 0),
                   outcome=Outcome.ERROR, error=4, error_words=[0, 29], reason="size_bits is too large"),
            "seL4_Untyped_Retype(untyped@0x61000000, type=99, size_bits=31, root=0x2) = "
            "seL4_RangeError(min=0, max=29): size_bits is too large",
        ),
        (
            invoke("CNodeCopy", (5, 32, 7, 32, 3), caps=(2,), extra_caps=[CNODE], target=CNODE),
            "seL4_CNode_Copy(cnode@0x40100000, dest_index=5, dest_depth=32, src_root=cnode@0x40100000, "
            "src_index=7, src_depth=32, rights=Read|Write) = 0",
        ),
        (
            invoke("TCBWriteRegisters", (1, 2, 0x10400, 0x20000), target=("TCB", 0x4000_2000, 0)),
            "seL4_TCB_WriteRegisters(tcb(thread 2), resume_target=1, arch_flags=0, count=2, "
            "regs={pc=0x10400, sp=0x20000}) = 0",
        ),
        (
            invoke("TCBCopyRegisters", (0x20D,), caps=(4,), extra_caps=[SERVER], target=("TCB", 1, 0)),
            "seL4_TCB_CopyRegisters(tcb@0x1, source=tcb(server), suspend_source=1, resume_target=0, "
            "transfer_frame=1, transfer_integer=1, arch_flags=2) = 0",
        ),
        (
            invoke("ARMPageMap", (0x10000, 15, 7), caps=(3,), extra_caps=[("PageDirectory", 0x4030_0000, 0)],
                   target=("Frame", 0x6000_0000, 0)),
            "seL4_ARM_Page_Map(frame@0x60000000, vspace=pagedirectory@0x40300000, vaddr=0x10000, rights=AllRights, "
            "attr=Cacheable|Parity|ExecuteNever) = 0",
        ),
        (
            invoke("ARMPageGetAddress", target=("Frame", 0x6000_0000, 0),
                   registers=[(0, 0, 0), (0, 1, 1), (0, 2, 0x6000_0000)]),
            "seL4_ARM_Page_GetAddress(frame@0x60000000) = 0 (paddr=0x60000000)",
        ),
        (
            invoke("DomainScheduleConfigure", (1, 0, 5, 1), target=("Domain", 0, 0)),
            "seL4_DomainSet_ScheduleConfigure(domain, index=1, domain=0, duration=0x100000005) = 0",
        ),
        (invoke("IRQAckIRQ", target=("IRQHandler", 35, 0)), "seL4_IRQHandler_Ack(irqhandler 35) = 0"),
        (
            samples.made("Send", LABELS["TCBSuspend"], (), 9, target=("TCB", 0x4000_1000, 0)),
            "seL4_Send: seL4_TCB_Suspend(tcb(server))",
        ),
        (
            samples.made("Call", 0xABCDE, (1,), 9, target=UNTYPED, outcome=Outcome.ERROR, error=3),
            "seL4_Call(dest=untyped@0x61000000, label=0xabcde, words=[1]) = seL4_IllegalOperation",
        ),
        (
            samples.made("NBSend", 0, (), 9, target=("Notification", 0x40, 5)),
            "seL4_NBSend(dest=notification@0x40 badge 0x5)",
        ),
        (
            samples.made("Recv", 0, (), 9, target=("Notification", 0x40, 0), registers=[(0, 0, 0x30)]),
            "seL4_Recv(src=notification@0x40) = badge=0x30",
        ),
        (
            samples.made("Send", 1, (1, 2), 9, caps=(8,), extra_caps=[ENDPOINT], target=ENDPOINT,
                         outcome=Outcome.BLOCKED, next_thread=1),
            "seL4_Send(dest=endpoint@0x40200000 badge 0x7, label=1, words=[1, 2], "
            "cap0=endpoint@0x40200000 badge 0x7) <blocked>  -> server",
        ),
        (
            samples.made("Call", 0, (), 0x77, outcome=Outcome.DEAD, fault="CapFault", next_thread=-1,
                         fault_words=[0x10400, 0x77, 0, 2, 20], reason="nobody handles it"),
            "seL4_Call(dest=0x77, label=0, words=[]) = CapFault(ip=0x10400, cptr=0x77, in_receive=0, "
            "lookup=MissingCapability, bits_left=20), dead: nobody handles it  -> idle",
        ),
        (
            samples.made("DebugCapIdentify", cptr=1, registers=[(0, 0, 12)]),
            "seL4_DebugCapIdentify(cap=0x1) = 12",
        ),
        (
            samples.made("DebugNameThread", cptr=4, target=("TCB", 0x4000_1000, 0),
                         reads=[(0, 1, [0x6B726F77, 0x0A7265])]),
            'seL4_DebugNameThread(tcb=tcb(server), name="worker\\n")',
        ),
        (samples.made("DebugHalt", outcome=Outcome.HALTED), "seL4_DebugHalt() = halted"),
        (samples.made("Yield", outcome=Outcome.PREEMPTED), "seL4_Yield() <preempted, will restart>"),
        (samples.made(trap=samples.INTERRUPT), "--- interrupt ---"),
        (
            samples.made(trap=Trap(TrapKind.PREFETCH_ABORT, 0x40, 0xD), pc=0x40, outcome=Outcome.FAULT,
                         fault="VMFault", fault_words=[0x40, 0x40, 1, 0xD]),
            "--- prefetch abort {pc=0x40, address=0x40, status=0xd (permission, section)} --- = "
            "VMFault(ip=0x40, address=0x40, prefetch=1, fsr=0xd) to its handler",
        ),
    ],
)  # fmt: skip
def test_lines(record: Record, text: str) -> None:
    assert line(record) == text


def test_an_unknown_system_call_shows_its_number() -> None:
    record = samples.made(outcome=Outcome.FAULT, fault="UnknownSyscall", fault_words=list(range(13)))
    context = bytearray(record.context)
    context[28:32] = (77).to_bytes(4, "little")
    record.context = bytes(context)
    assert line(record).startswith("--- unknown syscall {number=77} --- = UnknownSyscall(r0=0, r1=1,")


def test_a_completed_wait_is_shown_when_it_ends() -> None:
    formatter = Formatter(samples.RELEASE, Names(NAMES))
    lines = [text for context, effects in samples.sample_entries()[2:4] for text in formatter.lines(
        samples.record_of(0, effects, context.words[:32].tobytes()))]  # fmt: skip
    assert lines[0].endswith("init         seL4_Recv(src=endpoint@0x40200000 badge 0x7) <blocked>  -> server")
    assert lines[2].endswith(
        "init         <... seL4_Recv resumed> = badge=0x7, label=3, words=[10, 20, 30, 40, 50]"
    )


def test_names_follow_the_records() -> None:
    record = invoke("TCBResume", target=("TCB", 0x4000_1000, 0))
    record.threads = [(1, 0x4000_1000, "renamed")]
    assert line(record) == "seL4_TCB_Resume(tcb(renamed)) = 0"


def test_every_invocation_of_every_release_can_be_shown() -> None:
    for name in releases():
        table = release(name)
        decoder = Decoder(table)
        for number, invocation in enumerate(table.invocations):
            if not invocation.method:
                continue
            record = samples.made("Call", number, tuple(range(1, 60)), 9, caps=(1, 2, 3), extra_caps=[CNODE] * 3,
                                  target=("TCB", 1, 0))  # fmt: skip
            call = decoder.call(record)
            assert (call.name, call.canonical) == (invocation.method, invocation.label)
            expected = [p.name for p in invocation.parameters if not p.out]
            assert [argument.name for argument in call.arguments] == expected
            assert invocation.method in format_record(record, table)


@given(samples.records())
@settings(max_examples=60, deadline=None)
def test_any_record_can_be_shown(record: Record) -> None:
    formatter = Formatter(samples.RELEASE)
    assert all("\n" not in text for text in formatter.lines(record))
    json.dumps(formatter.as_json(record))
    assert Filter(samples.RELEASE, ["!thread=nobody"]).wants(record, formatter.decoder, formatter.names)


def select(*expressions: str, failed: bool = False) -> list[int]:
    reader = samples.read(samples.record_entries(samples.sample_entries()))
    chosen = Filter(samples.RELEASE, expressions, failed=failed)
    decoder = Decoder(samples.RELEASE)
    return [r.number for r in reader if chosen.wants(r, decoder, Names(NAMES))]


@pytest.mark.parametrize(
    ("expressions", "numbers"),
    [
        ((), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (("seL4_Untyped_Retype",), [0, 1]),
        (("trace=untyped",), [0, 1]),
        (("UNTYPEDRETYPE,DebugHalt",), [0, 1, 9]),
        (("sel4_debug*",), [4, 9]),
        (("ipc",), [2, 3]),
        (("fault",), [6, 8]),
        (("VMFault",), [6]),
        (("!debug",), [0, 1, 2, 3, 5, 6, 7, 8]),
        (("trace=!debug,interrupt",), [0, 1, 2, 3, 6, 8]),
        (("error=RangeError",), [1]),
        (("error=any",), [1]),
        (("outcome=blocked,halted",), [2, 3, 9]),
        (("thread=server",), [3, 6]),
        (("thread=1", "fault"), [6]),
        (("thread=!init",), [3, 6, 7]),
        (("!thread=init",), [3, 6, 7]),
        (("!thread=!server",), [3, 6]),
        (("Call", "outcome=!error"), [0, 3]),
    ],
)
def test_filters(expressions: tuple[str, ...], numbers: list[int]) -> None:
    assert select(*expressions) == numbers


def test_failed_shows_refusals_and_faults() -> None:
    assert select(failed=True) == [1, 6, 8]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("trace=", "nothing to match"),
        ("!", "nothing to match"),
        ("colour=red", "'colour' is none of trace, error, outcome, thread"),
        ("seL4_SchedContext_Bind", "16.0.0 has nothing called"),
        ("error=Range", "has nothing called 'range'"),
        ("outcome=well", "has nothing called 'well'"),
    ],
)
def test_bad_filters_are_refused(expression: str, reason: str) -> None:
    with pytest.raises(FilterError, match=reason):
        Filter(samples.RELEASE, [expression])


def test_counts() -> None:
    counter = Counter(Decoder(samples.RELEASE))
    for record in samples.read(samples.record_entries(samples.sample_entries())):
        counter.see(record, wanted=record.number != 6)
    rows = {row.name: row for row in counter.rows()}
    retype = rows["seL4_Untyped_Retype"]
    assert (retype.calls, retype.errors, retype.instructions) == (2, 1, 1100)
    # What idles retires nothing.
    assert (rows["interrupt"].calls, rows["interrupt"].instructions) == (2, 998_690)
    assert (rows["seL4_Call"].blocked, rows["undefined"].errors) == (1, 1)
    assert "data abort" not in rows
    text = counts_text(counter.rows())
    assert text[2].split() == ["99.87", "998690", "499345", "2", "interrupt"]
    assert text[-1].split() == ["100.00", "1000002", "111111", "9", "2", "2", "total"]
    assert counts_text([])[-1].split() == ["0.00", "0", "0", "0", "total"]


def test_jsonl() -> None:
    reader = samples.read(samples.record_entries(samples.sample_entries(), inputs=(("disk", b"x"),)))
    lines = [json.loads(text) for text in jsonl(reader, samples.RELEASE)]
    assert [entry["type"] for entry in lines] == ["header", *["record"] * 10, "end"]
    assert lines[0]["release"] == "16.0.0"
    assert lines[1]["arguments"]["node_offset"] == 42
    assert lines[2]["error"] == "seL4_RangeError"
    assert lines[4]["raw"]["buffer_writes"] == [{"thread": 0, "index": 5, "words": [50]}]
    assert lines[-1]["records"] == 10


def test_outcomes_have_names() -> None:
    numbers = {name: value for name, value in vars(Outcome).items() if name.isupper()}
    assert [name.lower() for name, _ in sorted(numbers.items(), key=lambda item: item[1])] == list(OUTCOME_NAMES)


def test_slots_have_names() -> None:
    from retrap.traces.calls import register_name

    assert [register_name(slot) for slot in (-1, 0, 12, Slot.SP, Slot.LR, Slot.PC, Slot.FPEXC_EN, 40)] == [
        "cpsr", "r0", "r12", "sp", "lr", "pc", "fpexc_en", "slot40",
    ]  # fmt: skip
