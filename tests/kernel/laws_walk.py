"""Random walks over a whole small system: several threads, capability spaces of many shapes, all invocations.

A walk is a release and a list of steps; a step is a tuple of small numbers that means something in every state
(what is not there is chosen modulo what is), so that any sublist of a walk is a walk, and a failing one can be made
short. `Walk.step` makes one kernel entry and verifies everything that must be true of it:

* every law of `retrap.kernel.invariants`, conservation of memory among them;
* an invocation that was refused has changed nothing: the digest is the same;
* no Python exception ever;
* Revoke of an untyped returns it to its first state: nothing of its memory is referred to any more;
* confinement: every capability that is new in a slot was derived from one that a thread taking part could reach.
"""

from __future__ import annotations

from typing import Final

from kernel_driver import BUFFER, CNODE, IPC_BUFFER, TCB, UNTYPED, VSPACE, Driver
from laws_confinement import Before, all_slots
from retrap.kernel import derivation
from retrap.kernel.capability_spaces import find
from retrap.kernel.caps import CNodeCap, Tag, UntypedCap
from retrap.kernel.effects import IDLE, Outcome
from retrap.kernel.lookup import WORD_BITS
from retrap.kernel.registers import send_buffer
from retrap.kernel.slots import Slot
from retrap.kernel.structures import EP_RECEIVE, TCB_CTABLE, TCB_VTABLE, CNode, Endpoint
from retrap.machine.traps import FaultStatus, Trap, TrapKind

Step = tuple[int, ...]
"""What to do, and numbers to choose with."""

Place = tuple[int, CNode, int, int]
"""A CNode within reach: capability pointer, object, depth of its slots, and the guard above their index."""

STEP_LENGTH: Final = 10
POOL: Final = UNTYPED
"""1 MiB that everything random is made of."""

PRIORITY: Final = 100
LIMIT: Final = 48
"""How many slots of a thread's CSpace a step chooses from."""


class Violation(Exception):
    """A law does not hold, or something unexpected was raised."""


class Walk:
    """A booted system with four threads of equal priority, three of them in capability spaces of their own.

    All use one IPC buffer: what is in it is written before every call."""

    def __init__(self, release: str) -> None:
        self.driver: Final = Driver(name=release)
        driver = self.driver
        self.state: Final = driver.state
        self.labels: Final = driver.labels
        self.names: Final = sorted(self.labels, key=self.labels.__getitem__)
        self.kinds: Final = [kind.name for kind in self.state.release.object_types]
        self.divides: Final = self.state.facts.retype == "split"
        self.pages: Final = self.state.facts.address_space == "page-tables"
        self.steps = 0
        self.over = False
        self.digest: bytes | None = None
        self.next_slot = 40
        self._must(driver.call(TCB, "TCBSetPriority", PRIORITY, caps=(TCB,)))
        self.pieces = self._divide_pool()
        self.halves: Final[dict[int, list[int]]] = {size: [] for size in range(4, 18)}
        self.halves[17].append(self.pieces.pop())
        self._populate()

    # --- the beginning

    def _must(self, error: int) -> None:
        assert error == 0, self.driver.effects.reason

    def _slot(self) -> int:
        self.next_slot += 1
        return self.next_slot - 1

    def _divide_pool(self) -> list[int]:
        """Eight untypeds, of 128 KiB where memory is divided, otherwise of 64 KiB."""
        first = self.next_slot
        self.next_slot += 8
        words = (0, 17, 0, 0, first) if self.divides else (0, 16, 0, 0, first, 8)
        self._must(self.driver.call(POOL, "UntypedRetype", *words, caps=(CNODE,)))
        return list(range(first, first + 8))

    def _make(self, kind: str, size_bits: int = 0) -> int:
        """One object, of a piece of its own where memory is divided."""
        number = self.driver.objects[kind]
        if not self.divides:
            slot = self._slot()
            words = (number, size_bits, 0, 0, slot, 1)
            self._must(self.driver.call(self.pieces[0], "UntypedRetype", *words, caps=(CNODE,)))
            return slot
        bits = {"TCB": 9, "Endpoint": 4, "AsyncEndpoint": 5, "CapTable": size_bits + 4}.get(kind, size_bits)
        size = min(each for each, left in self.halves.items() if each >= bits and left)
        piece = self.halves[size].pop()
        while size > bits:
            size -= 1
            halves = self._slot()
            self.next_slot += 1
            self._must(self.driver.call(piece, "UntypedRetype", 0, size, 0, 0, halves, caps=(CNODE,)))
            self.halves[size].append(halves + 1)
            piece = halves
        slot = self._slot()
        self._must(self.driver.call(piece, "UntypedRetype", number, size_bits, 0, 0, slot, caps=(CNODE,)))
        return slot

    def _populate(self) -> None:
        driver = self.driver
        endpoint = self._make("Endpoint")
        other = self._make("AsyncEndpoint" if self.divides else "Notification")
        authority = (TCB,)
        for radix, two_levels in ((4, False), (5, False), (3, True)):
            node = self._make("CapTable", radix)
            thread = self._make("TCB")
            root = node
            bits = radix
            if two_levels:
                root = self._make("CapTable", 2)
                bits = radix + 2
                self._must(driver.call(CNODE, "CNodeMint", self._slot(), 32, node, 32, 15, 0, caps=(CNODE,)))
                self._must(driver.call(root, "CNodeCopy", 1, 2, node, 32, 15, caps=(CNODE,)))
            guard = WORD_BITS - bits << 3
            priority = (PRIORITY,) if "TCBSetPriority" in self.labels and self._old_configure() else ()
            words = (endpoint if radix == 4 else 0, *priority, guard, 0, IPC_BUFFER)
            self._must(driver.call(thread, "TCBConfigure", *words, caps=(root, VSPACE, BUFFER)))
            if not priority:
                self._must(driver.call(thread, "TCBSetPriority", PRIORITY, caps=authority))
            contents = [(0, endpoint, 15 if radix == 4 else 3, radix), (1, other, 3, radix)]
            contents.append((2, self.pieces.pop(), 15, None))
            if radix == 4:
                contents += [(3, thread, 15, None), (4, VSPACE, 15, None)]
            for index, source, rights, badge in contents:
                name = "CNodeCopy" if badge is None else "CNodeMint"
                data = () if badge is None else (badge,)
                where = (index, radix, source, 32, rights, *data)
                self._must(driver.call(node, name, *where, caps=(CNODE,)))
            # Its own CNode, found at the full depth.
            data = 0 if two_levels else guard
            self._must(driver.call(node, "CNodeMint", 7, radix, root, 32, 15, data, caps=(CNODE,)))
            self._must(driver.call(thread, "TCBResume"))
        if self.pages:
            self._must(driver.table_map(self._make("PageTable"), 0x200_0000))
            for page in range(3):
                self._must(driver.page_map(self._make("SmallPage"), 0x200_0000 + (page << 12)))
        broken = driver.kernel.check("full")
        if broken:
            raise Violation("; ".join(broken))

    def _old_configure(self) -> bool:
        configure = next(i for i in self.state.release.invocations if i.label == "TCBConfigure")
        return any(each.name in ("prio", "priority") for each in configure.parameters)

    # --- what the running thread can reach

    def reachable(self) -> tuple[list[tuple[int, Slot]], list[Place]]:
        """Capability pointers and slots of the running thread's CSpace, and those among them that are CNodes."""
        found: list[tuple[int, Slot]] = []
        nodes: list[Place] = []
        root = self.state.current.slots[TCB_CTABLE].cap
        if isinstance(root, CNodeCap):
            self._walk(root, 0, WORD_BITS, found, nodes, 0)
        return found, nodes

    def _walk(
        self,
        root: CNodeCap,
        prefix: int,
        bits: int,
        found: list[tuple[int, Slot]],
        nodes: list[Place],
        depth: int,
    ) -> None:
        left = bits - root.guard_bits - root.radix
        if left < 0 or depth > 4:
            return
        node = self.state.objects[root.address]
        assert isinstance(node, CNode)
        base = prefix << root.guard_bits | root.guard
        for index in sorted(node.slots):
            slot = node.slots[index]
            cap = slot.cap
            if cap.tag == Tag.NULL or len(found) >= LIMIT:
                continue
            pointer = base << root.radix | index
            if isinstance(cap, CNodeCap):
                if left == 0:
                    found.append((pointer, slot))
                    inner = self.state.objects[cap.address]
                    assert isinstance(inner, CNode)
                    depth_there = cap.guard_bits + cap.radix
                    nodes.append((pointer, inner, depth_there, cap.guard << cap.radix))
                else:
                    self._walk(cap, pointer, left, found, nodes, depth + 1)
            else:
                found.append((pointer << left, slot))

    # --- one step

    def step(self, step: Step) -> None:
        """One kernel entry by whoever runs, and all that must be true then."""
        if self.over:
            return
        state = self.state
        driver = self.driver
        kernel = driver.kernel
        self.steps += 1
        found, nodes = self.reachable()
        self._receive_path(step, nodes)
        if step[9] & 7 == 0:
            # An interrupt waits, and some work is done: preemption points are taken.
            state.work_units = step[8] % 100
            state.tick_pending = True
            self.digest = None
        # A refused step leaves the digest as it was: it is known, then.
        digest = self.digest
        if digest is None:
            digest = kernel.digest()
        before = Before(state)
        revoked = _ACTIONS[step[0] % len(_ACTIONS)](self, step, found, nodes)
        state.tick_pending = False
        effects = driver.effects
        if kernel.crashed:
            self.over = True
            return
        broken = kernel.check("full")
        if broken:
            raise Violation("; ".join(broken))
        refused = effects.outcome == Outcome.ERROR or (effects.outcome == Outcome.IGNORED and effects.error)
        if refused:
            if not effects.reason:
                raise Violation("refused without a reason")
            self.digest = kernel.digest()
            if self.digest != digest:
                raise Violation(f"refused, but the state has changed: {effects.reason}")
        else:
            self.digest = None
            broken = before.obtained(state)
            if broken:
                raise Violation("; ".join(broken))
        if revoked is not None and effects.outcome == Outcome.DONE and not effects.error:
            self._first_state(revoked)
        if kernel.halted or kernel.current.number == IDLE:
            self.over = True

    def _first_state(self, slot: Slot) -> None:
        """After Revoke of an untyped: all its memory can be handed out again."""
        cap = slot.cap
        if not isinstance(cap, UntypedCap):
            return
        if derivation.has_children(slot):
            raise Violation(f"{slot!r} was revoked and has children")
        end = cap.address + (1 << cap.size_bits)
        for address in self.state.objects:
            if cap.address <= address < end:
                raise Violation(f"{slot!r} was revoked, and the object at {address:#x} lives in it")
        for each in all_slots(self.state):
            extent = each.cap.extent
            inside = extent is not None and cap.address <= extent[0] and extent[0] + (1 << extent[1]) <= end
            if inside and each.cap.tag != Tag.UNTYPED:
                raise Violation(f"{slot!r} was revoked, and {each!r} refers to its memory")

    def _receive_path(self, step: Step, nodes: list[Place]) -> None:
        buffer = send_buffer(self.state, self.state.current)
        if buffer is not None and nodes:
            pointer, node, depth, guard = nodes[step[7] % len(nodes)]
            buffer[125], buffer[126], buffer[127] = pointer, guard | _free(node, step[8]), depth

    def _pick(self, number: int, found: list[tuple[int, Slot]], *tags: int) -> int:
        """A pointer to a capability of those kinds; one time in sixteen, or without any, to anything."""
        fitting = [pointer for pointer, slot in found if slot.cap.tag in tags]
        if fitting and number & 15:
            return fitting[(number >> 4) % len(fitting)]
        return found[(number >> 4) % len(found)][0] if found and number & 31 else self._stray(number)

    def _stray(self, number: int) -> int:
        """A pointer to anywhere; most times to a slot, since a fault mostly is a thread's end."""
        root = self.state.current.slots[TCB_CTABLE].cap
        if number & 0xF00 and isinstance(root, CNodeCap):
            return root.guard << root.radix | number & ((1 << root.radix) - 1)
        return number

    def _call(self, pointer: int, label: str | int, *words: int, caps: tuple[int, ...] = ()) -> None:
        driver = self.driver
        if isinstance(label, str) and label not in self.labels:
            label = len(self.labels)
        driver.call(pointer, label, *words, caps=caps)

    # --- actions: (step, what is reachable, the CNodes of it) -> the slot of an untyped that was to be revoked

    def retype(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        untyped = self._pick(step[1], found, Tag.UNTYPED)
        kind = step[2] % len(self.kinds)
        size = step[3] % 14
        if self.divides:
            # Most sizes would be too many or too few objects.
            cap = next((slot.cap for pointer, slot in found if pointer == untyped), None)
            bits = cap.size_bits if isinstance(cap, UntypedCap) else 12
            name = self.kinds[kind]
            if name in ("TCB", "Endpoint", "AsyncEndpoint"):
                kind = kind if step[3] & 1 else 0
            size = max(1, bits - step[3] % 4 - (4 if name == "CapTable" else 0))
        root, node = nodes[step[4] % len(nodes)][:2] if nodes else (CNODE, None)
        index = _free(node, step[5]) if node is not None else step[5]
        count = () if self.divides else (1 + step[6] % 3,)
        self._call(untyped, "UntypedRetype", kind, size, 0, 0, index, *count, caps=(root,))

    def derive(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        if not nodes:
            return self.wild(step, found, nodes)
        name = ("CNodeCopy", "CNodeMint", "CNodeMove", "CNodeMutate", "CNodeMint", "CNodeCopy")[step[1] % 6]
        root, node, depth, guard = nodes[step[2] % len(nodes)]
        source, origin, depth2, guard2 = nodes[step[3] % len(nodes)]
        badge = (0, 1, 2, 3, step[6], WORD_BITS - node.radix << 3)[step[6] % 6]
        where = (guard | _free(node, step[4]), depth, guard2 | _used(origin, step[5]), depth2)
        words = (*where, step[7] % 16, badge)
        if name in ("CNodeMutate", "CNodeMove"):
            words = (*words[:4], badge, 0)
        self._call(root, name, *words, caps=(source,))
        return None

    def remove(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> Slot | None:
        if not nodes:
            self.wild(step, found, nodes)
            return None
        names = ("CNodeDelete", "CNodeRevoke", "CNodeDelete", "CNodeRevoke", "CNodeSaveCaller",
                 "CNodeCancelBadgedSends", "CNodeRecycle")  # fmt: skip
        name = names[step[1] % len(names)]
        root, node, depth, guard = nodes[step[2] % len(nodes)]
        index = _used(node, step[3]) if name != "CNodeSaveCaller" else _free(node, step[3])
        if node.address == 0x4000_0000 and (index in (TCB, CNODE, VSPACE, BUFFER) or index < 40) and step[4] & 15:
            index = 40 + index % 24  # what everything rests on goes rarely
        slot = node.slot(index)
        self._call(root, name, guard | index, depth)
        return slot if name == "CNodeRevoke" and slot.cap.tag == Tag.UNTYPED else None

    def rotate(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        if not nodes:
            return self.wild(step, found, nodes)
        root, node, depth, guard = nodes[step[1] % len(nodes)]
        pivot, middle, depth2, guard2 = nodes[step[2] % len(nodes)]
        source, origin, depth3, guard3 = nodes[step[3] % len(nodes)]
        index = _used(origin, step[6])
        goal = index if step[8] & 3 == 0 and node is origin else _free(node, step[4])
        words = (guard | goal, depth, 0, guard2 | _used(middle, step[5]), depth2, 0, guard3 | index, depth3)
        self._call(root, "CNodeRotate", *words, caps=(pivot, source))
        return None

    def control(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        names = [name for name in self.names if name.startswith("TCB")]
        name = names[step[1] % len(names)]
        thread = self._pick(step[2], found, Tag.THREAD)
        if step[9] & 0xFF0:
            # Not to the running thread, most times.
            others = [(at, slot) for at, slot in found if slot.cap.address != self.state.current.address]
            thread = self._pick(step[2] | 1, others, Tag.THREAD)
        croot = self._pick(step[3], found, Tag.CNODE)
        vroot = self._pick(step[4], found, Tag.PAGE_DIRECTORY, *(() if self.pages else (Tag.CNODE,)))
        frame = self._pick(step[5], found, Tag.FRAME)
        if name in ("TCBConfigure", "TCBSetSpace"):
            guard = (0, 0, (WORD_BITS - 4) << 3, (WORD_BITS - 12) << 3)[step[6] % 4]
            priority = (step[7] % 128,) if name == "TCBConfigure" and self._old_configure() else ()
            buffer = (0, 0x1000, 0x1200)[step[8] % 3]
            self._call(thread, name, step[7] % 8, *priority, guard, 0, buffer, caps=(croot, vroot, frame))
        elif name in ("TCBSetPriority", "TCBSetMCPriority", "TCBSetSchedParams"):
            authority = self._pick(step[3], found, Tag.THREAD)
            self._call(thread, name, step[6] % 110, step[7] % 110, caps=(authority,))
        elif name == "TCBSetIPCBuffer":
            self._call(thread, name, (0, 0x1000, 0x1210)[step[6] % 3], caps=(frame,))
        elif name == "TCBBindNotification":
            self._call(thread, name, caps=(self._pick(step[3], found, Tag.NOTIFICATION),))
        elif name == "TCBCopyRegisters":
            self._call(thread, name, step[6] % 16, caps=(self._pick(step[3], found, Tag.THREAD),))
        else:
            self._call(thread, name, step[6] % 4, step[7] % 24, step[8], step[3])

    def space(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        address = ((step[4] % 4) << 20) + (step[5] % 4 << 12) + 0x200_0000
        root = self._pick(step[3], found, Tag.PAGE_DIRECTORY)
        frame = self._pick(step[2], found, Tag.FRAME)
        choice = step[1] % 8
        if not self.pages:
            status = FaultStatus.TRANSLATION_SECTION | (FaultStatus.WRITE if step[6] & 1 else 0)
            careful = step[9] & 0xF0
            at = (0x1_0000 + (step[4] % 3 << 12)) if careful or step[6] & 2 else address
            if careful:
                status = FaultStatus.TRANSLATION_SECTION
                top = self.state.current.slots[TCB_VTABLE].cap
                if not isinstance(top, CNodeCap) or find(self.state, top, at) is None:
                    return self.wild(step, found, nodes)
            kind = TrapKind.PREFETCH_ABORT if step[6] & 4 else TrapKind.DATA_ABORT
            self.driver.enter(Trap(kind, at, status))
            return None
        if choice < 3:
            self._call(frame, "ARMPageMap", address, step[6] % 4, step[7] % 8, caps=(root,))
        elif choice == 3:
            self._call(frame, ("ARMPageUnmap", "ARMPageRemap")[step[6] & 1], 3, 3, caps=(root,))
        elif choice == 4:
            table = self._pick(step[2], found, Tag.PAGE_TABLE)
            self._call(table, "ARMPageTableMap", address & -(1 << 20), 3, caps=(root,))
        elif choice == 5:
            self._call(self._pick(step[2], found, Tag.PAGE_TABLE), "ARMPageTableUnmap")
        elif choice == 6:
            pool = self._pick(step[2], found, Tag.ASID_POOL)
            self._call(pool, "ARMASIDPoolAssign", caps=(root,))
        else:
            control = self._pick(step[2], found, Tag.ASID_CONTROL)
            untyped = self._pick(step[3], found, Tag.UNTYPED)
            if not nodes:
                return self.wild(step, found, nodes)
            place, node, depth, guard = nodes[step[6] % len(nodes)]
            where = (guard | _free(node, step[7]), depth)
            self._call(control, "ARMASIDControlMakePool", *where, caps=(untyped, place))
        return None

    def interrupts(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        choice = step[1] % 6
        irq = 40 + step[2] % 3
        if choice < 2 and nodes:
            place, node, depth, guard = nodes[step[3] % len(nodes)]
            where = (guard | _free(node, step[4]), depth)
            control = self._pick(step[5], found, Tag.IRQ_CONTROL)
            self._call(control, "IRQIssueIRQHandler", irq, *where, caps=(place,))
        elif choice == 2:
            name = ("IRQAckIRQ", "IRQSetIRQHandler", "IRQClearIRQHandler")[step[6] % 3]
            notification = self._pick(step[4], found, Tag.NOTIFICATION)
            self._call(self._pick(step[3], found, Tag.IRQ_HANDLER), name, caps=(notification,))
        elif choice == 3:
            domain = self._pick(step[3], found, Tag.DOMAIN)
            names = ("DomainSetSet", "DomainScheduleConfigure", "DomainScheduleSetStart")
            thread = self._pick(step[4], found, Tag.THREAD)
            self._call(domain, names[step[5] % 3], step[6] % 3, step[7] % 3, 1, 0, caps=(thread,))
        else:
            self.driver.kernel.raise_irq(irq)
            self.driver.enter(Trap(TrapKind.INTERRUPT))

    def talk(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        names = ("Send", "NBSend", "Call", "NBRecv", "Recv", "Reply", "ReplyRecv", "NBSend", "NBSend", "NBRecv")
        name = names[step[1] % len(names)]
        # The initial thread rarely waits, so that walks are long.
        if name not in self.driver.calls or (self.state.current.number == 0 and step[9] & 0xFF0):
            name = ("NBSend", "Send")[step[5] & 1] if self._waited_for(found) else "NBSend"
        target = self._pick(
            step[2], found, Tag.ENDPOINT, Tag.NOTIFICATION, Tag.ASYNC_ENDPOINT, Tag.REPLY, Tag.ENDPOINT
        )
        caps = tuple(found[each % len(found)][0] for each in step[3 : 3 + step[6] % 4]) if found else ()
        words = tuple(range(step[7] % 7))
        self.driver.system_call(name, target, step[8] & 0xFFF, words, caps)

    def _waited_for(self, found: list[tuple[int, Slot]]) -> bool:
        """Whether threads wait to receive from every endpoint within reach, so that a Send does not wait."""
        endpoints = [self.state.objects[slot.cap.address] for _, slot in found if slot.cap.tag == Tag.ENDPOINT]
        return all(isinstance(each, Endpoint) and each.state == EP_RECEIVE for each in endpoints)

    def trap(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        kinds = (TrapKind.INTERRUPT, TrapKind.INTERRUPT, TrapKind.INTERRUPT, TrapKind.DATA_ABORT,
                 TrapKind.PREFETCH_ABORT, TrapKind.UNDEFINED)  # fmt: skip
        kind = kinds[step[1] % len(kinds)]
        if step[9] & 0xFF0:
            kind = TrapKind.INTERRUPT
        if step[2] & 1:
            self.driver.system_call("Yield", 0)
        else:
            self.driver.enter(Trap(kind, step[3], 7))

    def wild(self, step: Step, found: list[tuple[int, Slot]], nodes: list[Place]) -> None:
        names = tuple(name for name in ("Call", "Send", "NBSend", "Reply") if name in self.driver.calls)
        pointer = found[step[2] % len(found)][0] if found and step[2] & 3 else self._stray(step[3])
        caps = tuple(found[each % len(found)][0] if found and each & 3 else self._stray(each) for each in step[4:7])
        words = tuple(step[(index + step[1]) % len(step)] for index in range(step[7] % 10))
        label = step[8] % (len(self.labels) + 2)
        self.driver.system_call(names[step[1] % len(names)], pointer, label, words, caps[: step[9] % 4])


_ACTIONS: Final = (
    Walk.retype, Walk.retype, Walk.derive, Walk.derive, Walk.derive, Walk.remove, Walk.remove, Walk.rotate,
    Walk.control, Walk.control, Walk.space, Walk.space, Walk.interrupts, Walk.talk, Walk.talk, Walk.trap, Walk.trap,
    Walk.wild,
)  # fmt: skip
ACTIONS: Final = len(_ACTIONS)


def _free(node: CNode, number: int) -> int:
    """An index whose slot is empty, most times; low ones, so that the large CNode stays small."""
    size = min(1 << node.radix, 96)
    start = number % size
    if number & 0xE000 == 0xE000:
        return start
    for index in (*range(start, size), *range(start)):
        slot = node.slots.get(index)
        if slot is None or slot.cap.tag == Tag.NULL:
            return index
    return start


def _used(node: CNode, number: int) -> int:
    """An index whose slot is occupied, most times."""
    used = [index for index, slot in node.slots.items() if slot.cap.tag != Tag.NULL]
    if not used or number & 0xF000 == 0xF000:
        return number & ((1 << node.radix) - 1)
    return used[number % len(used)]


def run(release: str, steps: list[Step]) -> int:
    """Make the steps in a fresh system; how many were made before it could not go on. Raises `Violation`."""
    walk = Walk(release)
    for step in steps:
        if walk.over:
            break
        try:
            walk.step(step)
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}") from error
    return walk.steps


def shorten(release: str, steps: list[Step], attempts: int = 400) -> list[Step]:
    """A shorter list that still violates a law: ever smaller parts are left out as long as that works."""

    def fails(candidate: list[Step]) -> bool:
        try:
            run(release, candidate)
        except Violation:
            return True
        return False

    part = max(1, len(steps) // 2)
    while attempts > 0:
        start = 0
        shortened = False
        while start < len(steps) and attempts > 0:
            candidate = steps[:start] + steps[start + part :]
            attempts -= 1
            if fails(candidate):
                steps, shortened = candidate, True
            else:
                start += part
        if part == 1 and not shortened:
            break
        part = max(1, part // 2)
    return steps
