"""The code cache on disk: what comes back, and what must not."""

from __future__ import annotations

import gc
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrap.machine.context import ContextArena, Slot
from retrap.machine.llvm import store as store_module
from retrap.machine.llvm.arena import Unsuitable, text_of
from retrap.machine.llvm.backend import LlvmBackend
from retrap.machine.llvm.store import Record, Store, default_folder, digest_of, open_store
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, AddressSpace

RAM, CODE = 0x40000000, 0x10000
LOOP = struct.pack("<5I", 0xE3A00000, 0xE0800005, 0xE2555001, 0x1AFFFFFC, 0xEF000000)

def run(folder: Path, monkeypatch: pytest.MonkeyPatch, code: bytes = LOOP) -> tuple[int, int, int]:
    """A loop over 100 … 1 in a process of its own, so to speak: (sum, regions compiled, regions fetched)."""
    monkeypatch.setenv("RETRAP_CACHE", str(folder))
    memory = PhysicalMemory([(RAM, 1 << 16)])
    memory.write(RAM, code)
    space = AddressSpace(memory)
    space.map(CODE, RAM, 12, READ | EXECUTE)
    backend = LlvmBackend(memory, hot=3)
    context = ContextArena().allocate()
    context.words[5] = 100
    context.words[Slot.PC] = CODE
    backend.run(context, space, 0, 10_000)
    native = backend.native
    found = context.words[0], native.compiled, native.fetched
    del backend, native, space, memory
    gc.collect()
    return found


def files(folder: Path) -> list[Path]:
    return sorted((folder / "code").iterdir())


def test_the_second_run_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch) == (5050, 1, 0)
    if open_store() is None:
        assert not (tmp_path / "code").exists()
        return
    assert run(tmp_path, monkeypatch) == (5050, 0, 1)


def test_other_code_does_not_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, monkeypatch)
    other = LOOP.replace(struct.pack("<I", 0xE0800005), struct.pack("<I", 0xE0400005))
    assert run(tmp_path, monkeypatch, other) == (-5050 & 0xFFFFFFFF, 1, 0)


@pytest.mark.parametrize("how", ["cut", "changed", "empty", "foreign"])
def test_files_that_are_not_intact_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    run(tmp_path, monkeypatch)
    for path in files(tmp_path) if (tmp_path / "code").exists() else []:
        data = path.read_bytes()
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        path.write_bytes({"cut": data[:-5], "changed": bytes(changed), "empty": b"", "foreign": b"x" * 500}[how])
    assert run(tmp_path, monkeypatch) == (5050, 1, 0)


def record(key: int, shape: int = 0, text: bytes = b"text") -> Record:
    return Record(shape, key, 3, ((key, key + 12),), (key,), digest_of((b"code",)), text)


def test_files_are_merged_and_later_forms_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("name", [record(0x1000), record(0x2000)])
    store.add("name", [record(0x1000, 1, b"tuned")])
    store.add("name", [record(0x1000, 0, b"quick again")])
    kept = store.regions("name")
    found = {one.key: (one.shape, one.text, one.spans, one.heads, one.instructions) for one in kept}
    assert found == {
        0x1000: (1, b"tuned", ((0x1000, 0x100C),), (0x1000,), 3),
        0x2000: (0, b"text", ((0x2000, 0x200C),), (0x2000,), 3),
    }
    assert not [path for path in files(tmp_path) if path.name.startswith("new-")]


def test_the_folder_is_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path, limit=5000)
    for n in range(10):
        store.write(f"file{n}", bytes(1000))
        os.utime(tmp_path / "code" / f"file{n}", ns=(n, n))
    store.trim()
    assert [path.name for path in files(tmp_path)] == ["file6", "file7", "file8", "file9"]


def test_a_folder_that_cannot_be_used_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run(blocked, monkeypatch) == (5050, 1, 0)
    store = Store(blocked)
    assert store.read("x") is None
    store.trim()


@pytest.mark.parametrize("said", ["off", "0", "", "no"])
def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("RETRAP_CACHE", said)
    assert default_folder() is None
    assert open_store() is None


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETRAP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "retrap"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "retrap"


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(58), bytes(200)])
def test_what_is_no_object_file_is_unsuitable(data: bytes) -> None:
    with pytest.raises(Unsuitable):
        text_of(data)


def test_a_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RETRAP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "retrap"


def test_every_altered_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add("name", [record(0x1000), record(0x2000, 1, bytes(100))])
    path = tmp_path / "code" / "name"
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        assert store.regions("name") == []
        path.write_bytes(data[:at])
        assert store.regions("name") == []
    path.write_bytes(data + b"\0")
    assert store.regions("name") == []
    path.write_bytes(data)
    assert len(store.regions("name")) == 2


@given(data=st.binary(max_size=200))
def test_any_content_is_read_without_an_exception(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "any")
    store.write("name", data)
    for one in store.regions("name"):
        assert len(one.digest) <= 16


def test_files_of_another_version_of_library_or_definitions_are_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, monkeypatch)
    for name in ("_library", "definitions"):
        monkeypatch.setattr(store_module, name, lambda: "another")
        assert run(tmp_path, monkeypatch)[:2] == (5050, 1)
        monkeypatch.undo()


WRITERS = """
import sys
from retrap.machine.llvm.store import Record, Store, digest_of
store = Store(__import__("pathlib").Path(sys.argv[1]))
for n in range(60):
    key = int(sys.argv[2]) + n * 16
    store.add("shared", [Record(0, key, 3, ((key, key + 12),), (key,), digest_of((b"code",)), bytes(500))])
    store.add(f"own{sys.argv[2]}", [Record(0, key, 3, ((key, key + 12),), (key,), digest_of((b"c",)), b"t")])
    for one in store.regions("shared"):
        assert one.text == bytes(500)
"""


def test_processes_that_write_at_the_same_time_leave_whole_files(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITERS, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(n)]) for n in (0x10000, 0x20000)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = Store(tmp_path)
    assert sorted(path.name for path in files(tmp_path)) == ["own131072", "own65536", "shared"]
    assert len(store.regions("own65536")) == len(store.regions("own131072")) == 60
    assert len(store.regions("shared")) >= 60  # whoever was overwritten is compiled again


HOT_RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import resource
if sys.argv[2] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
from retrap.machine.context import ContextArena, Slot
from retrap.machine.llvm.backend import LlvmBackend
from retrap.machine.memory import PhysicalMemory
from retrap.machine.space import EXECUTE, READ, AddressSpace
memory = PhysicalMemory([(0x40000000, 1 << 16)])
memory.write(0x40000000, bytes.fromhex(sys.argv[3]))
space = AddressSpace(memory)
space.map(0x10000, 0x40000000, 12, READ | EXECUTE)
backend = LlvmBackend(memory, hot=3)
context = ContextArena().allocate()
context.words[5] = 100
context.words[Slot.PC] = 0x10000
backend.run(context, space, 0, 10_000)
assert backend.native.compiled == 1
sys.stdout.write(str(context.words[0]))
"""


@pytest.mark.parametrize("where", ["full disk", "no home", "home is a file", "read-only"])
def test_a_run_that_cannot_keep_its_code_says_nothing(tmp_path: Path, where: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("RETRAP_CACHE", "XDG_CACHE_HOME")}
    environment["HOME"] = {"no home": "", "home is a file": "/dev/null"}.get(where, str(tmp_path))
    if where == "no home":
        environment["XDG_CACHE_HOME"] = "/proc/nowhere"
    if where == "read-only":
        tmp_path.chmod(0o500)  # root writes there all the same
    command = [sys.executable, "-c", HOT_RUN, "", "64" if where == "full disk" else "-", LOOP.hex()]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    tmp_path.chmod(0o700)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "5050", "")
    if where == "full disk":
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
