"""Messages that native code passes on by itself: nobody can tell, neither from the trace nor from what is left."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
sys.path.insert(0, str(Path(__file__).parents[1] / "kernel" / "releases"))

from kernel_driver import boot_plan
from release_driver import Guests
from retrap.machine.llvm.backend import LlvmBackend
from retrap.tools import boot, replay
from retrap.tools.session import Session
from retrap.traces.schema import Header
from retrap.traces.writer import Recorder

CODE = 0x1_0000
SAMPLES = Path(__file__).parents[2] / "samples" / "prebuilt"

# What a thread does besides: nothing; add and rotate the message; an exclusive pair on its stack pointer; the same,
# torn apart by the system call.
ADD = (0xE0822003, 0xE0833FE2, 0xE0844002)
EXCLUSIVE = (0xE19D6F9F, 0xE18D8F96)
LOAD_EXCLUSIVE, STORE_EXCLUSIVE = (0xE19D6F9F,), (0xE18D8F96,)


@dataclass(frozen=True)
class Op:
    """A system call, and instructions before and after it."""

    call: str
    target: int
    info: int
    before: tuple[int, ...] = ADD
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """What a thread does once, and then for ever."""

    priority: int
    first: tuple[Op, ...]
    loop: tuple[Op, ...]
    far: bool = False  # in an address space of its own


def _move(register: int, value: int) -> tuple[int, int]:
    """MOVW, MOVT."""
    low, high = value & 0xFFFF, value >> 16 & 0xFFFF
    return (
        0xE3000000 | (low >> 12) << 16 | register << 12 | low & 0xFFF,
        0xE3400000 | (high >> 12) << 16 | register << 12 | high & 0xFFF,
    )


class Rig:
    """A session with threads on the hand-made kernel; each runs its program."""

    def __init__(self, relay: bool, release: str, programs: tuple[Program, ...], interval: int = 50) -> None:
        plan = boot_plan(name=release)
        self.session = session = Session(plan, "llvm")
        session.relay = relay
        backend = session.cpu.backend
        assert isinstance(backend, LlvmBackend)
        world = self.world = Guests.on(session.kernel, session.memory)
        one, other, bell = world.make("Endpoint"), world.make("Endpoint"), world.make("Notification")
        self.caps = [one, other, world.mint(one, 7), world.mint(other, 9), bell, world.mint(bell, 4)]
        threads = []
        for number, program in enumerate(programs):
            thread = world.thread(program.priority)
            threads.append(thread)
            at = CODE + 0x300 * number
            world.memory.write(0x4001_7000 + at - CODE, self._code(program))
            thread.context.words[15] = thread.context.words[30] = at
            thread.context.words[13] = CODE + 0x1800  # in the initial thread's IPC buffer
            if program.far:
                self._move_away(thread.number)
        world.run(*threads, below=1)
        world.memory.write(0x4001_7000 + 0xF00, struct.pack("<I", 0xEAFFFFFE))
        world.main.context.words[15] = CODE + 0xF00
        header = Header(
            release=release, platform="test", clock_hz=1_000_000, digest_interval=interval, plan_digest=bytes(32),
            image_name="none", image_sha256=hashlib.sha256(b"").digest(), manifest="{}", options=(), settings=(),
            inputs=(),
        )  # fmt: skip
        self.trace = io.BytesIO()
        kernel = session.kernel
        self.recorder = Recorder(self.trace, header, b"", kernel.threads, plan.release, kernel.digest)

    def _code(self, program: Program) -> bytes:
        calls = self.world.calls
        words: list[int] = []
        start = 0
        for index, op in enumerate((*program.first, *program.loop)):
            if index == len(program.first):
                start = len(words)
            words += [*op.before, *_move(0, self.caps[op.target]), *_move(1, op.info)]
            words += [*_move(7, calls[op.call] & 0xFFFF_FFFF), 0xEF000000, *op.after]
        words.append(0xEA000000 | start - len(words) - 2 & 0xFFFFFF)
        assert len(words) * 4 <= 0x300
        return struct.pack(f"<{len(words)}I", *words)

    def _move_away(self, number: int) -> None:
        """Give a thread an address space of its own, with the code and a stack."""
        world = self.world
        root = world.new_space()
        table = world.make("PageTable")
        assert world.table_map(table, 0, root) == 0
        code, stack = world.copy(17), world.make("SmallPage")
        assert world.page_map(code, CODE, root=root) == 0
        assert world.page_map(stack, CODE + 0x1000, root=root) == 0
        assert world.call(world.tcbs[number], "TCBSetSpace", 0, 0, 0, caps=(2, root)) == 0

    def run(self, instructions: int, recorded: bool = True) -> tuple[object, ...]:
        """Everything that can be seen of the run."""
        session = self.session
        result = session.run((self.recorder,) if recorded else (), None, instructions)
        if recorded:
            self.recorder.close(result.instructions, result.end.value, bytes.fromhex(result.state_digest))
        kernel = session.kernel
        assert kernel.check("full") == []
        contexts = [thread.context.words.tobytes() for thread in kernel.threads]
        memory = [hashlib.sha256(region.data).digest() for region in session.memory.regions]
        return result, contexts, memory, self.trace.getvalue()


def _info(length: int, label: int = 0) -> int:
    return label << 12 | length


def _both(release: str, programs: tuple[Program, ...], instructions: int, interval: int = 50) -> int:
    """Run with and without; how many system calls native code answered."""
    answered = 0
    seen = []
    for relay in (True, False):
        rig = Rig(relay, release, programs, interval)
        seen.append(rig.run(instructions))
        if relay:
            answered = rig.session.relayed
        else:
            assert rig.session.relayed == 0
    assert seen[0] == seen[1]
    return answered


SERVER = Program(20, (Op("Recv", 0, 0),), (Op("ReplyRecv", 0, _info(3, 5)),))
CLIENT = Program(20, (), (Op("Call", 2, _info(2)),))


@pytest.mark.parametrize(
    ("release", "far"), [("16.0.0", True), ("16.0.0", False), ("10.1.1", True), ("7.0.0", False), ("3.2.0", False)]
)
def test_a_server_and_a_client(release: str, far: bool) -> None:
    """With timer ticks every 2000 instructions, digests every 50 records, and frames of 4096."""
    client = Program(20, (), CLIENT.loop, far)
    answered = _both(release, (SERVER, client), 70_000)
    if release == "3.2.0":
        assert answered == 0  # a page in memory follows every switch there
    else:
        assert answered > 2000


def test_long_messages_and_exclusive_accesses() -> None:
    """Lengths on both sides of every limit; an exclusive pair is torn by a system call, and only by that."""
    lengths = (0, 4, 5, 60, 120, 121, 127)
    client = Program(
        15,
        (),
        (
            *(Op("Call", 2, _info(length), EXCLUSIVE) for length in lengths[:4]),
            *(Op("Call", 2, _info(length), LOAD_EXCLUSIVE, STORE_EXCLUSIVE) for length in lengths[4:]),
        ),
    )
    server = Program(
        20,
        (Op("Recv", 0, 0),),
        tuple(Op("ReplyRecv", 0, _info(length), LOAD_EXCLUSIVE, STORE_EXCLUSIVE) for length in lengths[::-1]),
    )
    assert _both("16.0.0", (server, client), 50_000, 1000) > 400


def test_two_servers_and_two_clients() -> None:
    """Chains of calls: a server calls another one before it answers."""
    front = Program(30, (Op("Recv", 0, 0),), (Op("Call", 3, _info(4)), Op("ReplyRecv", 0, _info(1))), far=True)
    back = Program(40, (Op("Recv", 1, 0),), (Op("ReplyRecv", 1, _info(2)),))
    assert _both("16.0.0", (front, back, CLIENT), 50_000) > 400


@st.composite
def ops(draw: st.DrawFn) -> Op:
    call = draw(st.sampled_from(("Call", "Call", "ReplyRecv", "ReplyRecv", "Send", "Recv", "NBRecv", "Yield")))
    length = draw(st.sampled_from((0, 1, 3, 4, 5, 20, 120, 125)))
    extra = draw(st.sampled_from((0, 0, 0, 0, 1)))
    parts = (ADD, EXCLUSIVE, LOAD_EXCLUSIVE, STORE_EXCLUSIVE, ())
    before, after = draw(st.sampled_from(parts)), draw(st.sampled_from(parts))
    return Op(call, draw(st.integers(0, 5)), _info(length, 9) | extra << 7, before, after)


programs = st.builds(
    Program,
    st.integers(10, 14),
    st.just(()),
    st.lists(ops(), min_size=1, max_size=4).map(tuple),
    st.booleans(),
)


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.lists(programs, min_size=0, max_size=2), st.integers(10, 14), st.integers(10, 14), st.integers(2, 90))
def test_random_threads_beside(others: list[Program], server: int, client: int, interval: int) -> None:
    """A server and a client, and threads that do anything, also with their endpoint."""
    pair = (Program(server, SERVER.first, SERVER.loop), Program(client, (), CLIENT.loop))
    _both("16.0.0", (*pair, *others), 40_000, interval)


def test_without_a_recorder() -> None:
    """Nothing is recorded, and everything else is the same."""
    seen = [Rig(relay, "16.0.0", (SERVER, CLIENT)).run(50_000, recorded=False) for relay in (True, False)]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", ["pingpong-arm", "pingpong-thumb"])
def test_the_sample_on_every_backend(name: str, tmp_path: Path) -> None:
    """Traces are equal, over several frames, and replay."""
    traces = []
    for backend in ("llvm", "evaluate"):
        trace = tmp_path / f"{backend}.rtr"
        boot(SAMPLES / f"{name}.elf", arguments="rounds=2100", trace=trace, backend=backend)
        traces.append(trace.read_bytes())
    assert traces[0] == traces[1]
    assert replay(tmp_path / "llvm.rtr").same
