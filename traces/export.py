"""Traces for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from retrap.kernel.abi.release import Release
from retrap.traces.calls import Names
from retrap.traces.reader import Reader
from retrap.traces.schema import EndMark, Header
from retrap.traces.show import Formatter


def jsonl(reader: Reader, release: Release) -> Iterator[str]:
    """JSON lines: one object for the header, one a record, and one for the end mark of a complete trace.

    Each has a "type": "header", "record", "end". Raises `TraceError` where the trace is damaged.
    """
    yield _line({"type": "header", **header_json(reader.header)})
    formatter = Formatter(release, Names(reader.threads_at(0)))
    for record in reader:
        yield _line({"type": "record", **formatter.as_json(record)})
    if reader.end is not None:
        yield _line({"type": "end", **end_json(reader.end)})


def header_json(header: Header) -> dict[str, Any]:
    """A header in plain values."""
    return {
        "release": header.release,
        "platform": header.platform,
        "clock_hz": header.clock_hz,
        "digest_interval": header.digest_interval,
        "plan_digest": header.plan_digest.hex(),
        "image_name": header.image_name,
        "image_sha256": header.image_sha256.hex(),
        "manifest": header.manifest,
        "options": dict(header.options),
        "settings": dict(header.settings),
        "inputs": {name: digest.hex() for name, digest in header.inputs},
    }


def end_json(end: EndMark) -> dict[str, Any]:
    """An end mark in plain values."""
    return {
        "records": end.records,
        "instructions": end.instructions,
        "outcome": end.outcome,
        "state_digest": end.state_digest.hex(),
        "records_digest": end.records_digest.hex(),
    }


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
