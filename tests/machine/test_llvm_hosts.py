"""What is generated names no host: it compiles for every host that llvmlite supports."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import llvmlite.binding as llvm
import pytest
from llvm_pair import CODE, RAM
from retrap.machine.llvm import arena, change, helpers, interpreter, relay, tables, trampoline
from retrap.machine.llvm.compiler import Compiler
from retrap.machine.llvm.lower import Lowering, Shape
from retrap.machine.llvm.region import discover
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, AddressSpace

HOSTS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "arm64-apple-macosx13.0.0",
    "x86_64-apple-macosx13.0.0",
)

# loop: ldm, vadd.f64, strd, umlal, clz, subs, bl, bne; svc
GUEST = (0xE892001B, 0xEE311B02, 0xE1C200F0, 0xE0A31492, 0xE16F0F11, 0xE2555001, 0xEB000000, 0x1AFFFFF7, 0xEF000000)


@pytest.fixture(scope="module", params=HOSTS)
def compiler(request: pytest.FixtureRequest) -> Iterator[Compiler]:
    """A compiler for another host."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    made = Compiler()
    try:
        target = llvm.Target.from_triple(request.param)
    except RuntimeError:
        pytest.skip(f"this llvmlite does not compile for {request.param}")
    object.__setattr__(made, "_triple", request.param)
    machine = target.create_target_machine(reloc="pic", codemodel="small")
    object.__setattr__(made, "_machines", {Shape.QUICK: machine, Shape.TUNED: machine})
    yield made


def test_the_way_in_and_its_helpers(compiler: Compiler) -> None:
    assert compiler.compile(trampoline.text() + change.text() + tables.text(), Shape.TUNED)
    assert compiler.compile(helpers.text(), Shape.TUNED)
    assert compiler.compile(relay.text(), Shape.TUNED)
    assert compiler.compile(interpreter.text(), Shape.TUNED)


@pytest.mark.parametrize("logs", [False, True])
@pytest.mark.parametrize("shape", Shape)
def test_regions(compiler: Compiler, shape: Shape, logs: bool) -> None:
    memory = PhysicalMemory([(RAM, 1 << 16)])
    memory.write(RAM, struct.pack(f"<{len(GUEST)}I", *GUEST))
    space = AddressSpace(memory)
    space.map(CODE, RAM, 12, READ | EXECUTE)
    region = discover(space, CODE, {CODE + 4 * n for n in range(9)}, 100, shape is Shape.TUNED)
    assert region is not None
    assert compiler.compile(Lowering("f", region.runs, shape, logs).text(), shape)


def test_only_this_kind_of_object_is_copied(compiler: Compiler) -> None:
    data = compiler.compile("define i64 @f(ptr %c) {\nret i64 7\n}", Shape.QUICK)
    if compiler._triple == HOSTS[0]:
        text, functions, *_ = arena.text_of(data)
        assert text
        assert functions == {"f": 0}
    else:
        with pytest.raises(arena.Unsuitable):
            arena.text_of(data)
