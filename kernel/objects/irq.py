"""Interrupts: who may handle which, how they become signals, and masking until acknowledged (manual 8).

An interrupt line is the kernel's own (`BootPlan.kernel_irqs`), inactive, or active (it has a slot in
`state.irq_slots`, as long as a handler capability exists). Lines are masked while inactive and from delivery
to acknowledgement, except software-generated ones, which a GICv2 does not mask (GIC architecture 2.0, 4.3.5).
"""

from __future__ import annotations

from typing import Final, final

from retrap.kernel.caps import (
    NULL,
    WRITE,
    Cap,
    IrqControlCap,
    IrqHandlerCap,
    NotificationCap,
    SgiSignalCap,
)
from retrap.kernel.deletion import delete_one
from retrap.kernel.derivation import ensure_empty, insert
from retrap.kernel.failures import (
    invalid_argument,
    invalid_capability,
    range_error,
    revoke_first,
    truncated_message,
)
from retrap.kernel.lookup import target_slot
from retrap.kernel.message import Invocation, Message
from retrap.kernel.notification import send_signal
from retrap.kernel.slots import IRQ_NODE, Slot
from retrap.kernel.state import Decoder, KernelState
from retrap.kernel.structures import Notification

SGIS: Final = 16
"""Interrupts 0 … 15 are software-generated."""

FIRST_SHARED: Final = 32
"""Interrupts below are the core's own, with fixed triggers."""

SGI_TARGETS: Final = 8
"""Cores that a GICv2 can address."""

THIS_CORE: Final = 0


def is_active(state: KernelState, irq: int) -> bool:
    """Whether somebody, user code or the kernel, has the interrupt."""
    return irq in state.irq_slots or irq in state.plan.kernel_irqs


def mask(state: KernelState, irq: int) -> None:
    """Let the line raise no more interrupts."""
    if irq >= SGIS:
        state.masked_irqs |= 1 << irq


def unmask(state: KernelState, irq: int) -> None:
    """Let the line raise interrupts again; one that waited is taken when the kernel returns to user code."""
    state.masked_irqs &= ~(1 << irq)


def next_pending(state: KernelState) -> int | None:
    """The interrupt to take next: the lowest number among those that wait and are not masked."""
    ready = state.pending_irqs & ~state.masked_irqs
    return (ready & -ready).bit_length() - 1 if ready else None


def deliver(state: KernelState, irq: int) -> None:
    """Take a device's interrupt: signal its notification, if it has one, and mask it until acknowledged."""
    state.pending_irqs &= ~(1 << irq)
    slot = state.irq_slots.get(irq)
    if slot is not None:
        cap = slot.cap
        if isinstance(cap, NotificationCap) and cap.rights & WRITE:
            notification = state.objects[cap.address]
            assert isinstance(notification, Notification)
            word = 1 << irq % 32 if state.facts.notification_delivers_word else 0
            send_signal(state, notification, cap.badge, word)
    mask(state, irq)


@final
class IssueHandler(Invocation):
    """Activate the line and put its handler capability into a slot. `trigger`: None leaves it as it is."""

    __slots__ = ("control", "irq", "target", "trigger")

    def __init__(self, control: Slot, irq: int, target: Slot, trigger: int | None = None) -> None:
        self.control: Final = control
        self.irq: Final = irq
        self.target: Final = target
        self.trigger: Final = trigger

    def perform(self, state: KernelState) -> list[int] | None:
        if self.trigger is not None and self.irq >= FIRST_SHARED:
            bit = 1 << self.irq
            state.edge_irqs = state.edge_irqs | bit if self.trigger else state.edge_irqs & ~bit
        state.irq_slots[self.irq] = Slot(IRQ_NODE, self.irq)
        unmask(state, self.irq)
        insert(IrqHandlerCap(self.irq), self.control, self.target)
        return None


@final
class IssueSgi(Invocation):
    """Put the right to raise a software-generated interrupt into a slot."""

    __slots__ = ("cap", "control", "target")

    def __init__(self, control: Slot, cap: SgiSignalCap, target: Slot) -> None:
        self.control: Final = control
        self.cap: Final = cap
        self.target: Final = target

    def perform(self, state: KernelState) -> list[int] | None:
        insert(self.cap, self.control, self.target)
        return None


def _checked_irq(state: KernelState, word: int) -> int:
    """The interrupt that a message word names, if it exists and nobody has it."""
    # 3.0.0 … 7.0.0 compared and used only what fits their irq_t.
    irq = word & ((1 << state.facts.irq_number_bits) - 1)
    highest = state.plan.max_irq
    if irq > highest:
        raise range_error(0, highest, f"there is no interrupt {irq}")
    if is_active(state, irq):
        raise revoke_first(f"interrupt {irq} already has a handler, or is the kernel's own")
    return irq


def _decode_get(state: KernelState, slot: Slot, cap: IrqControlCap, message: Message) -> Invocation:
    """IRQControl_Get(irq, index, depth; root)."""
    message.require(3, 1)
    words = message.words
    irq = _checked_irq(state, words[0])
    target = target_slot(state, message.caps[0].cap, words[1], words[2])
    ensure_empty(target)
    return IssueHandler(slot, irq, target)


def _decode_get_trigger(state: KernelState, slot: Slot, cap: IrqControlCap, message: Message) -> Invocation:
    """IRQControl_GetTrigger(irq, trigger, index, depth; root): 0 is a level, anything else an edge."""
    message.require(4, 1)
    words = message.words
    irq = _checked_irq(state, words[0])
    target = target_slot(state, message.caps[0].cap, words[2], words[3])
    ensure_empty(target)
    return IssueHandler(slot, irq, target, words[1])


def _decode_issue_sgi(state: KernelState, slot: Slot, cap: IrqControlCap, message: Message) -> Invocation:
    """IRQControl_IssueSGISignal(irq, target core, index, depth; root)."""
    message.require(4, 1)
    irq, core, index, depth = message.words[:4]
    if irq >= SGIS:
        raise range_error(0, SGIS - 1, f"interrupt {irq} is not software-generated")
    if core >= SGI_TARGETS:
        raise invalid_argument(1, f"the interrupt controller cannot address core {core}")
    target = target_slot(state, message.caps[0].cap, index, depth)
    ensure_empty(target)
    return IssueSgi(slot, SgiSignalCap(irq, core), target)


CONTROL_METHODS: Final[dict[str, Decoder]] = {
    "IRQIssueIRQHandler": _decode_get,
    "ARMIRQIssueIRQHandlerTrigger": _decode_get_trigger,
    "ARMIRQIssueSGISignal": _decode_issue_sgi,
}


@final
class Ack(Invocation):
    """Unmask the line."""

    __slots__ = ("irq",)

    def __init__(self, irq: int) -> None:
        self.irq: Final = irq

    def perform(self, state: KernelState) -> list[int] | None:
        unmask(state, self.irq)
        return None


@final
class SetNotification(Invocation):
    """Keep a copy of a notification capability as what the interrupt signals; `None` keeps nothing."""

    __slots__ = ("cap", "irq", "source")

    def __init__(self, irq: int, source: Slot | None) -> None:
        self.irq: Final = irq
        self.source: Final = source
        self.cap: Final[Cap] = source.cap if source is not None else NULL

    def perform(self, state: KernelState) -> list[int] | None:
        slot = state.irq_slots[self.irq]
        delete_one(state, slot)
        if self.source is not None:
            insert(self.cap, self.source, slot)
        return None


@final
class SetMode(Invocation):
    """Choose trigger and polarity of the line (1.0.4 … 2.1.0): the device's business."""

    __slots__ = ()

    def perform(self, state: KernelState) -> list[int] | None:
        return None


def _decode_ack(state: KernelState, slot: Slot, cap: IrqHandlerCap, message: Message) -> Invocation:
    return Ack(cap.irq)


def _decode_set(state: KernelState, slot: Slot, cap: IrqHandlerCap, message: Message) -> Invocation:
    """IRQHandler_SetNotification(; notification)."""
    if not message.caps:
        raise truncated_message("the notification is missing")
    source = message.caps[0]
    given = source.cap
    # The kernel counts this capability as number 0, not 1.
    if not isinstance(given, NotificationCap) or not given.rights & WRITE:
        raise invalid_capability(0, "not a notification capability with the right to signal")
    return SetNotification(cap.irq, source)


def _decode_clear(state: KernelState, slot: Slot, cap: IrqHandlerCap, message: Message) -> Invocation:
    return SetNotification(cap.irq, None)


def _decode_set_mode(state: KernelState, slot: Slot, cap: IrqHandlerCap, message: Message) -> Invocation:
    message.require(2)
    return SetMode()


HANDLER_METHODS: Final[dict[str, Decoder]] = {
    "IRQAckIRQ": _decode_ack,
    "IRQSetIRQHandler": _decode_set,
    "IRQClearIRQHandler": _decode_clear,
    "IRQSetMode": _decode_set_mode,
}


def finalise_handler(state: KernelState, cap: IrqHandlerCap, final: bool) -> Cap:
    """With the last handler capability, the notification capability that the kernel kept goes."""
    if final:
        delete_one(state, state.irq_slots[cap.irq])
    return NULL


def after_delete_handler(state: KernelState, cap: IrqHandlerCap) -> None:
    """Nobody has the interrupt any more."""
    del state.irq_slots[cap.irq]
    mask(state, cap.irq)


@final
class SendSgi(Invocation):
    """Raise a software-generated interrupt; on any core but this one nothing happens."""

    __slots__ = ("cap",)

    def __init__(self, cap: SgiSignalCap) -> None:
        self.cap: Final = cap

    def perform(self, state: KernelState) -> list[int] | None:
        if self.cap.target == THIS_CORE:
            state.pending_irqs |= 1 << self.cap.irq
            unmask(state, self.cap.irq)
        return None


def decode_sgi(state: KernelState, slot: Slot, cap: SgiSignalCap, message: Message) -> Invocation:
    """Any message raises the interrupt: the label is not looked at."""
    return SendSgi(cap)
