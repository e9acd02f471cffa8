"""`retrap show` and `retrap export`: a trace for people and for other tools."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from retrap.kernel import abi
from retrap.tools.errors import Status, UsageError
from retrap.traces.calls import Decoder, Names
from retrap.traces.counts import Counter, counts_text
from retrap.traces.errors import TraceError
from retrap.traces.export import jsonl
from retrap.traces.filters import Filter, FilterError
from retrap.traces.reader import Reader
from retrap.traces.show import Formatter

EXPORTS = {"jsonl": jsonl}


def command(
    trace: Path, *, expression: str | None, failed: bool, thread: str | None, count: bool, as_json: bool
) -> int:
    """`retrap show`."""
    with Reader(trace) as reader:
        release = release_of(reader)
        expressions = [text for text in (expression, f"thread={thread}" if thread else None) if text]
        try:
            wanted = Filter(release, expressions, failed=failed)
        except FilterError as error:
            raise UsageError(str(error)) from None
        names = Names(reader.threads_at(0))
        formatter = Formatter(release, names)
        decoder = Decoder(release)
        counter = Counter(decoder) if count else None
        out = sys.stdout
        for record in reader:
            keep = wanted.wants(record, decoder, names)
            if counter is not None:
                counter.see(record, keep)
            elif not keep:
                formatter.follow(record)
            elif as_json:
                out.write(json.dumps(formatter.as_json(record), ensure_ascii=False) + "\n")
            else:
                for line in formatter.lines(record):
                    out.write(line + "\n")
        if counter is not None:
            rows = counter.rows()
            if as_json:
                out.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
            else:
                for line in counts_text(rows):
                    out.write(line + "\n")
        if not reader.complete:
            sys.stderr.write(f"retrap: {trace}: the trace is incomplete: it was never closed\n")
    return Status.OK


def export(trace: Path, to: str, output: Path) -> int:
    """`retrap export`."""
    make = EXPORTS.get(to)
    if make is None:
        raise UsageError(f"--to: {to!r} is none of {', '.join(EXPORTS)}")
    with Reader(trace) as reader:
        release = release_of(reader)
        try:
            with output.open("w", encoding="utf-8") as stream:
                for line in make(reader, release):
                    stream.write(line + "\n")
        except OSError as error:
            raise UsageError(f"{output}: cannot be written: {error.strerror or error}") from None
    return Status.OK


def release_of(reader: Reader) -> abi.Release:
    """The release that a trace was recorded on. Raises `TraceError` if this retrap does not know it."""
    try:
        return abi.release(reader.header.release)
    except abi.UnknownRelease as error:
        raise TraceError(reader.file, "header", str(error)) from None
