"""Booting a root task: from files and options to a finished run. What `retrap boot` does, as a function."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from retrap.kernel.boot import BootPlan
from retrap.loader.files import read_file
from retrap.loader.image import Image, load_image
from retrap.loader.layout import plan as lay_out
from retrap.loader.manifest import Manifest, load_manifest, manifest_from_data
from retrap.loader.settle import settle
from retrap.machine.cpu import Cpu, lacks
from retrap.machine.devices import Model
from retrap.machine.log import InstructionLog
from retrap.tools import devices as user_devices
from retrap.tools.errors import Status, UsageError
from retrap.tools.junit import Suite
from retrap.tools.junit import report as junit_report
from retrap.tools.process import keep_buffers
from retrap.tools.serial_input import Live, is_file, unbuffered
from retrap.tools.session import End, Session, SessionResult, Watcher
from retrap.tools.tiers import compiled_code
from retrap.traces.errors import TraceError
from retrap.traces.reader import Reader
from retrap.traces.record import Record
from retrap.traces.schema import Header
from retrap.traces.writer import DIGEST_INTERVAL, Recorder, Watch

if TYPE_CHECKING:
    from retrap.tools.instructions import InstructionRecorder

_UNRECORDED: Final = (("image", "path"), ("image", "kernel"), ("platform", "device_tree"), ("input", "serial"))
"""Manifest keys that name files of this machine; a trace embeds the files instead."""

DEVICE_TREE: Final = "device tree"
KERNEL: Final = "kernel"
SERIAL: Final = "serial input"
LIVE: Final = ("serial input", "live")
"""The setting of a trace whose records hold serial input."""

MAX_INPUT: Final = 64 << 20
"""Bytes of serial input."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a run depends on."""

    image: Image
    manifest: Manifest
    plan: BootPlan
    models: Mapping[str, type[Model]] = field(default_factory=dict)
    """Devices of the user's own, by the name that the plan gives them."""


@dataclass(frozen=True, slots=True)
class BootResult:
    """What a run came to; the fields of `--summary`."""

    outcome: str
    instructions: int
    traps: int
    virtual_time_ns: int
    kernel: str
    platform: str
    image_sha256: str
    trace: str | None
    state_digest: str
    wall_s: float
    deaths: tuple[str, ...] = ()
    tests: Mapping[str, int] | None = None  # of the public test suite, if the guest printed its results
    warnings: tuple[str, ...] = ()
    idle: int = 0  # how much of `instructions`, which is the clock, passed while nothing ran
    code: Mapping[str, int] = field(default_factory=dict)
    """Of compiled code, see `retrap.tools.tiers`: this host's, not the guest's."""

    @property
    def status(self) -> Status:
        """The exit status of `retrap boot`."""
        return _STATUS[End(self.outcome)]


_STATUS: Final = {
    End.HALTED: Status.OK,
    End.QUIESCENT: Status.OK,
    End.DIED: Status.GUEST_DIED,
    End.CRASHED: Status.GUEST_DIED,
    End.LIMIT: Status.LIMIT,
    End.INTERRUPTED: Status.INTERRUPTED,
    End.DEVICE_FAILED: Status.BAD_INPUT,
}


def prepare(
    image: str | Path | None = None,
    *,
    manifest: str | Path | None = None,
    kernel: str | None = None,
    platform: str | None = None,
    arguments: str | None = None,
    max_instructions: int | None = None,
    serial_input: str | Path | None = None,
    devices: Sequence[str] = (),
    kernel_elf: str | Path | None = None,
    device_tree: str | Path | None = None,
    warn: Callable[[str], None] | None = None,
) -> Prepared:
    """Read the image and the manifest and lay the system out. Options given here win over the manifest.

    `kernel_elf`, `device_tree`: the files that a packed image has in it.

    Raises `retrap.loader.errors.InputError` for what is wrong with a file or an option.
    """
    options = {
        "image.path": None if image is None else str(image),
        "image.arguments": arguments,
        "image.kernel": None if kernel_elf is None else str(kernel_elf),
        "kernel.release": kernel,
        "platform.name": platform,
        "platform.device_tree": None if device_tree is None else str(device_tree),
        "limits.max_instructions": max_instructions,
        "input.serial": None if serial_input is None else str(serial_input),
        "devices": [user_devices.parse(text) for text in devices] or None,
    }
    wanted = {key: value for key, value in options.items() if value is not None}
    read = load_manifest(manifest, wanted)
    if read.image_path is None:
        if manifest is None:
            raise UsageError("nothing to boot: name an image, or a manifest that does (-m)")
        raise read.error("image.path", "missing, and no image is named on the command line")
    loaded = load_image(read.image_path)
    settled = settle(read, loaded, warn) if warn else settle(read, loaded)
    serial = b"" if settled.serial_path is None else read_file(settled.serial_path, MAX_INPUT)
    plan = replace(lay_out(loaded, settled), serial_input=serial)
    folder = None if manifest is None else Path(manifest).parent
    named = {user_devices.parse(text)["model"] for text in devices}
    foreign = user_devices.foreign(plan)
    models = {
        **user_devices.load(name for name in foreign if name in named),
        **user_devices.load((name for name in foreign if name not in named), folder),
    }
    return Prepared(loaded, settled, plan, models)


def prepare_from_trace(trace: Reader, kernel: str | None = None, devices: Sequence[str] = ()) -> Prepared:
    """The run that a trace records, from what it embeds; `kernel`: on another release. `devices`: the classes of
    the user's own (`module:Class`) that may be loaded for it."""
    try:
        stored = json.loads(trace.header.manifest)
        data, platform = dict(stored["manifest"]), dict(stored["platform"])
        if kernel is not None:
            data["kernel"] = {**data.get("kernel", {}), "release": kernel}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TraceError(trace.file, "header", "its manifest is not one that retrap has written") from None
    inputs = dict(trace.inputs())
    read = manifest_from_data(data, platform, inputs.get(DEVICE_TREE), inputs.get(KERNEL))
    image = Image(trace.header.image_name, trace.image())
    settled = settle(read, image)
    plan = replace(lay_out(image, settled), serial_input=inputs.get(SERIAL, b""))
    allowed = {text.rpartition("@")[0] or text for text in devices}
    wanted = [name for name in user_devices.foreign(plan) if name in allowed]
    return Prepared(image, settled, plan, user_devices.load(wanted))


def header(prepared: Prepared, live: bool = False) -> tuple[Header, list[bytes]]:
    """The header of a trace of this run, and the inputs that it embeds. `live`: there will be more, in records."""
    manifest, plan = prepared.manifest, prepared.plan
    inputs: list[tuple[str, bytes]] = []
    if manifest.platform.device_tree is not None:
        inputs.append((DEVICE_TREE, manifest.platform.device_tree))
    if manifest.kernel_file is not None:
        inputs.append((KERNEL, manifest.kernel_file))
    if plan.serial_input:
        inputs.append((SERIAL, plan.serial_input))
    data = copy.deepcopy(dict(manifest.data))
    for table, key in _UNRECORDED:
        if isinstance(data.get(table), dict):
            data[table].pop(key, None)
            if not data[table]:
                del data[table]
    text = json.dumps(
        {"manifest": data, "platform": manifest.platform_data}, sort_keys=True, separators=(",", ":")
    )
    settings: list[tuple[str, str]] = []
    if manifest.max_instructions is not None:
        settings.append(("max_instructions", str(manifest.max_instructions)))
    if live:
        settings.append(LIVE)
    return (
        Header(
            release=plan.release.name,
            platform=plan.platform,
            clock_hz=plan.clock_hz,
            digest_interval=DIGEST_INTERVAL,
            plan_digest=plan_digest(plan),
            image_name=Path(prepared.image.path).name,
            image_sha256=bytes.fromhex(prepared.image.sha256),
            manifest=text,
            options=tuple((name, str(value)) for name, value in asdict(plan.options).items()),
            settings=tuple(settings),
            inputs=tuple((name, hashlib.sha256(content).digest()) for name, content in inputs),
        ),
        [content for _, content in inputs],
    )


def identity(prepared: Prepared) -> dict[str, str]:
    """Which run an instruction trace belongs to."""
    return {
        "image": Path(prepared.image.path).name,
        "image_sha256": prepared.image.sha256,
        "kernel": prepared.plan.release.name,
        "platform": prepared.plan.platform,
        "plan_digest": plan_digest(prepared.plan).hex(),
    }


def plan_digest(plan: BootPlan) -> bytes:
    """32 bytes that identify a boot plan: equal plans start equal systems."""
    digest = hashlib.sha256()
    for load in plan.loads:
        digest.update(f"{load.address} {load.name} {hashlib.sha256(load.data).hexdigest()}\n".encode())
    rest = (
        plan.release.name, plan.options, plan.platform, plan.ram, plan.kernel_base, plan.max_irq, plan.clock_hz,
        plan.caps, plan.mappings, plan.entry, plan.bootinfo_address, plan.ipc_buffer_address,
        plan.ipc_buffer_frame, plan.tcb_address, plan.empty_slots, plan.regions, plan.devices, plan.serial_input,
    )  # fmt: skip
    digest.update(repr(rest).encode())
    return digest.digest()


def run(
    prepared: Prepared,
    *,
    trace: Path | None = None,
    backend: str = "auto",
    check: str = "off",
    console: Callable[[bytes], None] | None = None,
    report: Callable[[Record], None] | None = None,
    junit: Path | None = None,
    cache: bool = True,
    warn: Callable[[str], None] | None = None,
    typed: int | None = None,
    instructions: Path | None = None,
) -> BootResult:
    """Run a prepared system to its end, recording into `trace` and reporting each record if asked to.

    `cache`: compiled code may be kept on the disk. `warn` is told when the machine is slower than it could be, and
    what devices do not do. `typed`: a file descriptor from which serial input comes while the system runs.
    `instructions`: a file for the address of every instruction (`docs/instruction-trace.md`).
    Files are closed however the run ends, unless retrap itself fails: then they stay `.partial`.
    """
    started = time.perf_counter()
    plan = prepared.plan
    source = None if typed is None else Live(typed, lambda: session.interrupted)
    log = InstructionLog() if instructions is not None else None
    session = Session(plan, backend, check, cache, prepared.models, source, warn, log)
    suite = Suite()
    outcome = "not known: retrap failed"

    def heard(data: bytes) -> None:
        suite.feed(data, session.cpu.retired)
        if console is not None:
            console(data)

    def write_junit() -> None:
        if junit is not None:
            about = {"kernel": plan.release.name, "platform": plan.platform, "image_sha256": prepared.image.sha256}
            write_file(junit, junit_report(suite, plan.clock_hz, outcome, session.cpu.retired, about))

    write_junit()  # so that a place which cannot be written is said before the run
    kernel = session.kernel
    watchers: list[Watcher] = []
    listing: InstructionRecorder | None = None
    if log is not None and instructions is not None:
        from retrap.tools.instructions import InstructionRecorder

        listing = InstructionRecorder(log, instructions, identity(prepared))
        listing.kernel = kernel
        watchers.append(listing)
    recorder: Recorder | None = None
    if trace is not None:
        head, inputs = header(prepared, source is not None)
        recorder = Recorder(
            trace, head, prepared.image.data, kernel.threads, plan.release, kernel.digest, inputs
        )
        watchers.append(recorder)
    if report is not None:
        watchers.append(Watch(kernel.threads, plan.release, report))
    try:
        result: SessionResult = session.run(tuple(watchers), heard, prepared.manifest.max_instructions)
        outcome = result.end.value
        if recorder is not None:
            recorder.close(result.instructions, result.end.value, bytes.fromhex(result.state_digest))
            recorder = None
        if listing is not None:
            listing.close()
            listing = None
    finally:
        if recorder is not None:
            recorder.abandon()
        if listing is not None:
            listing.writer.abandon()
        suite.close(session.cpu.retired)
        write_junit()
    if result.failure:
        raise UsageError(result.failure)
    if warn is not None and backend == "auto":
        say_slow(session.cpu, warn)
    return BootResult(
        outcome=result.end.value,
        instructions=result.instructions,
        traps=result.traps,
        virtual_time_ns=result.virtual_time_ns,
        kernel=plan.release.name,
        platform=plan.platform,
        image_sha256=prepared.image.sha256,
        trace=None if trace is None else str(trace),
        state_digest=result.state_digest,
        wall_s=round(time.perf_counter() - started, 6),
        deaths=result.deaths,
        tests=suite.counts if suite.cases else None,
        warnings=result.warnings,
        idle=result.idle,
        code=compiled_code(session.cpu.backend),
    )


def boot(
    image: str | Path | None = None,
    *,
    manifest: str | Path | None = None,
    kernel: str | None = None,
    platform: str | None = None,
    arguments: str | None = None,
    trace: str | Path | None = None,
    backend: str = "auto",
    max_instructions: int | None = None,
    serial_input: str | Path | None = None,
    devices: Sequence[str] = (),
    kernel_elf: str | Path | None = None,
    device_tree: str | Path | None = None,
    check: str = "off",
    console: Callable[[bytes], None] | None = None,
    report: Callable[[Record], None] | None = None,
    junit: str | Path | None = None,
    cache: bool = True,
) -> BootResult:
    """Boot a root task and run it until it halts, dies, is quiescent, or a limit is reached.

    `devices`: as `--device` names them. `kernel_elf`, `device_tree`: see `prepare`. `cache`: compiled code may
    be kept on the disk for later runs. `console` gets the bytes that the guest prints, by lines (what stands on
    one when a timer ticks or nothing runs, at once), `report` a `Record` of every kernel entry. Raises
    `retrap.loader.errors.InputError`, `retrap.traces.errors.TraceError` or `UsageError` for bad input.
    """
    prepared = prepare(
        image,
        manifest=manifest,
        kernel=kernel,
        platform=platform,
        arguments=arguments,
        max_instructions=max_instructions,
        serial_input=serial_input,
        devices=devices,
        kernel_elf=kernel_elf,
        device_tree=device_tree,
    )
    return run(
        prepared,
        trace=None if trace is None else Path(trace),
        backend=backend,
        check=check,
        console=console,
        report=report,
        junit=None if junit is None else Path(junit),
        cache=cache,
    )


def say_slow(cpu: Cpu, warn: Callable[[str], None]) -> None:
    """Tell the user why a CPU whose backend was not chosen by hand could not run guest code natively."""
    why = lacks(cpu.backend)
    if why:
        warn(f"{why}: guest code was interpreted, which is much slower (--backend evaluate to leave it so)")


def summary(result: BootResult) -> Mapping[str, Any]:
    """The result as JSON data."""
    return asdict(result)


# -- the verb ------------------------------------------------------------------------------------------------------

BACKENDS: Final = ("auto", "evaluate", "llvm")
CHECKS: Final = ("off", "cheap", "full")


def command(
    *,
    image: Path | None,
    manifest: Path | None,
    kernel: str | None,
    platform: str | None,
    trace: Path | None,
    backend: str,
    max_instructions: int | None,
    arguments: str | None,
    serial_input: Path | None,
    strace: bool,
    stats: bool,
    check: str,
    dry_run: bool,
    summary_file: Path | None,
    junit: Path | None = None,
    cache: bool = True,
    devices: Sequence[str] = (),
    instructions: Path | None = None,
    kernel_elf: Path | None = None,
    device_tree: Path | None = None,
) -> int:
    """`retrap boot`."""
    choose("--backend", backend, BACKENDS)
    choose("--check", check, CHECKS)

    def warn(text: str) -> None:
        write_error(f"retrap: warning: {text}\n")

    stdin = sys.stdin.fileno() if str(serial_input) == "-" else None
    prepared = prepare(
        image,
        manifest=manifest,
        kernel=kernel,
        platform=platform,
        arguments=arguments,
        max_instructions=max_instructions,
        serial_input=None if stdin is not None else serial_input,
        devices=devices,
        kernel_elf=kernel_elf,
        device_tree=device_tree,
        warn=warn,
    )
    if stdin is not None and is_file(stdin):
        # All of it is there: then it is input like that of a file.
        data = sys.stdin.buffer.read(MAX_INPUT)
        prepared = replace(prepared, plan=replace(prepared.plan, serial_input=data))
        stdin = None
    if dry_run:
        from retrap.tools.memory_map import print_plan

        print_plan(prepared)
        return Status.OK
    report = None
    if strace:
        from retrap.traces.show import printer

        report = printer(prepared.plan.release, lambda line: write_error(line + "\n"))

    if trace is not None:
        keep_buffers()
    with contextlib.nullcontext() if stdin is None else unbuffered(stdin):
        result = run(
            prepared, trace=trace, backend=backend, check=check, console=write_console, report=report, junit=junit,
            cache=cache, warn=warn, typed=stdin, instructions=instructions,
        )  # fmt: skip
    sys.stdout.flush()
    for death in result.deaths:
        write_error(f"retrap: {death}\n")
    if result.outcome == End.LIMIT:
        count = result.instructions
        write_error(f"retrap: {prepared.image.path}: stopped after {count} instructions (--max-instructions)\n")
    if stats:
        write_error(statistics(result))
    if summary_file is not None:
        write_file(summary_file, json.dumps(summary(result), indent=2) + "\n")
    return result.status


def choose(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise `UsageError` unless `value` is one of `allowed`."""
    if value not in allowed:
        raise UsageError(f"{option}: {value!r} is none of {', '.join(allowed)}")


def write_console(data: bytes) -> None:
    """Guest output: bytes as they come, a line at a time on a terminal."""
    out = sys.stdout.buffer
    out.write(data)
    if b"\n" in data:
        out.flush()


def write_error(text: str) -> None:
    """Something of retrap's own."""
    sys.stderr.write(text)


def write_file(path: Path, text: str) -> None:
    """Write a result file; raises `UsageError` with the file and the reason."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None


def _code(code: Mapping[str, int]) -> str:
    taped = f"{code['taped']:,} bytes of cold code from the cache" if code.get("taped") else ""
    if not code.get("bytes"):
        return f"nothing; {taped}" if taped else "nothing"
    text = f"{code['regions']:,} regions, {code['fetched']:,} more from the cache; {code['bytes']:,} bytes"
    return f"{text}; {taped}" if taped else text


def statistics(result: BootResult) -> str:
    """What `--stats` prints."""
    retired = result.instructions - result.idle
    mips = retired / result.wall_s / 1e6 if result.wall_s else 0.0
    per_trap = result.wall_s / result.traps * 1e6 if result.traps else 0.0
    rows: tuple[tuple[str, str], ...] = (
        ("outcome", result.outcome),
        ("instructions", f"{retired:,}" + (f" (and {result.idle:,} idle)" if result.idle else "")),
        ("traps", f"{result.traps:,}"),
        ("virtual time", f"{result.virtual_time_ns / 1e6:,.3f} ms"),
        ("wall time", f"{result.wall_s:.3f} s ({mips:.1f} MIPS, {per_trap:.1f} µs a trap)"),
        ("compiled", _code(result.code)),
        ("state digest", result.state_digest),
    )
    if result.tests is not None:
        rows += (("tests", ", ".join(f"{count} {name}" for name, count in result.tests.items())),)
    return "".join(f"retrap: {name + ':':<15}{value}\n" for name, value in rows)
