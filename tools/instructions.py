"""Instruction traces: `retrap boot --instructions FILE` writes one, `retrap instructions FILE` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from retrap.kernel.engine import Kernel
from retrap.machine.context import Context
from retrap.machine.log import InstructionLog
from retrap.tools.errors import Status
from retrap.tools.symbols import Symbols
from retrap.traces.instructions import InstructionReader, InstructionWriter

if TYPE_CHECKING:
    from retrap.kernel.effects import Effects


class Stretches:
    """A watcher that knows whose instructions are in a log: of each thread between two kernel entries."""

    def __init__(self, log: InstructionLog) -> None:
        self.log: Final = log
        self.kernel: Kernel | None = None
        """The machine's kernel, before it runs."""
        self._from = 0
        log.full = self.full

    def stretch(self, thread: int, start: int, end: int) -> None:
        """Words [start, end) of the log are this thread's; a kernel entry follows, or the log is full."""
        raise NotImplementedError

    def before(self, context: Context) -> None:
        assert self.kernel is not None
        self.stretch(self.kernel.current.number, self._from, self.log.at)
        self._from = self.log.at

    def full(self) -> None:
        """The log is full, or the run has ended."""
        if self.log.at > self._from:
            assert self.kernel is not None
            self.stretch(self.kernel.current.number, self._from, self.log.at)
        self._from = 0

    def after(self, effects: Effects) -> None: ...

    def interrupt(self, irq: int) -> None: ...

    def worked(self, checks: int) -> None: ...

    def arrived(self, data: bytes, time: int) -> None: ...

    def warned(self, text: str) -> None: ...


@final
class InstructionRecorder(Stretches):
    """Writes all of a run's instructions to a file."""

    def __init__(self, log: InstructionLog, path: Path, header: dict[str, Any]) -> None:
        super().__init__(log)
        self.writer: Final = InstructionWriter(path, header)

    def stretch(self, thread: int, start: int, end: int) -> None:
        self.writer.stretch(thread, end - start)

    def full(self) -> None:
        super().full()
        self.writer.frame(self.log.words[: self.log.at])

    def close(self) -> None:
        """The run has ended."""
        self.full()
        self.log.at = 0
        self.writer.close()


def each(reader: InstructionReader) -> Iterator[tuple[int, int, int]]:
    """(number, thread, address | Thumb) of every instruction."""
    number = 0
    for words, stretches in reader.frames():
        at = 0
        for thread, count in stretches:
            for word in words[at : at + count]:
                yield number, thread, word
                number += 1
            at += count


def command(
    file: Path, *, first: int, count: int | None, thread: int | None, image: Path | None, as_json: bool
) -> int:
    """`retrap instructions`."""
    symbols = Symbols(())
    if image is not None:
        from retrap.loader.image import load_image

        symbols = Symbols(load_image(image).symbols)
    with InstructionReader(file) as reader:
        wanted = (
            one for one in each(reader) if one[0] >= first and (thread is None or one[1] == thread)
        )
        for number, owner, word in islice(wanted, count):
            _print(number, owner, word, symbols, as_json)
    return Status.OK


def _print(number: int, thread: int, word: int, symbols: Symbols, as_json: bool) -> None:
    address, state = word & ~1, "thumb" if word & 1 else "arm"
    place = symbols.place(address)
    if as_json:
        line: dict[str, Any] = {"number": number, "thread": thread, "address": address, "state": state}
        if place:
            line["place"] = place
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        sys.stdout.write(f"{number:>10}  {thread:>3}  {address:#010x}  {state:<5}  {place}".rstrip() + "\n")
