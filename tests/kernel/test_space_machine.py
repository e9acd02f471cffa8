"""Random mapping, copying, moving, deleting, revoking: laws hold after every step, refusals change nothing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from kernel_driver import (
    ASID_CONTROL,
    ASID_POOL,
    CNODE,
    DEVICE_UNTYPED,
    IRQ_CONTROL,
    LARGEST_UNTYPED,
    TABLE,
    TCB,
    UNTYPED,
    VSPACE,
    Driver,
)
from retrap.kernel.caps import TAGS, FrameCap, Tag

POOL_OF_SLOTS = range(64, 96)
"""Slots that the machine plays with; what lies in others, users need to go on."""

KINDS = (
    "SmallPage", "SmallPage", "SmallPage", "LargePage", "Section", "SuperSection", "PageTable", "PageTable",
    "PageDirectory", "Untyped", "CapTable", "TCB", "Endpoint", "Notification",
)  # fmt: skip
STOCK = (
    ("SmallPage", 0, 4),
    ("LargePage", 0, 2),
    ("Section", 0, 1),
    ("SuperSection", 0, 1),
    ("PageTable", 0, 3),
    ("PageDirectory", 0, 2),
    ("TCB", 0, 2),
    ("CapTable", 4, 1),
    ("Notification", 0, 1),
    ("Endpoint", 0, 1),
    ("Untyped", 12, 2),
)
"""What lies in the first slots of the pool at the beginning: object type, size argument, how many."""

ADDRESSES = tuple(
    (megabyte << 20) + offset
    for megabyte in (2, 2, 3, 3, 16, 31, 0x9FF, 0xA00)
    for offset in (0, 0, 0, 0x1000, 0x1_0000, 0xF_F000, 0x800)
)

ANYTHING = tuple(range(1, TAGS))

picks = st.integers(0, 0xFFFF)
"""Chooses among the slots that hold the right kind of capability; one in eight takes any slot instead."""

untypeds = st.sampled_from((UNTYPED, UNTYPED + 3, UNTYPED + 5, LARGEST_UNTYPED, DEVICE_UNTYPED))
fixed = st.sampled_from((TCB, CNODE, VSPACE, IRQ_CONTROL, ASID_CONTROL, ASID_POOL, TABLE, 0))
addresses = st.sampled_from(ADDRESSES)
small = st.integers(0, 15)


class Spaces(RuleBasedStateMachine):
    release = "16.0.0"

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(name=self.release)
        self.alive = True
        # Something of everything to begin with: most walks are too short to make it all themselves.
        driver = self.driver
        driver.next_free = POOL_OF_SLOTS.start
        for kind, size, count in STOCK:
            driver.make(kind, size, LARGEST_UNTYPED, count)
        tables = POOL_OF_SLOTS.start + 8
        assert driver.table_map(tables, 0x20_0000) == 0
        assert driver.table_map(tables + 1, 0x30_0000) == 0
        assert driver.call(ASID_POOL, "ARMASIDPoolAssign", caps=(tables + 3,)) == 0
        assert driver.page_map(POOL_OF_SLOTS.start, 0x20_0000) == 0

    def slot(self, pick: int, *tags: int) -> int:
        """A slot of the pool, most times one that holds a capability with one of the tags."""
        fitting = [slot for slot in POOL_OF_SLOTS if self.driver.cap(slot).tag in tags]
        if not fitting or pick & 7 == 7:
            return POOL_OF_SLOTS[(pick >> 3) % len(POOL_OF_SLOTS)]
        return fitting[(pick >> 3) % len(fitting)]

    def root(self, pick: int) -> int:
        return VSPACE if pick & 1 else self.slot(pick >> 1, Tag.PAGE_DIRECTORY)

    def invoke(self, cptr: int, label: str | int, *words: int, caps: tuple[int, ...] = ()) -> None:
        """One invocation by the initial thread, and everything that must be true afterwards."""
        if not self.alive:
            return
        kernel = self.driver.kernel
        before = kernel.digest()
        error = self.driver.call(cptr, label, *words, caps=caps)
        assert kernel.check("full") == []
        if error and not kernel.crashed:
            assert kernel.digest() == before
        self.alive = kernel.current.number == 0 and not kernel.halted

    @rule(
        untyped=untypeds, kind=st.sampled_from(KINDS), size=st.integers(4, 14), pick=picks, count=st.integers(1, 3)
    )
    def retype(self, untyped: int, kind: str, size: int, pick: int, count: int) -> None:
        if pick & 0x4000:
            untyped = self.slot(pick, Tag.UNTYPED)
        words = (self.driver.objects[kind], size, 0, 0, self.slot(pick, Tag.NULL), count)
        self.invoke(untyped, "UntypedRetype", *words, caps=(CNODE,))

    @rule(frame=picks, address=addresses, rights=small, attributes=small, root=picks)
    def map_page(self, frame: int, address: int, rights: int, attributes: int, root: int) -> None:
        self.invoke(self.slot(frame, Tag.FRAME), "ARMPageMap", address, rights, attributes, caps=(self.root(root),))

    @rule(frame=picks, rights=small, attributes=small, root=picks)
    def map_page_again(self, frame: int, rights: int, attributes: int, root: int) -> None:
        slot = self.slot(frame, Tag.FRAME)
        cap = self.driver.cap(slot)
        address = cap.mapped_at if isinstance(cap, FrameCap) else 0
        self.invoke(slot, "ARMPageMap", address, rights, attributes, caps=(self.root(root),))

    @rule(table=picks, address=addresses, root=picks)
    def map_table(self, table: int, address: int, root: int) -> None:
        self.invoke(self.slot(table, Tag.PAGE_TABLE), "ARMPageTableMap", address, 3, caps=(self.root(root),))

    @rule(pick=picks)
    def unmap_page(self, pick: int) -> None:
        self.invoke(self.slot(pick, Tag.FRAME), "ARMPageUnmap")

    @rule(pick=picks)
    def unmap_table(self, pick: int) -> None:
        self.invoke(self.slot(pick, Tag.PAGE_TABLE), "ARMPageTableUnmap")

    @rule(pick=picks, start=st.sampled_from((0, 0x40, 0xFFF, 0x1000)), size=st.sampled_from((0, 1, 0x40, 0x1000)))
    def flush_page(self, pick: int, start: int, size: int) -> None:
        self.invoke(self.slot(pick, Tag.FRAME), "ARMPageClean_Data", start, start + size)

    @rule(pick=picks, start=addresses, size=st.sampled_from((0x40, 0x1_0000)))
    def flush_space(self, pick: int, start: int, size: int) -> None:
        self.invoke(self.root(pick), "ARMPDUnify_Instruction", start, start + size)

    @rule(untyped=untypeds, pick=picks)
    def make_pool(self, untyped: int, pick: int) -> None:
        """A pool from a fresh 4 KiB untyped."""
        source = self.slot(pick, Tag.NULL)
        words = (self.driver.objects["Untyped"], 12, 0, 0, source, 1)
        self.invoke(untyped, "UntypedRetype", *words, caps=(CNODE,))
        to = self.slot(pick >> 1, Tag.NULL)
        self.invoke(ASID_CONTROL, "ARMASIDControlMakePool", to, 32, caps=(source, CNODE))

    @rule(pool=picks, root=picks)
    def assign(self, pool: int, root: int) -> None:
        used = ASID_POOL if pool & 1 else self.slot(pool >> 1, Tag.ASID_POOL)
        self.invoke(used, "ARMASIDPoolAssign", caps=(self.slot(root, Tag.PAGE_DIRECTORY),))

    @rule(irq=st.sampled_from((5, 27, 40, 41, 160)), pick=picks)
    def get_irq(self, irq: int, pick: int) -> None:
        self.invoke(IRQ_CONTROL, "IRQIssueIRQHandler", irq, self.slot(pick, Tag.NULL), 32, caps=(CNODE,))

    @rule(pick=picks, label=st.sampled_from(("IRQSetIRQHandler", "IRQAckIRQ", "IRQClearIRQHandler")), cap=picks)
    def handle_irq(self, pick: int, label: str, cap: int) -> None:
        self.invoke(self.slot(pick, Tag.IRQ_HANDLER), label, caps=(self.slot(cap, Tag.NOTIFICATION),))

    @rule(source=picks, to=picks, rights=small)
    def copy(self, source: int, to: int, rights: int) -> None:
        words = (self.slot(to, Tag.NULL), 32, self.slot(source, *ANYTHING), 32, rights)
        self.invoke(CNODE, "CNodeCopy", *words, caps=(CNODE,))

    @rule(source=fixed, to=picks)
    def copy_from_boot(self, source: int, to: int) -> None:
        self.invoke(CNODE, "CNodeCopy", self.slot(to, Tag.NULL), 32, source, 32, 15, caps=(CNODE,))

    @rule(source=picks, to=picks, rights=small, data=st.sampled_from((0, 1, 77, 4 << 3)))
    def mint(self, source: int, to: int, rights: int, data: int) -> None:
        words = (self.slot(to, Tag.NULL), 32, self.slot(source, *ANYTHING), 32, rights, data)
        self.invoke(CNODE, "CNodeMint", *words, caps=(CNODE,))

    @rule(source=picks, to=picks)
    def move(self, source: int, to: int) -> None:
        words = (self.slot(to, Tag.NULL), 32, self.slot(source, *ANYTHING), 32)
        self.invoke(CNODE, "CNodeMove", *words, caps=(CNODE,))

    @rule(to=picks, pivot=picks, source=picks)
    def rotate(self, to: int, pivot: int, source: int) -> None:
        chosen = (self.slot(to, Tag.NULL), self.slot(pivot, *ANYTHING), self.slot(source, *ANYTHING))
        words = (chosen[0], 32, 0, chosen[1], 32, 0, chosen[2], 32)
        self.invoke(CNODE, "CNodeRotate", *words, caps=(CNODE, CNODE))

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        self.invoke(CNODE, "CNodeDelete", self.slot(pick, *ANYTHING), 32)

    @rule(pick=picks, root=st.one_of(untypeds, st.sampled_from((IRQ_CONTROL, VSPACE))))
    def revoke(self, pick: int, root: int) -> None:
        slot = root if pick & 0xC000 == 0 else self.slot(pick, *ANYTHING)
        self.invoke(CNODE, "CNodeRevoke", slot, 32)

    @rule(pick=picks, label=st.sampled_from(("TCBResume", "TCBSuspend")))
    def start_and_stop(self, pick: int, label: str) -> None:
        self.invoke(self.slot(pick, Tag.THREAD), label)

    @rule(pick=picks, vspace=picks, buffer=picks)
    def configure(self, pick: int, vspace: int, buffer: int) -> None:
        caps = (CNODE, self.root(vspace), self.slot(buffer, Tag.FRAME))
        self.invoke(self.slot(pick, Tag.THREAD), "TCBConfigure", 0, 0, 0, 0x20_0000, caps=caps)

    @rule(vspace=picks)
    def change_own_space(self, vspace: int) -> None:
        self.invoke(TCB, "TCBSetSpace", 0, 0, 0, caps=(CNODE, self.root(vspace)))

    @rule(
        pick=picks,
        label=st.one_of(st.integers(0, 80), st.integers(0, (1 << 20) - 1)),
        words=st.lists(st.one_of(small, addresses, st.integers(0, 0xFFFF_FFFF)), max_size=8),
        caps=st.lists(st.one_of(fixed, st.sampled_from(POOL_OF_SLOTS)), max_size=3),
    )
    def wild(self, pick: int, label: int, words: list[int], caps: list[int]) -> None:
        self.invoke(self.slot(pick, *ANYTHING), label, *words, caps=tuple(caps))

    @rule(irq=st.sampled_from((5, 40, 41)))
    def interrupt(self, irq: int) -> None:
        if not self.alive:
            return
        self.driver.kernel.raise_irq(irq)
        self.driver.tick()
        self.driver.check()
        self.alive = self.driver.kernel.current.number == 0

    def teardown(self) -> None:
        """Revoking everything leaves what was there at the beginning."""
        if not self.alive:
            return
        for slot in (*range(UNTYPED, LARGEST_UNTYPED + 1), IRQ_CONTROL):
            if self.driver.cap(slot).tag != Tag.NULL:
                assert self.driver.revoke(slot) == 0
        self.driver.check()
        kinds = {item.tag for item in self.driver.state.objects.values()}
        assert len(self.driver.state.objects) == 5 and len(kinds) == 5
        assert not self.driver.state.irq_slots


class OldestSpaces(Spaces):
    release = "1.0.3"


class SpacesWithRemap(Spaces):
    release = "10.1.1"

    @rule(frame=picks, rights=small, attributes=small, root=picks)
    def remap_page(self, frame: int, rights: int, attributes: int, root: int) -> None:
        self.invoke(self.slot(frame, Tag.FRAME), "ARMPageRemap", rights, attributes, caps=(self.root(root),))


@pytest.mark.parametrize(("machine", "walks"), [(Spaces, 50), (OldestSpaces, 15), (SpacesWithRemap, 15)])
def test_random_walks(machine: type[Spaces], walks: int) -> None:
    machine.TestCase.settings = settings(
        max_examples=walks,
        stateful_step_count=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase().runTest()
