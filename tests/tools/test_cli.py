"""The verbs as a user meets them: what they print, where, and with which exit status."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from elf_builder import Elf, Load, R, W, X
from retrap.tools import replay

SPIN = struct.pack("<I", 0xEAFFFFFE)  # b .
THUMB_SPIN = struct.pack("<2H", 0xE7FE, 0xE7FE)
UDF = struct.pack("<I", 0xE7F000F0)


def guest(path: Path, code: bytes, **changes: object) -> Path:
    """An image of one executable segment."""
    path.write_bytes(Elf(segments=(Load(0x10000, code, flags=R | X),), **changes).build())  # type: ignore[arg-type]
    return path


def test_boot_prints_the_console_on_standard_output_only(run, samples) -> None:
    ran = run("boot", samples / "hello-arm.elf")
    assert ran.status == 0
    assert ran.out.splitlines()[-1] == "PASS"
    assert ran.err == ""


@pytest.mark.parametrize("mode", ["arm", "thumb"])
@pytest.mark.parametrize("name", ["hello", "retype", "pingpong", "delegate", "pager", "preempt"])
def test_every_sample_passes_with_all_invariants(run, samples, name: str, mode: str) -> None:
    level = "cheap" if name == "preempt" else "full"
    ran = run("boot", samples / f"{name}-{mode}.elf", "--check", level)
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "PASS")


def test_both_backends_write_the_same_bytes(run, samples, tmp_path) -> None:
    for name in ("pager-thumb.elf", "pingpong-arm.elf", "delegate-arm.elf"):
        traces = []
        for backend in ("evaluate", "llvm"):
            trace = tmp_path / f"{name}.{backend}.rtr"
            assert run("boot", samples / name, "--backend", backend, "-o", trace).status == 0
            traces.append(trace.read_bytes())
        assert traces[0] == traces[1]


def test_a_trace_replays_without_and_with_a_cpu(run, samples, tmp_path) -> None:
    trace = tmp_path / "t.rtr"
    run("boot", samples / "pager-arm.elf", "-o", trace)
    assert not (tmp_path / "t.rtr.partial").exists()
    for options in ((), ("--cpu",), ("--cpu", "--backend", "evaluate")):
        ran = run("replay", trace, *options)
        assert ran.status == 0
        assert "agree" in ran.out
    report = json.loads(run("replay", trace, "--json").out)
    assert report["same"] is True
    assert report["records"] > 50


def test_the_place_of_the_files_is_not_in_the_trace(run, samples, tmp_path, monkeypatch) -> None:
    here = tmp_path / "a.elf"
    here.write_bytes((samples / "hello-arm.elf").read_bytes())
    run("boot", here, "-o", tmp_path / "1.rtr")
    monkeypatch.chdir(tmp_path)
    run("boot", "a.elf", "-o", "2.rtr")
    assert (tmp_path / "1.rtr").read_bytes() == (tmp_path / "2.rtr").read_bytes()


def test_diff_of_equal_and_of_different_runs(run, samples, tmp_path) -> None:
    for name, rounds in (("a", 3), ("b", 3), ("c", 4)):
        run("boot", samples / "pingpong-arm.elf", "--arguments", f"rounds={rounds}", "-o", tmp_path / name)
    assert run("diff", tmp_path / "a", tmp_path / "b").status == 0
    ran = run("diff", tmp_path / "a", tmp_path / "c")
    assert ran.status == 1
    assert "first divergence" in ran.out
    assert json.loads(run("diff", tmp_path / "a", tmp_path / "c", "--json").out)["same"] is False


def test_diff_wants_a_second_trace_or_a_kernel(run, samples, tmp_path) -> None:
    run("boot", samples / "hello-arm.elf", "-o", tmp_path / "a")
    assert run("diff", tmp_path / "a").status == 2
    assert run("diff", tmp_path / "a", tmp_path / "a", "-k", "16.0.0").status == 2
    assert run("diff", tmp_path / "a", "-k", "16.0.0").status == 0


def test_show_filters_and_counts(run, samples, tmp_path) -> None:
    trace = tmp_path / "t.rtr"
    run("boot", samples / "retype-arm.elf", "-o", trace)
    every = run("show", trace).out.splitlines()
    failed = run("show", trace, "--failed").out.splitlines()
    assert 0 < len(failed) < len(every)
    assert all("seL4_" in line for line in failed)
    retypes = run("show", trace, "-e", "seL4_Untyped_Retype").out.splitlines()
    assert retypes
    assert all("seL4_Untyped_Retype(" in line for line in retypes)
    assert "seL4_Untyped_Retype" in run("show", trace, "-c").out
    assert len(run("show", trace, "--json").out.splitlines()) == len(every)
    assert run("show", trace, "-e", "no_such_call").status == 2


def test_strace_goes_to_standard_error(run, samples) -> None:
    ran = run("boot", samples / "hello-arm.elf", "--strace")
    assert "seL4_DebugPutChar" in ran.err
    assert "seL4_" not in ran.out


def test_dry_run_runs_nothing(run, samples) -> None:
    ran = run("boot", samples / "hello-arm.elf", "--dry-run")
    assert ran.status == 0
    assert "Untyped memory" in ran.out
    assert "PASS" not in ran.out


def test_summary(run, samples, tmp_path) -> None:
    summary = tmp_path / "s.json"
    run("boot", samples / "hello-arm.elf", "--summary", summary, "-o", tmp_path / "t.rtr")
    found = json.loads(summary.read_text())
    assert found["outcome"] == "halted"
    assert {"instructions", "traps", "virtual_time_ns", "kernel", "platform", "image_sha256", "trace"} <= set(found)
    assert {"state_digest", "wall_s"} <= set(found)


def test_info_says_what_a_file_is(run, samples, tmp_path) -> None:
    image = json.loads(run("info", samples / "hello-thumb.elf", "--json").out)
    assert (image["mode"], image["entry"]) == ("ARM", 0x10000)
    thumb = guest(tmp_path / "thumb.elf", THUMB_SPIN, entry=0x10001)
    assert json.loads(run("info", thumb, "--json").out)["mode"] == "Thumb"
    trace = tmp_path / "t.rtr"
    run("boot", samples / "hello-arm.elf", "-o", trace)
    assert json.loads(run("info", trace, "--json").out)["complete"] is True
    manifest = tmp_path / "m.toml"
    manifest.write_text("[image]\narguments = 'x=1'\n")
    assert json.loads(run("info", manifest, "--json").out)["arguments"] == "x=1"


def test_kernels_and_schema(run) -> None:
    assert "16.0.0" in run("kernels").out
    assert run("kernels", "16.0.0", "16.0.0").status == 0
    assert run("kernels", "16.0.0", "99").status == 2
    assert json.loads(run("schema").out)["title"] == "retrap boot manifest"
    assert run("schema", "nonsense").status == 2


def test_a_limit_is_exit_status_4(run, tmp_path) -> None:
    for backend in ("evaluate", "llvm"):
        ran = run("boot", guest(tmp_path / "g.elf", SPIN), "--max-instructions", "250000", "--backend", backend)
        assert ran.status == 4
        assert "250000 instructions" in ran.err


def test_a_thumb_entry_starts_in_thumb_state(run, tmp_path) -> None:
    image = guest(tmp_path / "g.elf", THUMB_SPIN, entry=0x10001)
    assert run("boot", image, "--max-instructions", "1000").status == 4


def test_a_fault_that_nobody_handles_is_exit_status_3(run, tmp_path) -> None:
    ran = run("boot", guest(tmp_path / "g.elf", UDF))
    assert ran.status == 3
    assert len(ran.err.splitlines()) == 1
    assert "rootserver" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("boot",),
        ("boot", "missing.elf"),
        ("boot", "/"),
        ("boot", "--backend", "steam", "missing.elf"),
        ("boot", "--check", "twice", "missing.elf"),
        ("boot", "--max-instructions", "0", "missing.elf"),
        ("boot", "--max-instructions", "many", "missing.elf"),
        ("boot", "-k", "0.0.1", "missing.elf"),
        ("boot", "-p", "no-such-board", "missing.elf"),
        ("boot", "-m", "missing.toml", "missing.elf"),
        ("boot", "--no-such-option"),
        ("replay", "missing.rtr"),
        ("show", "missing.rtr"),
        ("info", "missing"),
        ("diff", "missing", "missing"),
        ("nonsense",),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(run, arguments) -> None:
    ran = run(*arguments)
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1, ran.err
    assert ran.out == ""


def test_outputs_that_cannot_be_written(run, samples, tmp_path) -> None:
    for option in ("-o", "--summary"):
        ran = run("boot", samples / "hello-arm.elf", option, tmp_path / "no" / "file")
        assert ran.status == 2
        assert "no/file" in ran.err.splitlines()[-1]


def test_rights_of_the_image_are_honoured_unless_the_manifest_says_as_the_kernel(run, tmp_path) -> None:
    # str r0, [pc, #-8]: the code writes over itself.
    code = struct.pack("<2I", 0xE50F0008, 0xEAFFFFFE)
    image = guest(tmp_path / "g.elf", code)
    assert run("boot", image, "--max-instructions", "10").status == 3
    manifest = tmp_path / "m.toml"
    manifest.write_text("[image]\npermissions = 'kernel'\n")
    assert run("boot", image, "-m", manifest, "--max-instructions", "10").status == 4
    # b to a data segment: executing it faults.
    data = Load(0x20000, SPIN, flags=R | W)
    jump = struct.pack("<I", 0xEA000000 | (0x20000 - 0x10008) >> 2)
    image.write_bytes(Elf(segments=(Load(0x10000, jump, flags=R | X), data)).build())
    assert run("boot", image, "--max-instructions", "10").status == 3


def test_the_parts_of_a_packed_image_given_apart(run, samples, tmp_path) -> None:
    """As in a packed image; what they say is in the trace, their places are not."""
    from packer import kernel, tree

    (tmp_path / "kernel.elf").write_bytes(kernel())
    (tmp_path / "virt.dtb").write_bytes(tree())
    apart = ("--kernel-elf", tmp_path / "kernel.elf", "--dtb", tmp_path / "virt.dtb")
    alone = run("boot", samples / "hello-arm.elf", "--dry-run")
    told = run("boot", samples / "hello-arm.elf", *apart, "--dry-run")
    assert (alone.status, told.status) == (0, 0)
    assert told.out != alone.out
    ran = run("boot", samples / "hello-arm.elf", *apart, "-o", tmp_path / "t.rtr")
    assert (ran.status, ran.out.splitlines()[-1]) == (0, "PASS")
    for file in ("kernel.elf", "virt.dtb"):
        (tmp_path / file).unlink()
    assert run("replay", tmp_path / "t.rtr", "--cpu").status == 0
    assert run("boot", samples / "hello-arm.elf", *apart).status == 2


def test_an_interrupted_run_is_a_whole_trace(samples, tmp_path) -> None:
    trace = tmp_path / "t.rtr"
    command = [sys.executable, "-m", "retrap.tools.cli", "boot", str(samples / "pingpong-arm.elf")]
    command += ["--arguments", "rounds=100000000", "-o", str(trace)]
    partial = tmp_path / "t.rtr.partial"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (partial.exists() and partial.stat().st_size > 40_000):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert trace.exists()
    assert not partial.exists()
    assert replay(trace).same
    assert replay(trace, cpu=True).same


def test_the_library_has_the_same_verbs(samples, tmp_path) -> None:
    from retrap.tools import boot, diff

    printed = bytearray()
    result = boot(samples / "hello-arm.elf", trace=tmp_path / "t.rtr", console=printed.extend)
    assert result.outcome == "halted"
    assert printed.endswith(b"PASS\n")
    assert replay(tmp_path / "t.rtr").same
    assert diff(tmp_path / "t.rtr", tmp_path / "t.rtr").same
