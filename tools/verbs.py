"""The verbs and their options, as the field's tools name them (docs/cli.md). One function a verb.

The only importer of typer, which takes as long to load as a small guest to boot: `cli` comes here only for command
lines that `quick` does not understand. Verbs import what they need when they run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from retrap.tools.errors import Status, UsageError

app = typer.Typer(
    name="retrap",
    help="Boot seL4 root tasks without a board: run, record, replay and compare every trap.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit status. Raises what verbs raise, and `UsageError` for what they do not
    understand."""
    try:
        result = app(args=arguments, prog_name="retrap", standalone_mode=False)
    except typer.Exit as done:
        return int(done.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _CLICK_ERROR as error:
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        raise UsageError(text) from None
    return int(result) if result is not None else int(Status.OK)


_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""What the option parser raises for words that it does not understand."""


# -- options shared by several verbs -------------------------------------------------------------------------------

Manifest = Annotated[
    Path | None, typer.Option("--manifest", "-m", metavar="FILE", help="Boot manifest (TOML).", show_default=False)
]
Kernel = Annotated[
    str | None,
    typer.Option("--kernel", "-k", metavar="KERNEL", help="Kernel release, as `retrap kernels` lists them."),
]
Platform = Annotated[
    str | None, typer.Option("--platform", "-p", metavar="PLATFORM", help="Platform name, or a platform file.")
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Neither use nor keep compiled code of other runs (~/.cache/retrap).")
]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device", metavar="MODEL@ADDRESS[,irq=N][,size=N]",
        help="Another device: a built-in model, or module:Class or file.py:Class of yours. Repeatable.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.command()
def boot(
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="Root-task ELF; may come from the manifest.")
    ] = None,
    manifest: Manifest = None,
    kernel: Kernel = None,
    platform: Platform = None,
    trace: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="TRACE", help="Record every trap.")
    ] = None,
    backend: Annotated[str, typer.Option(metavar="auto|evaluate|llvm", help="How guest code is run.")] = "auto",
    max_instructions: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop after N retired instructions (exit status 4).")
    ] = None,
    arguments: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Arguments for the root task (/chosen/bootargs).")
    ] = None,
    serial_input: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Bytes that arrive on the first UART; - is standard input."),
    ] = None,
    devices: Devices = None,
    strace: Annotated[bool, typer.Option("--strace", help="Print each trap as it happens.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Say at the end what the run took.")] = False,
    check: Annotated[
        str, typer.Option(metavar="off|cheap|full", help="Verify invariants after every trap.")
    ] = "off",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the memory map and bootinfo; run nothing.")
    ] = False,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the result as JSON.")] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the tests that the guest reports, as JUnit XML.")
    ] = None,
    no_cache: NoCache = False,
    instructions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the address of every instruction executed.")
    ] = None,
    kernel_elf: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The kernel's ELF, beside a bare root task: its release and options."),
    ] = None,
    device_tree: Annotated[
        Path | None, typer.Option("--dtb", metavar="FILE", help="The device tree, beside a bare root task.")
    ] = None,
) -> int:
    """Boot a root task and run it until it halts, dies, is quiescent, or a limit is reached."""
    from retrap.tools import booting

    return booting.command(
        image=image,
        manifest=manifest,
        kernel=kernel,
        platform=platform,
        trace=trace,
        backend=backend,
        max_instructions=max_instructions,
        arguments=arguments,
        serial_input=serial_input,
        strace=strace,
        stats=stats,
        check=check,
        dry_run=dry_run,
        summary_file=summary,
        junit=junit,
        cache=not no_cache,
        devices=devices or (),
        instructions=instructions,
        kernel_elf=kernel_elf,
        device_tree=device_tree,
    )


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(metavar="TRACE")],
    kernel: Kernel = None,
    cpu: Annotated[
        bool, typer.Option("--cpu", help="Run the embedded image again and compare the traces.")
    ] = False,
    backend: Annotated[
        str, typer.Option(metavar="auto|evaluate|llvm", help="How guest code is run (with --cpu).")
    ] = "auto",
    json: Json = False,
    no_cache: NoCache = False,
    devices: Annotated[
        list[str] | None,
        typer.Option("--device", metavar="MODULE:CLASS", help="With --cpu: a device of yours that it may load."),
    ] = None,
) -> int:
    """Feed a trace's recorded traps to a fresh kernel and check every outcome."""
    from retrap.tools import replaying

    return replaying.command(
        trace, kernel=kernel, cpu=cpu, backend=backend, as_json=json, cache=not no_cache, devices=devices or ()
    )


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="A")],
    b: Annotated[Path | None, typer.Argument(metavar="[B]")] = None,
    kernel: Kernel = None,
    json: Json = False,
    context: Annotated[int, typer.Option(metavar="N", min=0, help="Records around a divergence.")] = 3,
) -> int:
    """Say what differs between two traces, or between a trace and the same calls on another kernel (-k)."""
    from retrap.tools import comparing

    return comparing.command(a, b, kernel=kernel, as_json=json, context=context)


@app.command()
def show(
    trace: Annotated[Path, typer.Argument(metavar="TRACE")],
    expression: Annotated[
        str | None, typer.Option("-e", metavar="EXPR", help="Which traps: a call, interface or kind; ! excludes.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only refused calls and faults.")] = False,
    thread: Annotated[str | None, typer.Option("--thread", metavar="T", help="Only this thread.")] = None,
    count: Annotated[bool, typer.Option("-c", help="Count calls and errors, like strace -c.")] = False,
    json: Json = False,
) -> int:
    """Print a trace, one line a trap."""
    from retrap.tools import showing

    return showing.command(trace, expression=expression, failed=failed, thread=thread, count=count, as_json=json)


@app.command()
def profile(
    file: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE|TRACE]", help="Root-task ELF, or a recorded trace.")
    ] = None,
    manifest: Manifest = None,
    kernel: Kernel = None,
    platform: Platform = None,
    backend: Annotated[str, typer.Option(metavar="auto|evaluate|llvm", help="How guest code is run.")] = "auto",
    max_instructions: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop after N retired instructions.")
    ] = None,
    arguments: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Arguments for the root task (/chosen/bootargs).")
    ] = None,
    serial_input: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="Bytes that arrive on the first UART.")
    ] = None,
    devices: Devices = None,
    folded: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write folded stacks, for flame graphs.")
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", min=0, help="Functions and blocks to print.")] = 20,
    json: Json = False,
    no_cache: NoCache = False,
) -> int:
    """Say where a guest spends its instructions: functions, blocks, call stacks; exact counts."""
    from retrap.tools import profiling

    return profiling.command(
        file=file,
        manifest=manifest,
        kernel=kernel,
        platform=platform,
        backend=backend,
        max_instructions=max_instructions,
        arguments=arguments,
        serial_input=serial_input,
        folded=folded,
        top=top,
        as_json=json,
        cache=not no_cache,
        devices=devices or (),
    )


@app.command()
def instructions(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    first: Annotated[int, typer.Option("--from", metavar="N", min=0, help="Number of the first one.")] = 0,
    count: Annotated[int | None, typer.Option(metavar="N", min=0, help="How many.")] = None,
    thread: Annotated[int | None, typer.Option(metavar="T", help="Only this thread's.")] = None,
    image: Annotated[Path | None, typer.Option(metavar="IMAGE", help="Name functions by its symbols.")] = None,
    json: Json = False,
) -> int:
    """Print what `boot --instructions` has written: number, thread, address, state, function."""
    from retrap.tools import instructions as printing

    return printing.command(file, first=first, count=count, thread=thread, image=image, as_json=json)


@app.command()
def info(file: Annotated[Path, typer.Argument(metavar="FILE")], json: Json = False) -> int:
    """Say what a file is: an image, a manifest, or a trace."""
    from retrap.tools import describing

    return describing.command(file, as_json=json)


@app.command()
def kernels(
    a: Annotated[str | None, typer.Argument(metavar="[A]")] = None,
    b: Annotated[str | None, typer.Argument(metavar="[B]")] = None,
    json: Json = False,
) -> int:
    """List the kernels that can be booted; with two names, how their ABIs differ."""
    from retrap.tools import releases

    return releases.command(a, b, as_json=json)


@app.command()
def export(
    trace: Annotated[Path, typer.Argument(metavar="TRACE")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="jsonl")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE")],
) -> int:
    """Write a trace for other tools."""
    from retrap.tools import showing

    return showing.export(trace, to, output)


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="manifest|platform")] = "manifest") -> int:
    """Print the JSON Schema of a boot manifest or a platform file."""
    import json

    from retrap.loader.manifest import manifest_schema, platform_schema

    makers: dict[str, Any] = {"manifest": manifest_schema, "platform": platform_schema}
    if what not in makers:
        raise UsageError(f"no schema for {what!r}: one of {', '.join(makers)}")
    sys.stdout.write(json.dumps(makers[what](), indent=2, sort_keys=True) + "\n")
    return Status.OK


@app.callback(invoke_without_command=True)
def version(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Boot seL4 root tasks without a board: run, record, replay and compare every trap."""
    if show_version:
        from importlib.metadata import version as installed

        from retrap.tools.build import description

        sys.stdout.write(f"retrap {installed('retrap')} ({description()})\n")
        raise typer.Exit
