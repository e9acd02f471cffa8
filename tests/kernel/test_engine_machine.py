"""Random system calls from several threads: no exception, all laws after every step, refusals write nothing."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from kernel_driver import ASID_POOL, BUFFER, CNODE, IRQ_CONTROL, TCB, UNTYPED, VSPACE
from retrap.kernel.effects import IDLE, Outcome
from retrap.machine.traps import INTERRUPT, UNDEFINED, Trap, TrapKind
from threads_driver import World

PLAYGROUND = range(64, 88)
"""Slots that everything random is put into."""

FIXED = (0, TCB, CNODE, VSPACE, IRQ_CONTROL, ASID_POOL, BUFFER, UNTYPED, UNTYPED + 4)
CALLS = ("Call", "ReplyRecv", "Send", "NBSend", "Recv", "Reply", "Yield", "NBRecv", "Call", "Call", "Send", "Recv")
KINDS = ("Endpoint", "Notification", "TCB", "CapTable", "SmallPage", "Untyped", "PageTable", "PageDirectory")

slots = st.sampled_from(PLAYGROUND)
cptrs = st.one_of(slots, slots, st.sampled_from(FIXED), st.sampled_from((5000, 0xFFFF_FFFF, 1 << 12)))
words = st.one_of(
    slots, st.sampled_from((0, 1, 2, 4, 12, 32, 33, 0x1000, 0x2_0000, 0xFFFF_FFFF)), st.integers(0, 0xFFFF_FFFF)
)


class Threads(RuleBasedStateMachine):
    """Threads share one CSpace. The initial thread has the highest priority, so that it stays in charge."""

    @initialize()
    def boot(self) -> None:
        self.world = World()
        world = self.world
        assert world.call(TCB, "TCBSetPriority", 200, caps=(TCB,)) == 0
        world.next_free = PLAYGROUND.start
        for _ in range(2):
            world.make("Endpoint")
        world.make("Notification")
        world.call(TCB, "TCBSetSpace", PLAYGROUND.start, 0, 0, caps=(CNODE, VSPACE))
        for priority in (200, 200, 200, 90):
            world.thread(priority, handler=PLAYGROUND.start)
        self.labels = sorted(world.labels.values())

    def settle(self, before: bytes) -> None:
        """What must be true after any kernel entry."""
        kernel = self.world.kernel
        assert kernel.check("full") == []
        effects = kernel.effects
        if effects.outcome == Outcome.ERROR:
            assert effects.reason and kernel.digest() == before
        if effects.outcome == Outcome.IGNORED and effects.error:
            assert effects.registers == [] and kernel.digest() == before
        if kernel.halted:
            self.boot()
        elif kernel.current.number == IDLE:
            before = kernel.digest()
            kernel.enter(INTERRUPT, self.world.time)
            assert kernel.check("full") == []
            self.boot()

    @rule(
        name=st.sampled_from(CALLS),
        cptr=cptrs,
        label=st.integers(0, 52),
        arguments=st.lists(words, max_size=8),
        caps=st.lists(cptrs, max_size=3),
        receive=slots,
    )
    def system_call(
        self, name: str, cptr: int, label: int, arguments: list[int], caps: list[int], receive: int
    ) -> None:
        before = self.world.kernel.digest()
        self.world.receive_into(self.world.kernel.current, receive)
        self.world.system_call(name, cptr, label, tuple(arguments), tuple(caps))
        self.settle(before)

    @rule(kind=st.sampled_from(KINDS), size=st.integers(1, 6), goal=slots, count=st.integers(1, 3))
    def retype(self, kind: str, size: int, goal: int, count: int) -> None:
        world = self.world
        before = world.kernel.digest()
        size = size + 8 if kind == "Untyped" else size
        world.call(UNTYPED + 4, "UntypedRetype", world.objects[kind], size, 0, 0, goal, count, caps=(CNODE,))
        self.settle(before)

    @rule(
        method=st.sampled_from(("CNodeCopy", "CNodeMint", "CNodeMove", "CNodeMutate")),
        root=st.one_of(st.just(CNODE), slots),
        goal=st.one_of(slots, st.integers(0, 15)),
        depth=st.sampled_from((32, 32, 2, 4)),
        source=st.one_of(slots, st.sampled_from((TCB, CNODE))),
        rights=st.integers(0, 15),
        badge=st.integers(0, 3),
    )
    def derive(self, method: str, root: int, goal: int, depth: int, source: int, rights: int, badge: int) -> None:
        before = self.world.kernel.digest()
        arguments = (goal, depth, source, 32, rights, badge)
        self.world.call(root, method, *arguments, caps=(CNODE,))
        self.settle(before)

    @rule(
        method=st.sampled_from(("CNodeDelete", "CNodeRevoke", "CNodeSaveCaller", "CNodeCancelBadgedSends")),
        goal=st.one_of(slots, slots, st.sampled_from((UNTYPED + 4,))),
        interrupt=st.booleans(),
        work=st.integers(0, 99),
    )
    def remove(self, method: str, goal: int, interrupt: bool, work: int) -> None:
        state = self.world.state
        state.tick_pending = interrupt
        state.work_units = work
        before = self.world.kernel.digest()
        self.world.call(CNODE, method, goal, 32)
        self.settle(before)
        self.world.state.tick_pending = False

    @rule(goal=slots, pivot=slots, source=slots)
    def rotate(self, goal: int, pivot: int, source: int) -> None:
        before = self.world.kernel.digest()
        arguments = (goal, 32, 0, pivot, 32, 0, source, 32)
        self.world.call(CNODE, "CNodeRotate", *arguments, caps=(CNODE, CNODE))
        self.settle(before)

    @rule(
        thread=slots,
        method=st.sampled_from(
            ("TCBResume", "TCBSuspend", "TCBSetPriority", "TCBBindNotification", "TCBUnbindNotification")
        ),
        value=st.integers(0, 255),
        cap=st.one_of(slots, st.just(TCB)),
    )
    def control(self, thread: int, method: str, value: int, cap: int) -> None:
        before = self.world.kernel.digest()
        self.world.call(thread, method, value, caps=(cap,))
        self.settle(before)

    @rule(
        thread=slots,
        croot=st.one_of(st.just(CNODE), slots),
        vroot=st.one_of(st.just(VSPACE), slots),
        frame=slots,
        address=st.sampled_from((0, 0x1000, 0x1200, 0x1210)),
    )
    def configure(self, thread: int, croot: int, vroot: int, frame: int, address: int) -> None:
        before = self.world.kernel.digest()
        self.world.call(thread, "TCBConfigure", 64, 0, 0, address, caps=(croot, vroot, frame))
        self.settle(before)

    @rule(
        kind=st.sampled_from((TrapKind.DATA_ABORT, TrapKind.PREFETCH_ABORT, TrapKind.UNDEFINED, TrapKind.INTERRUPT))
    )
    def trap(self, kind: TrapKind) -> None:
        before = self.world.kernel.digest()
        self.world.enter(UNDEFINED if kind is TrapKind.UNDEFINED else Trap(kind, 0x1234, 7))
        self.settle(before)


Threads.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestThreads = Threads.TestCase
