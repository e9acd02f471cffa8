"""Measure system calls whose handler is empty: `svc` round trips a second, retrap beside unicorn, in turns.

`python benchmarks/svc.py`. The guest is a loop of three instructions (count, svc, branch). The handler in Python
returns at once, in unicorn's interrupt hook as in a loop around `Cpu.run`, which has to move PC itself. The last
row is what retrap does with Calls and ReplyRecvs of which it knows what becomes (`machine.relay`): native code
answers. Processor time, the best of several turns.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable

from retrap.machine.context import Context, ContextArena, Slot
from retrap.machine.cpu import Cpu
from retrap.machine.memory import PhysicalMemory
from retrap.machine.relay import Block, RelayTable
from retrap.machine.space import AddressSpace
from retrap.tools.build import description

CODE = 0x1_0000
PROGRAM = struct.pack("<3I", 0xE2866001, 0xEF000000, 0xEAFFFFFC)  # add r6, r6, #1; svc #0; b CODE
COUNT = 100_000
TURNS = 7


def machine() -> tuple[Cpu, Context, AddressSpace]:
    """The guest, once around."""
    memory = PhysicalMemory(((0x4000_0000, 1 << 20),))
    cpu = Cpu(memory, "llvm")
    space = AddressSpace(memory)
    space.map(CODE, 0x4000_0000, 12, 7)
    memory.write(0x4000_0000, PROGRAM)
    context = ContextArena().allocate()
    context.words[Slot.PC] = CODE
    for _ in range(1000):
        cpu.run(context, space, 1000)
        context.words[Slot.PC] += 4
    return cpu, context, space


def handled_in_python() -> Callable[[], None]:
    cpu, context, space = machine()
    words = context.words

    def turn() -> None:
        run = cpu.run
        for _ in range(COUNT):
            run(context, space, 1000)
            words[15] += 4

    return turn


def answered_natively() -> Callable[[], None]:
    cpu, context, space = machine()
    table = RelayTable()
    node = table.add_node()
    environment = cpu.environment(space)
    table.add_edge(node, 0, context, environment, node, 0, (0, 0), 0, 0, (0, 0))
    words = table.words

    def turn() -> None:
        words[Block.CONTEXT], words[Block.ENVIRONMENT], words[Block.NODE] = context.address, environment, node
        words[Block.JOURNAL], words[Block.ROOM] = 0, COUNT - 1
        before = context.words[6]
        assert cpu.relay(table, 4 * COUNT)
        context.words[Slot.PC] += 4
        assert context.words[6] - before == COUNT

    return turn


def unicorn() -> Callable[[], None] | None:
    try:
        from unicorn import UC_ARCH_ARM, UC_HOOK_INTR, UC_MODE_ARM, Uc
    except ImportError:
        return None
    other = Uc(UC_ARCH_ARM, UC_MODE_ARM)
    other.mem_map(CODE, 4096)
    other.mem_write(CODE, PROGRAM)
    other.hook_add(UC_HOOK_INTR, lambda machine, number, data: None)
    return lambda: other.emu_start(CODE, 0, count=3 * COUNT)


def main() -> None:
    """Print one line a figure."""
    rows = {
        "unicorn, hook in Python": unicorn(),
        "retrap, handler in Python": handled_in_python(),
        "retrap, answered natively": answered_natively(),
    }
    best: dict[str, float] = {}
    for _ in range(TURNS):
        for name, turn in rows.items():
            if turn is not None:
                start = time.process_time()
                turn()
                best[name] = min(best.get(name, 1e9), (time.process_time() - start) / COUNT)
    first = best.get("unicorn, hook in Python")
    sys.stdout.write(f"retrap is {description()}\n")
    for name, seconds in best.items():
        ratio = f"{first / seconds:8.1f} x unicorn" if first else ""
        sys.stdout.write(f"{name:<28}{seconds * 1e9:9.0f} ns{1 / seconds:14,.0f} a second{ratio}\n")


if __name__ == "__main__":
    main()
