"""Measure the trap path alone: microseconds per kernel entry, with no instruction executed in between.

`python benchmarks/trap_path.py [--repeats N]`. A kernel is booted from a plan made by hand, and its registers and
IPC buffer are filled as user code would fill them; what that costs is measured apart and taken off. "recorded" adds
the trace: registers taken at the trap, the record encoded. What the end of a frame costs (compression, checksums,
state digest) is measured apart and quoted per record.

Every figure is a mean over short stretches of kernel entries, of each stretch the fastest of all repeats: what else
the machine does disturbs it little. The first line says how long the machine takes for a small object made by plain
Python, so that figures of two machines, or of two days, can be compared.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import time
import timeit
from array import array
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "kernel"))

from kernel_driver import CNODE, FREE, UNTYPED, VSPACE  # noqa: E402
from retrap.machine.traps import SVC  # noqa: E402
from retrap.tools import process  # noqa: E402
from retrap.tools.build import description  # noqa: E402
from retrap.traces.schema import Header  # noqa: E402
from retrap.traces.writer import DIGEST_INTERVAL, FRAME_RECORDS, Recorder  # noqa: E402
from threads_driver import World  # noqa: E402

BATCH = 500
"""Kernel entries of one phase, where it does not say otherwise."""

STRETCH = 25
"""Kernel entries that are timed together."""

MIX = {"frames": 920, "cnodes": 760, "untyped": 470, "debug": 190, "ipc": 15}
"""Kernel entries of seL4's own test suite, in thousands, by the rows below that stand for them."""

Step = tuple[memoryview, memoryview]
"""r0 … r7 of the running thread, and words 5 … of its IPC buffer (MR4 and what follows)."""


class Bench:
    """One kernel; each row prepares its world, then enters the kernel again and again."""

    def __init__(self) -> None:
        self.world = World()
        self.time = 0
        state = self.world.state
        plan = state.plan
        self.trace = io.BytesIO()
        image = b""
        header = Header(
            release=plan.release.name, platform="test", clock_hz=1_000_000, digest_interval=DIGEST_INTERVAL,
            plan_digest=bytes(32), image_name="none", image_sha256=hashlib.sha256(image).digest(),
            manifest="{}", options=(), settings=(), inputs=(),
        )  # fmt: skip
        kernel = self.world.kernel
        self.recorder = Recorder(self.trace, header, image, kernel.threads, plan.release, kernel.digest)

    def step(self, name: str, cptr: int, label: str | int = 0, words: tuple[int, ...] = (), caps: int = 0) -> Step:
        """The registers and buffer words of one system call."""
        number = self.world.labels[label] if isinstance(label, str) else label
        registers = [cptr, number << 12 | caps << 7 | len(words), *words[:4]]
        registers += [0] * (7 - len(registers)) + [self.world.calls[name] & 0xFFFF_FFFF]
        return memoryview(array("I", registers)), memoryview(array("I", words[4:]))

    def run(self, steps: list[Step], recorded: bool) -> list[int]:
        """Enter the kernel with each step; nanoseconds of each stretch."""
        kernel = self.world.kernel
        buffer = self.world.buffer(self.world.main)
        recorder = self.recorder
        now = self.time
        kernel.effects.watched = recorded
        enter = kernel.enter
        times = []
        for first in range(0, len(steps), STRETCH):
            stretch = steps[first : first + STRETCH]
            start = time.perf_counter_ns()
            for registers, words in stretch:
                now += 100
                kernel.context.head[:8] = registers
                buffer[5 : 5 + len(words)] = words
                if recorded:
                    enter(SVC, now)
                    recorder.after(kernel.effects)
                else:
                    enter(SVC, now)
            times.append(time.perf_counter_ns() - start)
        self.time = now
        return times

    def prepare_only(self, steps: list[Step]) -> float:
        """Nanoseconds per step of what `run` does besides entering the kernel."""
        kernel = self.world.kernel
        buffer = self.world.buffer(self.world.main)
        now = self.time
        stretch = steps[:STRETCH]
        best = 1 << 62
        for _ in range(50):
            start = time.perf_counter_ns()
            for registers, words in stretch:
                now += 100
                kernel.context.head[:8] = registers
                buffer[5 : 5 + len(words)] = words
            best = min(best, time.perf_counter_ns() - start)
        return best / len(stretch)

    def frame_end(self) -> int:
        """Fill a frame with entries that are all alike; nanoseconds of the record that ends it."""
        kernel = self.world.kernel
        registers, _ = self.step("DebugPutChar", 65)
        slowest = 0
        for _ in range(FRAME_RECORDS):
            self.time += 100
            kernel.context.head[:8] = registers
            kernel.enter(SVC, self.time)
            start = time.perf_counter_ns()
            self.recorder.after(kernel.effects)
            slowest = max(slowest, time.perf_counter_ns() - start)
        return slowest


REVOKE = "CNode_Revoke, per capability"

Row = list[tuple[str, list[Step]]]
"""Phases in order: (what is measured, or nothing; steps)."""


def _caps(bench: Bench, *caps: int) -> None:
    buffer = bench.world.buffer(bench.world.main)
    for index, cap in enumerate(caps):
        buffer[122 + index] = cap


def untyped_row(bench: Bench) -> Row:
    """Retype one frame at a time into slots from `FREE + 1000` on, and delete them by revoking."""
    page = bench.world.objects["SmallPage"]
    first = FREE + 1000
    make = [
        bench.step("Call", UNTYPED + 5, "UntypedRetype", (page, 12, 0, 0, first + n, 1), 1) for n in range(BATCH)
    ]
    revoke = [bench.step("Call", CNODE, "CNodeRevoke", (UNTYPED + 5, 32))]
    return [("Untyped_Retype", make), ("", revoke)]


def cnode_row(bench: Bench) -> Row:
    """Copy an endpoint capability into many slots and delete the copies; copy again, and revoke."""
    world = bench.world
    source = world.make("Endpoint")
    first = FREE + 1000
    copy = [bench.step("Call", CNODE, "CNodeCopy", (first + n, 32, source, 32, 15), 1) for n in range(BATCH)]
    delete = [bench.step("Call", CNODE, "CNodeDelete", (first + n, 32)) for n in range(BATCH)]
    revoke = [bench.step("Call", CNODE, "CNodeRevoke", (source, 32))]
    return [("CNode_Copy", copy), ("CNode_Delete", delete), ("", copy), (REVOKE, revoke)]


def frames_row(bench: Bench) -> Row:
    """Map many frames, clean their caches, unmap them."""
    world = bench.world
    table = world.make("PageTable")
    assert world.table_map(table, 0x1000_0000) == 0
    frames = world.make("SmallPage", count=200)
    here = [(frames + n, 0x1000_0000 + (n << 12)) for n in range(200)]
    bench.world.buffer(bench.world.main)[122] = VSPACE
    put = [bench.step("Call", frame, "ARMPageMap", (at, 3, 3), 1) for frame, at in here]
    unify = [bench.step("Call", frame, "ARMPageUnify_Instruction", (0, 4096)) for frame, _ in here]
    take = [bench.step("Call", frame, "ARMPageUnmap") for frame, _ in here]
    return [("Page_Map", put), ("Page_Unify_Instruction", unify), ("Page_Unmap", take)]


def debug_row(bench: Bench) -> Row:
    """One byte to the console."""
    return [("DebugPutChar", [bench.step("DebugPutChar", 65)] * BATCH)]


def signal_row(bench: Bench) -> Row:
    """Signal and Wait by one thread: nobody blocks."""
    notification = bench.world.make("Notification")
    steps = [bench.step("Send", notification), bench.step("Recv", notification)] * (BATCH // 2)
    return [("Signal, Wait", steps)]


def ipc_row(bench: Bench) -> Row:
    """Call and ReplyRecv between two threads, two words each way: a switch of threads at every entry."""
    world = bench.world
    endpoint = world.make("Endpoint")
    server = world.thread(100)
    assert world.runs(server)
    world.recv(endpoint)
    assert world.runs(world.main)
    steps = [bench.step("Call", endpoint, 7, (1, 2)), bench.step("ReplyRecv", endpoint, 0, (3, 4))]
    return [("Call, ReplyRecv", steps * (BATCH // 2))]


ROWS: dict[str, tuple[Callable[[Bench], Row], int]] = {
    "untyped": (untyped_row, CNODE),
    "cnodes": (cnode_row, CNODE),
    "frames": (frames_row, VSPACE),
    "debug": (debug_row, 0),
    "signal": (signal_row, 0),
    "ipc": (ipc_row, 0),
}


def measure(name: str, repeats: int, recorded: bool) -> dict[str, float]:
    """Microseconds per entry of each phase of a row."""
    bench = Bench()
    make, extra = ROWS[name]
    phases = make(bench)
    _caps(bench, extra)
    best: dict[str, list[int]] = {}
    for _ in range(repeats):
        for title, steps in phases:
            times = bench.run(steps, recorded)
            effects = bench.world.effects
            assert effects.error == 0 and not effects.fault and not bench.world.kernel.crashed, effects.reason
            best[title] = [min(pair) for pair in zip(best.get(title, times), times, strict=True)]
    figures = {}
    for title, steps in phases:
        if title:
            entries = BATCH if title == REVOKE else len(steps)
            figures[title] = (sum(best[title]) - len(steps) * bench.prepare_only(steps)) / entries / 1000
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    out = sys.stdout
    process.collect_rarely()  # as the command does
    made = min(timeit.repeat("Step(1, 2, 3)", globals={"Step": Small}, number=100, repeat=3000)) * 10_000_000
    out.write(f"retrap is {description()}; this machine makes a small object of plain Python in {made:.0f} ns\n")
    out.write(f"{'µs per kernel entry':<34}{'kernel':>9}{'recorded':>10}\n")
    total = sum(MIX.values())
    mean = [0.0, 0.0]
    for name in ROWS:
        alone = measure(name, repeats, recorded=False)
        with_trace = measure(name, repeats, recorded=True)
        for title, value in alone.items():
            out.write(f"{title:<34}{value:>9.2f}{with_trace[title]:>10.2f}\n")
        counted = [title for title in alone if title != REVOKE]
        for column, figures in enumerate((alone, with_trace)):
            share = MIX.get(name, 0) / total
            mean[column] += share * sum(figures[title] for title in counted) / len(counted)
    out.write(f"{'mean over the mix of sel4test':<34}{mean[0]:>9.2f}{mean[1]:>10.2f}\n")
    bench = Bench()
    end = min(bench.frame_end() for _ in range(10)) / FRAME_RECORDS / 1000
    out.write(f"{'end of a frame, per record':<34}{'':>9}{end:>10.2f}\n")


class Small:
    """An object with three fields: the measure of this machine."""

    __slots__ = ("a", "b", "c")

    def __init__(self, a: int, b: int, c: int) -> None:
        self.a = a
        self.b = b
        self.c = c


if __name__ == "__main__":
    main()
