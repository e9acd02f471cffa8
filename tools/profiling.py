"""`retrap profile`: where a guest spends its instructions, exactly.

The guest is run twice: once as always, for the time, the tiers and what was compiled; and once with the instruction
log (`machine.log`), from which every count is exact and the same on every host. Call stacks are followed through
the log: a call is an instruction that links and goes elsewhere, a return one that goes to where a caller on the
stack would go on. Nothing of it is visible to the guest.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, Final, final

from retrap.machine.arm.translate import translate
from retrap.machine.ir.ops import Block
from retrap.machine.llvm.blocks import facts
from retrap.machine.llvm.region import Code
from retrap.machine.log import InstructionLog
from retrap.tools.booting import (
    BACKENDS,
    LIVE,
    Prepared,
    choose,
    prepare,
    prepare_from_trace,
    say_slow,
    write_error,
    write_file,
)
from retrap.tools.display import table
from retrap.tools.errors import Status
from retrap.tools.instructions import Stretches
from retrap.tools.serial_input import Recorded
from retrap.tools.session import End, Session, SessionResult
from retrap.tools.symbols import Symbols
from retrap.tools.tiers import Tiers, compiled_code
from retrap.traces.reader import Reader
from retrap.traces.replay import instruction_limit
from retrap.traces.schema import MAGIC

TOP: Final = 20
"""Functions and blocks that are printed."""

DEPTH: Final = 512
"""Frames of a stack that are followed; what is called from there counts as its caller's."""

AFTER_INTERRUPT: Final = 2_000_000
"""Instructions that are counted of a run that Ctrl-C ended: its beginning."""

CALL: Final = 1  # goes elsewhere and leaves a return address
LEAVE: Final = 2  # goes to an address that only the run knows: perhaps a return
CROSS: Final = 3  # goes to another function for good: a tail call


@final
class Node:
    """A function as called from a chain of callers."""

    __slots__ = ("called", "function", "own", "parent")

    def __init__(self, function: str, parent: Node | None) -> None:
        self.function: Final = function
        self.parent: Final = parent
        self.called: Final[dict[str, Node]] = {}
        self.own = 0  # instructions

    def call(self, function: str) -> Node:
        """The node of a callee."""
        node = self.called.get(function)
        if node is None:
            node = self.called[function] = Node(function, self)
        return node

    def walk(self) -> Iterator[tuple[list[str], Node]]:
        """(functions from the outermost, node) of this node and all below."""
        todo = [([self.function], self)]
        while todo:
            names, node = todo.pop()
            yield names, node
            todo += [([*names, name], node.called[name]) for name in sorted(node.called, reverse=True)]


@final
class Stack:
    """The calls that one thread is in."""

    __slots__ = ("event", "frames", "node", "root", "source")

    def __init__(self, name: str) -> None:
        self.root: Final = Node(name, None)
        self.node = self.root
        self.frames: Final[list[tuple[Node, int]]] = []  # (caller's node, return address)
        self.event = 0  # of the last instruction, when where it went is not known yet
        self.source = 0  # its address | Thumb


@final
class Profile(Stretches):
    """Counts a run's instructions as they come."""

    def __init__(self, log: InstructionLog, symbols: Symbols) -> None:
        super().__init__(log)
        self.symbols: Final = symbols
        self.counts: Final[Counter[int]] = Counter()
        """Address | Thumb → how often it retired."""
        self.sizes: Final[dict[int, int]] = {}
        self.ends: Final[set[int]] = set()
        """Those after which a basic block ends."""
        self.stacks: Final[dict[int, Stack]] = {}
        self._events: Final[dict[int, int]] = {}

    def stretch(self, thread: int, start: int, end: int) -> None:
        """See `Stretches`."""
        assert self.kernel is not None
        stack = self.stacks.get(thread)
        if stack is None:
            tcb = self.kernel.threads[thread]
            name = tcb.name if tcb.name.isprintable() else ascii(tcb.name)
            stack = self.stacks[thread] = Stack(f"thread {thread} ({name})" if name else f"thread {thread}")
        if start == end:
            return
        words = self.log.words[start:end]
        counts, before = self.counts, len(self.counts)
        counts.update(words)
        if len(counts) != before:
            code = Code(self.kernel.space)
            for key in counts.keys() - self.sizes.keys():
                self._learn(code, key)
        self._follow(stack, words)

    def _learn(self, code: Code, key: int) -> None:
        """Classify an instruction when it is met first."""
        address, thumb = key & ~1, key & 1
        fetched = code.word(address, thumb)
        if fetched is None:
            self.sizes[key] = 2 if thumb else 4
            return
        word, self.sizes[key] = fetched
        block: Block = translate(word, bool(thumb), 0)
        if not block.branches:
            if block.trap >= 0:
                self.ends.add(key)
            return
        self.ends.add(key)
        known = facts(block)
        target = known.target(address)
        if known.calls:
            self._events[key] = CALL
        elif target is None:
            self._events[key] = LEAVE
        elif self.symbols.name(target) != self.symbols.name(address):
            self._events[key] = CROSS

    def _follow(self, stack: Stack, words: memoryview) -> None:
        """Take a thread's calls and returns from what it executed without a break."""
        first = words[0]
        if stack.event:
            self._act(stack, stack.event, stack.source, first)
            stack.event = 0
        else:
            self._arrive(stack, first)
        events = self._events
        done, last = 0, len(words) - 1
        for at in compress(range(len(words)), map(events.__contains__, words)):
            source = words[at]
            stack.node.own += at + 1 - done
            done = at + 1
            if at == last:
                stack.event, stack.source = events[source], source
            else:
                self._act(stack, events[source], source, words[done])
        stack.node.own += last + 1 - done

    def _function(self, address: int) -> str:
        return self.symbols.name(address) or f"{address:#x}"

    def _arrive(self, stack: Stack, first: int) -> None:
        """A thread goes on at `first`: usually behind a system call; else somebody has sent it elsewhere."""
        name = self.symbols.name(first & ~1)
        if stack.node is stack.root:
            stack.node = stack.root.call(self._function(first & ~1))
        elif name is not None and name != stack.node.function:
            stack.frames.clear()
            stack.node = stack.root.call(name)

    def _act(self, stack: Stack, event: int, source: int, target: int) -> None:
        """The instruction at `source` was followed by the one at `target`."""
        after = (source & ~1) + self.sizes[source]
        address = target & ~1
        if address == after:
            return  # its condition failed
        if event == CALL:
            if len(stack.frames) < DEPTH:
                stack.frames.append((stack.node, after))
                stack.node = stack.node.call(self._function(address))
            return
        if event == LEAVE:
            for index in range(len(stack.frames) - 1, -1, -1):
                caller, back = stack.frames[index]
                if back == address:
                    del stack.frames[index:]
                    stack.node = caller
                    return
        name = self.symbols.name(address)
        if name is not None and name != stack.node.function:
            # A tail call, or a jump that is no return: in place of what was there.
            parent = stack.node.parent
            stack.node = (parent or stack.root).call(name)

    # -- results -----------------------------------------------------------------------------------------

    def functions(self) -> list[tuple[str, int, int]]:
        """(function, own instructions, those of what it calls included), most first."""
        own: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for stack in self.stacks.values():
            for names, node in stack.root.walk():
                if node.own:
                    own[names[-1]] += node.own
                    for name in set(names[1:]):
                        total[name] += node.own
        return sorted(((name, own[name], total[name]) for name in total), key=lambda f: (-f[1], -f[2], f[0]))

    def blocks(self) -> list[tuple[int, int, int]]:
        """(address | Thumb, instructions, how often it ran) of basic blocks, most executed instructions first."""
        found: list[tuple[int, int, int]] = []
        head = length = 0
        previous, runs = -1, 0
        for key in sorted(self.counts):
            follows = previous >= 0 and key == previous + self.sizes[previous] and previous not in self.ends
            if not follows or self.counts[key] != runs:
                if previous >= 0:
                    found.append((head, length, runs))
                head, length, runs = key, 0, self.counts[key]
            length += 1
            previous = key
        if previous >= 0:
            found.append((head, length, runs))
        return sorted(found, key=lambda b: (-b[1] * b[2], b[0]))

    def folded(self) -> list[str]:
        """Lines `outermost;…;innermost count`, as flame graph tools read them, in alphabetical order."""
        lines = []
        for stack in self.stacks.values():
            for names, node in stack.root.walk():
                if node.own:
                    lines.append(";".join(_folding(name) for name in names) + f" {node.own}")
        return sorted(lines)


def _folding(name: str) -> str:
    return "".join("_" if c == ";" or not c.isprintable() else c for c in name)


def profile(
    prepared: Prepared, limit: int | None, backend: str, cache: bool, trace: Reader | None = None
) -> tuple[dict[str, Any], Profile, Session]:
    """Run twice: (what `--json` prints, the counts, the session of the first run). `trace`: what it is a run of."""

    def session(cache: bool, log: InstructionLog | None) -> Session:
        source = Recorded(trace) if trace is not None and LIVE in trace.header.settings else None
        return Session(prepared.plan, backend, "off", cache, prepared.models, source, log=log)

    timed = session(cache, None)
    started = time.perf_counter()
    first = timed.run((), None, limit)
    seconds = time.perf_counter() - started
    log = InstructionLog()
    symbols = Symbols(prepared.image.symbols)
    counting = Profile(log, symbols)
    second = session(False, log)
    counting.kernel = second.kernel
    interrupted = first.end is End.INTERRUPTED
    # Whoever interrupts does not want to wait for as long again, or longer: counting is slower than running.
    result = second.run((counting,), None, min(first.instructions, AFTER_INTERRUPT) if interrupted else limit)
    counting.full()
    mips = (first.instructions - first.idle) / seconds / 1e6 if seconds else 0.0
    described = _describe(prepared, counting, timed, result, seconds, mips)
    if interrupted:
        described["outcome"] = End.INTERRUPTED.value  # and not the limit that repeats it
    return described, counting, timed


def _describe(
    prepared: Prepared, counting: Profile, timed: Session, result: SessionResult, seconds: float, mips: float
) -> dict[str, Any]:
    tiers = Tiers(timed.cpu.backend)
    total = sum(counting.counts.values())
    functions = []
    hottest: dict[str, int] = {}
    for key, _, _ in counting.blocks():
        name = counting.symbols.name(key & ~1)
        if name is not None:
            hottest.setdefault(name, key)
    for name, own, inclusive in counting.functions():
        place = hottest.get(name, int(name, 16) if name.startswith("0x") else None)
        functions.append(
            {
                "function": name,
                "own": own,
                "total": inclusive,
                "share": round(own / total, 6) if total else 0.0,
                "tier": tiers.tier(place) if place is not None else "evaluated",
            }
        )
    blocks = [
        {
            "address": key & ~1,
            "state": "thumb" if key & 1 else "arm",
            "place": counting.symbols.place(key & ~1),
            "instructions": length,
            "runs": runs,
            "total": length * runs,
            "share": round(length * runs / total, 6),
            "tier": tiers.tier(key),
        }
        for key, length, runs in counting.blocks()
    ]
    return {
        "image": prepared.image.path,
        "image_sha256": prepared.image.sha256,
        "kernel": prepared.plan.release.name,
        "platform": prepared.plan.platform,
        "outcome": result.end.value,
        "instructions": total,
        "traps": result.traps,
        "seconds": round(seconds, 6),
        "mips": round(mips, 3),
        "code": compiled_code(timed.cpu.backend),
        "functions": functions,
        "blocks": blocks,
    }


def command(
    *,
    file: Path | None,
    manifest: Path | None,
    kernel: str | None,
    platform: str | None,
    backend: str,
    max_instructions: int | None,
    arguments: str | None,
    serial_input: Path | None,
    folded: Path | None,
    top: int,
    as_json: bool,
    cache: bool,
    devices: Sequence[str] = (),
) -> int:
    """`retrap profile`."""
    choose("--backend", backend, BACKENDS)

    def warn(text: str) -> None:
        write_error(f"retrap: warning: {text}\n")

    if file is not None and _is_trace(file):
        with Reader(file) as reader:
            prepared = prepare_from_trace(reader, kernel, devices)
            described, counting, timed = profile(prepared, instruction_limit(reader), backend, cache, reader)
    else:
        prepared = prepare(
            file, manifest=manifest, kernel=kernel, platform=platform, arguments=arguments, devices=devices,
            max_instructions=max_instructions, serial_input=serial_input, warn=warn,
        )  # fmt: skip
        described, counting, timed = profile(prepared, prepared.manifest.max_instructions, backend, cache)
    if folded is not None:
        write_file(folded, "".join(line + "\n" for line in counting.folded()))
    if as_json:
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
    else:
        _print(described, top)
    if backend == "auto":
        say_slow(timed.cpu, warn)
    return Status.INTERRUPTED if described["outcome"] == End.INTERRUPTED else Status.OK


def _is_trace(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # whoever reads it next says so


def _print(described: dict[str, Any], top: int) -> None:
    out = sys.stdout
    code = described["code"]
    out.write(
        f"{described['image']} on {described['kernel']}: {described['outcome']}; "
        f"{described['instructions']:,} instructions, {described['traps']:,} traps, "
        f"{described['seconds']:.3f} s, {described['mips']:.1f} MIPS\n"
        f"compiled: {code['regions']:,} regions, {code['fetched']:,} more from the cache; {code['bytes']:,} bytes\n"
    )
    out.write("\n")
    rows = [
        (f"{100 * f['share']:.1f}%", f"{f['own']:,}", f"{f['total']:,}", f["tier"], f["function"])
        for f in described["functions"][:top]
    ]
    table(("share", "own", "with callees", "tier", "function"), rows, (0, 1, 2))
    out.write("\n")
    blocks = [
        (
            f"{100 * b['share']:.1f}%", f"{b['total']:,}", f"{b['runs']:,}", str(b["instructions"]),
            b["tier"], f"{b['address']:#010x}", b["state"], b["place"],
        )
        for b in described["blocks"][:top]
    ]  # fmt: skip
    headers = ("share", "instructions", "runs", "length", "tier", "block", "state", "place")
    table(headers, blocks, (0, 1, 2, 3))


