"""What the samples of behaviour changes come to on each release that they are built for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Run:
    """One build's outcome: the lines that it prints, and patterns of trace lines that follow one another."""

    prints: tuple[str, ...]
    trace: tuple[str, ...]
    outcome: str = "halted"


def _sizes(limit: int, *allowed: int) -> Run:
    """Row 16: which sizes of an endpoint are refused, and with which range."""
    results = {bits: "no error" if bits in allowed else f"range error mr0=0 mr1={limit:x}" for bits in (30, 31, 32)}
    return Run(
        tuple(f"endpoint, {bits}: {result}" for bits, result in results.items()),
        tuple(
            rf"Retype\(.*size_bits={bits},.* = (0|seL4_RangeError\(min=0, max={limit}\).*)$"
            for bits in (30, 31, 32)
        ),
    )


def _registers(count: int) -> Run:
    """Row 27: how many registers there are."""
    refusal = f"range error mr0=1 mr1={count:x}"
    return Run(
        tuple(f"{n} registers: {'no error' if n <= count else refusal}" for n in range(17, 21)),
        (
            rf"ReadRegisters\(.*count={count}\) = 0 ",
            rf"ReadRegisters\(.*count={count + 1}\) = seL4_RangeError\(min=1, max={count}\)",
        ),
    )


def _slots(first: int) -> Run:
    """Row 29: the first slot that is not fixed (12 and 13 have page table and frames where they are not)."""
    kinds = [62 if n == 11 else 0 if n < first else 7 if n == first else 1 for n in range(11, 17)]
    return Run(
        (
            f"the first capability of the image's memory is in slot {first}",
            *(f"slot {11 + n}: capability type {kind}" for n, kind in enumerate(kinds)),
        ),
        (rf"DebugCapIdentify\(cap={first:#x}\) = 7",),
    )


_CUT: Final = Run(
    ("interrupt 65596: no error", "interrupt 60: revoke first"),
    (r"IRQControl_Get\(.*irq=0x1003c,.* = 0$", r"IRQControl_Get\(.*irq=60,.* = seL4_RevokeFirst"),
)
_NOT_CUT: Final = Run(
    ("interrupt 65596: range error mr0=0 mr1=9f", "interrupt 60: no error"),
    (r"IRQControl_Get\(.*irq=0x1003c,.* = seL4_RangeError\(min=0, max=159\)", r"IRQControl_Get\(.*irq=60,.* = 0$"),
)
_RECYCLED: Final = Run(
    (
        "at first: a page that holds 0",
        "it holds 7",
        "the label of Recycle: no error",
        "then: a page that holds 0",
    ),
    (r"seL4_CNode_Recycle\(.* = 0$", r"DebugCapIdentify\(.* = 1$", r"Page_Map\(.* = 0$"),
)
_RAISED: Final = Run(
    ("the caller went on", "SetPriority: no error", "ran: 1"),
    (r"^raiser +seL4_TCB_SetPriority\(.*priority=150\) = 0$", r"^raiser +seL4_Recv\(.* <blocked>  -> low$"),
)

ROWS: Final[dict[str, dict[str, Run]]] = {
    "row-01-signals-carry-a-word": {
        "1.0.4": Run(
            ("r0=7 r1=1 r2=11 r3=333 r4=444 r5=555",),
            (r"seL4_Wait\(src=notification.* = badge=0x7, label=0, words=\[17\]$",),
        ),
        "2.0.0": Run(
            ("r0=7 r1=111 r2=222 r3=333 r4=444 r5=555",), (r"seL4_Recv\(src=notification.* = badge=0x7$",)
        ),
    },
    "row-02-interrupts-carry-a-word": {
        "1.0.4": Run(
            ("*", "r0=5 r1=1 r2=2 r3=333"),
            (r"--- interrupt.*33", r"seL4_Wait\(src=notification.* = badge=0x5, label=0, words=\[2\]$"),
        ),
        "2.0.0": Run(
            ("*", "r0=5 r1=111 r2=222 r3=333"),
            (r"--- interrupt.*33", r"seL4_Recv\(src=notification.* = badge=0x5$"),
        ),
    },
    "row-03-system-call-minus-8": {
        "1.0.4": Run(
            ("-8 prints: A", "it went on: badge=0 label=100 length=0"),
            (r"^asker +seL4_DebugPutChar\(c='A'\)", r"^asker +seL4_Send\(.*label=100"),
        ),
        "2.0.0": Run(
            ("-8 prints: ", "fault: badge=0 label=1 length=5 mr0=10030 mr1=41 mr2=1 mr3=2"),
            (r"^asker +seL4_NBRecv\(.* = CapFault\(.*cptr=0x41, in_receive=1, lookup=MissingCapability",),
        ),
    },
    "row-04-reply-after-a-wait": {
        "1.0.3": Run(
            ("the client asks 7", "the client still waits"),
            (r"seL4_Wait\(src=notification", r"seL4_Reply\(.*words=\[8\]\) = ignored: nobody waits"),
        ),
        "1.0.4": Run(
            ("the client asks 7", "the client got 8"),
            (
                r"seL4_Wait\(src=notification",
                r"seL4_Reply\(.*words=\[8\]\)$",
                r"^client +<... seL4_Call resumed> = badge=0, label=0, words=\[8\]",
            ),
        ),
    },
    "row-05-setting-the-buffer-again": {
        "1.0.3": Run(
            ("fault: badge=0 label=2 length=4 mr0=10028 mr1=181e4 mr2=0 mr3=7",),
            (r"TCB_SetIPCBuffer\(.* = 0$", r"data abort .*address=0x181e4.*translation.* to its handler"),
        ),
        "1.0.4": Run(
            ("the buffer is there: badge=0 label=100 length=1 mr0=600d",),
            (r"TCB_SetIPCBuffer\(.* = 0$", r"^reader +seL4_Send\(.*words=\[0x600d\]"),
        ),
    },
    "row-06-execute-never": {
        "1.0.3": Run(
            ("the page was executed: badge=0 label=100 length=1 mr0=2a",),
            (r"Page_Map\(.*ExecuteNever\) = 0$", r"seL4_Send\(.*label=100, words=\[42\]"),
        ),
        "1.0.4": Run(
            ("fault: badge=0 label=2 length=4 mr0=10000000 mr1=10000000 mr2=1 mr3=f",),
            (r"Page_Map\(.*ExecuteNever\) = 0$", r"^runner +--- prefetch abort .*permission.*prefetch=1"),
        ),
    },
    "row-07-receive-only-servers": {
        "2.1.0": Run(
            ("the client asks 7", "the client got no answer"),
            (r"^client +seL4_Call\(.*words=\[7\]\)  -> ", r"seL4_Reply\(.* = ignored: nobody waits"),
        ),
        "3.0.0": Run(
            ("the client asks 7", "the client got 8"),
            (r"^client +seL4_Call\(.*words=\[7\]\) <blocked>", r"^client +<... seL4_Call resumed>.*words=\[8\]"),
        ),
    },
    "row-08-capabilities-to-receive-only-servers": {
        "2.1.0": Run(
            ("1 capability came", "fault: badge=0 label=2 length=4 mr0=10030 mr1=10000000 mr2=0 mr3=80f"),
            (
                r"^giver +seL4_Send\(.*cap0=frame",
                r"Page_Map\(.* = 0$",
                r"^writer +--- data abort .*write, permission",
            ),
        ),
        "3.0.0": Run(
            ("1 capability came", "the page can be written: badge=0 label=100 length=0"),
            (r"^giver +seL4_Send\(.*cap0=frame", r"Page_Map\(.* = 0$", r"^writer +seL4_Send\(.*label=100"),
        ),
    },
    "row-09-interrupt-handler-mode": {
        "1.0.3": Run(
            tuple(f"label {n}: illegal operation" for n in (25, 26, 27)),
            (r"\(irqhandler 50, .* = seL4_IllegalOperation: a IRQHandler capability has no invocation 25",),
        ),
        "1.0.4": Run(
            ("label 25: no error", "label 26: illegal operation", "label 27: illegal operation"),
            (r"seL4_IRQHandler_SetMode\(irqhandler 50, level_trigger=0, low_polarity=0\) = 0$",),
        ),
        "2.0.0": Run(
            ("label 25: truncated message", "label 26: no error", "label 27: no error"),
            (
                r"seL4_IRQHandler_SetNotification\(irqhandler 50\) = seL4_TruncatedMessage",
                r"seL4_IRQHandler_Clear\(irqhandler 50\) = 0$",
                r"seL4_IRQHandler_SetMode\(irqhandler 50, level_trigger=0, low_polarity=0\) = 0$",
            ),
        ),
        "2.1.0": Run(
            ("label 25: no error", "label 26: no error", "label 27: illegal operation"),
            (
                r"seL4_IRQHandler_Clear\(irqhandler 50\) = 0$",
                r"seL4_IRQHandler_SetMode\(irqhandler 50, level_trigger=0, low_polarity=0\) = 0$",
            ),
        ),
        "3.0.0": Run(
            ("label 25: no error", "label 26: illegal operation", "label 27: illegal operation"),
            (
                r"seL4_IRQHandler_Clear\(irqhandler 50\) = 0$",
                r"\(irqhandler 50, .* = seL4_IllegalOperation: a IRQHandler capability has no invocation 26",
            ),
        ),
    },
    "row-10-interrupt-numbers-cut-short": {"2.1.0": _NOT_CUT, "3.0.0": _CUT, "7.0.0": _CUT, "8.0.0": _NOT_CUT},
    "row-11-fault-labels": {
        name: Run(
            (f"fault: badge=0 label={label} length=4 mr0=10022 mr1=5000 mr2=0 mr3=7",),
            (
                r"^reader +--- data abort .*address=0x5000.* to its handler",
                rf"<... seL4_Recv resumed> = badge=0, label={label}, words=\[0x10022, 0x5000, 0, 7\]",
            ),
        )
        for name, label in (("3.2.0", 2), ("4.0.0", 5))
    },
    "row-12-recycle": {
        "1.0.4": _RECYCLED,
        "2.0.0": _RECYCLED,
        "3.2.0": _RECYCLED,
        "4.0.0": Run(
            (
                "at first: a page that holds 0",
                "it holds 7",
                "the label of Recycle: no error",
                "then: no capability",
                "CancelBadgedSends of a page: illegal operation",
            ),
            (
                r"seL4_CNode_Delete\(.* = 0$",
                r"DebugCapIdentify\(.* = 0$",
                r"seL4_CNode_CancelBadgedSends\(.* = seL4_IllegalOperation",
            ),
        ),
    },
    "row-13-priority-above-ones-own": {
        "3.2.0": Run(
            ("200: illegal operation", "110: illegal operation"),
            (
                r"^climber +seL4_TCB_SetPriority\(.*priority=200\) = seL4_IllegalOperation",
                r"^climber +seL4_TCB_SetPriority\(.*priority=110\) = seL4_IllegalOperation",
            ),
        ),
        "4.0.0": Run(
            ("200: range error mr0=0 mr1=78", "110: no error"),
            (
                r"^climber +seL4_TCB_SetPriority\(.*priority=200\) = seL4_RangeError\(min=0, max=120\)",
                r"^climber +seL4_TCB_SetPriority\(.*priority=110\) = 0$",
            ),
        ),
    },
    "row-14-device-memory": {
        "3.2.0": Run(("a frame of 2^12 bytes, capability type 1",), (r"DebugCapIdentify\(.* = 1$",)),
        "4.0.0": Run(
            (
                "untyped memory, device: 1, capability type 2",
                "a thread: invalid argument, argument 1",
                "a page: no error",
            ),
            (
                r"Retype\(untyped@0x9000000, type=TCB, .* = seL4_InvalidArgument\(argument=1\)",
                r"Retype\(untyped@0x9000000, type=SmallPage, .* = 0$",
            ),
        ),
    },
    "row-15-interruptible-clearing": {
        "3.2.0": Run(
            ("..............!!!",),
            (
                r"^worker +seL4_Untyped_Retype\(.*type=Endpoint.* = 0  -> observer$",
                r"^observer +<... seL4_Recv resumed> = badge=0$",
                r"^observer +seL4_DebugCapIdentify\(.* = 4$",
            ),
        ),
        "4.0.0": Run(
            ("!" * 17,),
            (
                r"^worker +seL4_Untyped_Retype\(.*type=Endpoint.* <preempted, will restart>.*  -> observer$",
                r"^observer +<... seL4_Recv resumed> = badge=0$",
                r"^observer +seL4_DebugCapIdentify\(.* = 0$",
                r"^worker +seL4_Untyped_Retype\(.*type=Endpoint.* = 0$",
            ),
        ),
    },
    "row-16-size-of-an-endpoint": {
        "3.2.0": _sizes(30, 30),
        "4.0.0": _sizes(29),
        "8.0.0": _sizes(29),
        "9.0.0": _sizes(29, 30, 31),
    },
    "row-17-huge-cnodes": {
        "8.0.0": Run(
            ("to a free slot: not enough memory mr0=10000", "to a slot in use: delete first"),
            (
                r"Retype\(.*type=CapTable, size_bits=27.* = seL4_NotEnoughMemory\(available=0x10000\)",
                r"Retype\(.*type=CapTable, size_bits=27.*node_offset=1, .* = seL4_DeleteFirst",
            ),
        ),
        "9.0.0": Run(
            ("to a free slot: range error mr0=0 mr1=1d", "to a slot in use: range error mr0=0 mr1=1d"),
            (
                r"Retype\(.*type=CapTable, size_bits=27.* = seL4_RangeError\(min=0, max=29\)",
                r"Retype\(.*type=CapTable, size_bits=27.*node_offset=1, .* = seL4_RangeError\(min=0, max=29\)",
            ),
        ),
    },
    "row-18-own-buffer": {
        "3.2.0": Run(("at once: old", "after a switch: new"), (r"TCB_SetIPCBuffer\(.*buffer=0x10000000,.* = 0$",)),
        "4.0.0": Run(("at once: new", "after a switch: new"), (r"TCB_SetIPCBuffer\(.*buffer=0x10000000,.* = 0$",)),
    },
    "row-19-sending-to-an-equal": {
        "7.0.0": Run(
            ("the receiver ran first", "received: 1"),
            (r"^sender +seL4_NBSend\(.*words=\[66\]\)  -> receiver$",),
        ),
        "8.0.0": Run(
            ("the sender went on", "received: 1"),
            (r"^sender +seL4_NBSend\(.*words=\[66\]\)$", r"^sender +seL4_Recv\(.* <blocked>  -> receiver$"),
        ),
    },
    "row-20-raising-another": {
        "3.2.0": Run(
            ("the caller went on", "SetPriority: illegal operation", "ran: 1"),
            (r"^raiser +seL4_TCB_SetPriority\(.*priority=150\) = seL4_IllegalOperation",),
        ),
        "4.0.0": _RAISED,
        "8.0.0": _RAISED,
        "9.0.0": Run(
            ("the raised thread ran at once", "SetPriority: no error", "ran: 1"),
            (r"^raiser +seL4_TCB_SetPriority\(.*priority=150\) = 0  -> low$", r"^low +seL4_Recv\(.*  -> raiser$"),
        ),
    },
    "row-21-priority-without-authority": {
        "8.0.0": Run(
            (
                "SetPriority, no capability: no error",
                "SetPriority, one capability: no error",
                "Configure, four words: truncated message",
            ),
            (
                r"TCB_SetPriority\(.* = 0$",
                r"TCB_SetPriority\(.* = 0$",
                r"TCB_Configure\(.* = seL4_TruncatedMessage",
            ),
        ),
        "9.0.0": Run(
            (
                "SetPriority, no capability: truncated message",
                "SetPriority, one capability: no error",
                "Configure, four words: no error",
            ),
            (
                r"TCB_SetPriority\(.* = seL4_TruncatedMessage",
                r"TCB_SetPriority\(.*authority=tcb.* = 0$",
                r"TCB_Configure\(.* = 0$",
            ),
        ),
    },
    "row-22-grant-reply": {
        "10.1.1": Run(
            ("write: no answer", "write and bit 3: no answer", "write and grant: answered"),
            (r"^write and bit 3 seL4_Call\(.*\)  -> ", r"seL4_Reply\(.* = ignored"),
        ),
        "11.0.0": Run(
            ("write: no answer", "write and bit 3: answered", "write and grant: answered"),
            (r"^write and bit 3 seL4_Call\(.*\) <blocked>", r"^write and bit 3 <... seL4_Call resumed>.*\[8\]"),
        ),
    },
    "row-23-capabilities-in-replies": {
        "10.1.1": Run(
            ("the reply has label 1 and 1 capabilities", "received: capability type 6"),
            (r"seL4_Reply\(label=1, words=\[\]", r"DebugCapIdentify\(.* = 6$"),
        ),
        "11.0.0": Run(
            ("the reply has label 1 and 0 capabilities", "received: capability type 0"),
            (r"seL4_Reply\(label=1, words=\[\]", r"DebugCapIdentify\(.* = 0$"),
        ),
    },
    "row-24-cancelling-needs-all-rights": {
        "10.1.1": Run(
            ("rights 7: no error", "rights 15: no error"),
            (r"CNode_CancelBadgedSends\(.* = 0$", r"CNode_CancelBadgedSends\(.* = 0$"),
        ),
        "11.0.0": Run(
            ("rights 7: illegal operation", "rights 15: no error"),
            (r"CNode_CancelBadgedSends\(.* = seL4_IllegalOperation", r"CNode_CancelBadgedSends\(.* = 0$"),
        ),
    },
    "row-25-suspended-before-it-ran": {
        "10.1.1": Run(
            ("fault: badge=0 label=1 length=5 mr0={ip} mr1=9 mr2=1 mr3=2",),
            (r"TCB_Suspend", r"TCB_Resume", r"^receiver +seL4_Recv\(.* = CapFault\(.*cptr=0x9, in_receive=1"),
        ),
        "11.0.0": Run(
            ("the message is there: badge=0 label=100 length=1 mr0=42",),
            (r"TCB_Suspend", r"TCB_Resume", r"^receiver +seL4_Send\(.*label=100, words=\[66\]"),
        ),
    },
    "row-26-mapping-again": {
        "10.1.1": Run(
            (
                "first: no error",
                "the same address, more rights: invalid capability mr0=0",
                "another address: invalid capability mr0=0",
                "Page_Remap: no error",
                "the page can be written",
            ),
            (
                r"Page_Map\(.*vaddr=0x10000000, rights=Read\|Write.* = seL4_InvalidCapability",
                r"Page_Remap\(.* = 0$",
            ),
        ),
        "11.0.0": Run(
            (
                "first: no error",
                "the same address, more rights: no error",
                "another address: invalid argument mr0=0",
                "the page can be written",
            ),
            (
                r"Page_Map\(.*vaddr=0x10000000, rights=Read\|Write.* = 0$",
                r"Page_Map\(.*vaddr=0x10001000, rights=Read,.* = seL4_InvalidArgument",
            ),
        ),
    },
    "row-27-register-count": {"10.1.1": _registers(17), "11.0.0": _registers(18), "12.0.0": _registers(19)},
    "row-28-untyped-descriptors": {
        "11.0.0": Run(("bytes 4 to 7: 0 0 27 1",), (r"DebugHalt",)),
        "12.0.0": Run(("bytes 4 to 7: 27 1 0 0",), (r"DebugHalt",)),
    },
    "row-29-first-free-slots": {
        "11.0.0": _slots(12),
        "12.0.0": _slots(14),
        "12.1.0": _slots(14),
        "13.0.0": _slots(16),
    },
    "row-30-object-type-5": {
        "12.1.0": Run(
            ("from 4 KiB: no error", "from 16 KiB: no error, capability type 1"),
            (r"Retype\(.*type=SmallPage.* = 0$", r"Retype\(.*type=SmallPage.* = 0$", r"CapIdentify\(.* = 1$"),
        ),
        "13.0.0": Run(
            ("from 4 KiB: not enough memory", "from 16 KiB: no error, capability type 9"),
            (
                r"Retype\(.*type=PageDirectory.* = seL4_NotEnoughMemory\(available=0x1000\)",
                r"Retype\(.*type=PageDirectory.* = 0$",
                r"CapIdentify\(.* = 9$",
            ),
        ),
    },
    "row-31-page-get-address": {
        "12.1.0": Run(
            ("Call: r0 is 0, length 0, r2 is the address", "Send: r0 is kept, length 1, r2 is the address"),
            (r"Page_GetAddress\(.* = 0", r"seL4_Send: seL4_ARM_Page_GetAddress\("),
        ),
        "13.0.0": Run(
            ("Call: r0 is 0, length 1, r2 is the address", "Send: r0 is kept, length 0, r2 is kept"),
            (r"Page_GetAddress\(.* = 0 \(paddr=0x", r"seL4_Send: seL4_ARM_Page_GetAddress\("),
        ),
    },
    "row-32-reply-to-nobody": {
        "12.1.0": Run(
            ("received: badge 3",),
            (r"seL4_ReplyRecv\(.* = badge=0x3: nobody waits .*a debug kernel .* complains$",),
        ),
        "13.0.0": Run(("received: badge 3",), (r"seL4_ReplyRecv\(.* = badge=0x3$",)),
    },
    "row-33-label-19": {
        "13.0.0": Run(
            ("label 19: no error", "the target: capability type 4"),
            (r"seL4_CNode_Copy\(.* = 0$", r"DebugCapIdentify\(.* = 4$"),
        ),
        "14.0.0": Run(
            ("label 19: illegal operation", "the target: capability type 0"),
            (r"seL4_CNode_CancelBadgedSends\(.* = seL4_IllegalOperation", r"DebugCapIdentify\(.* = 0$"),
        ),
    },
    "row-34-label-37": {
        "14.0.0": Run(
            ("a page: no error", "a page table: illegal operation"),
            (r"seL4_ARM_Page_Map\(frame.* = 0$", r"seL4_ARM_Page_Map\(pagetable.* = seL4_IllegalOperation"),
        ),
        "15.0.0": Run(
            ("a page: illegal operation", "a page table: no error"),
            (
                r"seL4_ARM_PageTable_Map\(frame.* = seL4_IllegalOperation",
                r"seL4_ARM_PageTable_Map\(pagetable.* = 0$",
            ),
        ),
    },
    "row-35-flushing-what-is-not-mapped": {
        "15.0.0": Run(
            ("flushing",), (r"PageTable_Unmap\(.* = 0$", r"CleanInvalidate_Data\(.* = crashed"), "crashed"
        ),
        "16.0.0": Run(
            ("flushing", "Page_CleanInvalidate_Data: invalid capability mr0=0"),
            (r"PageTable_Unmap\(.* = 0$", r"CleanInvalidate_Data\(.* = seL4_InvalidCapability\(.*0\)"),
        ),
    },
    "row-36-top-of-memory": {
        "15.0.0": Run(("the last one: 2^4 bytes at ffffffe0; 20 above ff000000",), (r"DebugHalt",)),
        "16.0.0": Run(("the last one: 2^29 bytes at e0000000; 0 above ff000000",), (r"DebugHalt",)),
    },
}
"""The rows, old release first."""

ELSEWHERE: Final = (
    ("row-09-interrupt-handler-mode", "2.1.0", "3.0.0", "IRQHandler_SetMode", "only in a"),
    ("row-10-interrupt-numbers-cut-short", "3.0.0", "2.1.0", "IRQControl_Get", "outcome"),
    ("row-10-interrupt-numbers-cut-short", "7.0.0", "8.0.0", "IRQControl_Get", "outcome"),
    ("row-19-sending-to-an-equal", "7.0.0", "8.0.0", "NBSend", "next thread"),
    ("row-22-grant-reply", "11.0.0", "10.1.1", "Call", "outcome"),
    ("row-23-capabilities-in-replies", "11.0.0", "10.1.1", "DebugCapIdentify", "register r0 of rootserver"),
    ("row-24-cancelling-needs-all-rights", "11.0.0", "10.1.1", "CNode_CancelBadgedSends", "outcome"),
    ("row-25-suspended-before-it-ran", "11.0.0", "10.1.1", "Recv", "only in b"),
    ("row-26-mapping-again", "11.0.0", "10.1.1", "Page_Map", "outcome"),
    ("row-27-register-count", "11.0.0", "10.1.1", "ReadRegisters", "outcome"),
    ("row-28-untyped-descriptors", "11.0.0", "12.0.0", "DebugPutChar", "only in b"),
    ("row-29-first-free-slots", "11.0.0", "12.0.0", "DebugPutChar", "console"),
    ("row-30-object-type-5", "12.1.0", "13.0.0", "Untyped_Retype", "type"),
    ("row-33-label-19", "13.0.0", "14.0.0", "CNode_Copy", "only in a"),
    ("row-35-flushing-what-is-not-mapped", "15.0.0", "16.0.0", "CleanInvalidate_Data", "outcome"),
    ("row-36-top-of-memory", "15.0.0", "16.0.0", "DebugPutChar", "console"),
)
"""Programs that mean the same to two releases: built for the first, run on the second too. The named call goes
another way there: what differs. (Slots and addresses of boot can differ besides.)"""
