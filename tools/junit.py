"""Results of seL4's public test suite (sel4test), read off the console as it is printed; as a JUnit report.

The suite prints one of two forms: lines for people, or XML (`LibSel4TestPrintXML`), which is not well-formed, as
whatever a test prints stands in it unescaped. Both are read line by line, so that a run which ends early, or a test
that prints anything at all, still gives a sound report. Times are virtual, so equal runs give equal reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xml.etree import ElementTree

MAX_LINE: Final = 1 << 14
"""Bytes of a line that are looked at."""
MAX_OUTPUT: Final = 1 << 18
"""Characters of a test's output that are kept."""

_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SUITE: Final = re.compile(r".*?Starting test suite (?P<name>.*)|\s*<testsuite>")
_START: Final = re.compile(
    r"(?P<before>.*?)(?:Starting test \d+: (?P<name>.+)"
    r'|<testcase classname="(?P<classname>[^"]*)" name="(?P<xml>[^"]*)">)'
)
_RESULT: Final = re.compile(r"(?P<before>.*?)Test (?P<name>.+) (?P<result>passed|failed)")
_FAILURE: Final = re.compile(
    r"(?P<before>.*?)(?:\t(?P<kind>Failure|Error): (?P<text>.*)"
    r'|<(?P<xml>failure|error)(?: type="[^"]*")?>(?P<content>.*?)(?P<closed></(?P=xml)>)?)'
)
_END_TEST: Final = re.compile(r"(?P<before>.*?)</testcase>")
_END_SUITE: Final = re.compile(
    r".*?(?:Test suite passed\. (?P<passed>\d+) tests passed\.(?: (?P<disabled>\d+) tests disabled\.)?"
    r"|Test suite failed\. \d+/\d+ tests passed\.|</testsuite>)"
)
"""What stands before these on their line is the end of what a test printed without a line end."""
_OUTPUT: Final = re.compile(r"\s*<system-out>(.*)")


@dataclass(slots=True)
class Case:
    """One test. `result` is "passed", "failed" or "" (it has not ended); times are in instructions."""

    name: str
    classname: str
    started: int
    ended: int = 0
    result: str = ""
    failures: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    size: int = 0


class Suite:
    """Follows the console of a run."""

    def __init__(self) -> None:
        self.name = "sel4test"
        self.cases: Final[list[Case]] = []
        self.disabled = 0
        self.started = False
        self.ended = False
        self._line: Final = bytearray()
        self._current: Case | None = None
        self._open = ""  # the element of a failure whose text goes on in the next line

    def feed(self, data: bytes, now: int) -> None:
        """The guest printed `data` when `now` instructions were retired."""
        line = self._line
        if len(data) == 1 and data[0] > 31:
            # What a debug kernel prints comes byte by byte.
            if len(line) < MAX_LINE:
                line.append(data[0])
            return
        for part in data.splitlines(keepends=True):
            if len(line) < MAX_LINE:
                line.extend(part)
            if part.endswith((b"\r", b"\n")):
                self._take(now)

    def close(self, now: int) -> None:
        """The run ended: what stands on the last line counts, and a test that still runs stays without a result."""
        if self._line:
            self._take(now)
        if self._current is not None:
            self._current.ended = now

    @property
    def counts(self) -> dict[str, int]:
        """How many tests passed, failed, did not end, and are disabled."""
        results = [case.result for case in self.cases]
        return {
            "passed": results.count("passed"),
            "failed": results.count("failed"),
            "unfinished": results.count(""),
            "disabled": self.disabled,
        }

    def _take(self, now: int) -> None:
        text = bytes(self._line).decode("utf-8", "backslashreplace").rstrip("\r\n")
        self._line.clear()
        if text:
            self._read(_ESCAPE.sub("", text), now)

    def _read(self, line: str, now: int) -> None:
        current = self._current
        if self._open and current is not None:
            end = line.find(f"</{self._open}>")
            current.failures[-1] += "\n" + (line if end < 0 else line[:end])
            if end >= 0:
                self._open = ""
            return
        if found := _SUITE.fullmatch(line):
            self.started = True
            self.name = found["name"] or self.name
        elif found := _START.fullmatch(line):
            self._keep(found["before"])
            self._finish(now)
            self.started, self.ended = True, False
            name = found["name"] or found["xml"] or "unnamed"
            self._current = Case(name, found["classname"] or self.name, now)
            self.cases.append(self._current)
        elif (found := _END_SUITE.fullmatch(line)) and self.started:
            self._finish(now)
            self.ended = True
            self.disabled = int(found["disabled"] or 0)
        elif current is not None:
            self._read_within(current, line, now)

    def _read_within(self, case: Case, line: str, now: int) -> None:
        """A line while a test runs."""
        if found := _END_TEST.fullmatch(line):
            self._keep(found["before"])
            self._finish(now)
        elif (found := _RESULT.fullmatch(line)) and found["name"] == case.name:
            self._keep(found["before"])
            # Kept open: a failure of the suite's own check of this result follows it.
            case.result, case.ended = found["result"], now
        elif found := _FAILURE.fullmatch(line):
            self._keep(found["before"])
            case.failures.append(found["text"] or found["content"] or "")
            if found["xml"] and not found["closed"]:
                self._open = found["xml"]
        else:
            output = _OUTPUT.fullmatch(line)
            self._keep((output[1] if output else line).removesuffix("</system-out>"))

    def _keep(self, text: str) -> None:
        """Output of the current test."""
        case = self._current
        if case is not None and text.strip() and case.size < MAX_OUTPUT:
            kept = text[: MAX_OUTPUT - case.size]
            case.output.append(kept)
            case.size += len(kept) + 1

    def _finish(self, now: int) -> None:
        """The current test ended, now or when it printed its result."""
        case, self._current, self._open = self._current, None, ""
        if case is not None:
            case.ended = case.ended or now
            if case.failures:
                case.result = "failed"
            case.result = case.result or "passed"


def report(suite: Suite, clock_hz: int, outcome: str, instructions: int, properties: dict[str, str]) -> str:
    """The JUnit XML of a run that ended with `outcome` after `instructions`."""
    from xml.etree import ElementTree

    cases = [_case(case, clock_hz, outcome) for case in suite.cases]
    unfinished = any(not case.result for case in suite.cases)
    if not (suite.ended or unfinished):
        # Nothing ran when it ended, but that the suite is complete nobody knows.
        missing = ElementTree.Element("testcase", classname=_clean(suite.name), name="end of the suite", time="0")
        said = "the suite did not end" if suite.started else "no test suite was seen on the console"
        ElementTree.SubElement(
            missing, "error", message=f"{said}; outcome of the run: {outcome}", type="unfinished"
        )
        cases.append(missing)
    top = ElementTree.Element("testsuites")
    counts = suite.counts
    counted = {
        "tests": len(cases),
        "failures": counts["failed"],
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": 0,
    }
    time = _seconds(instructions, clock_hz)
    inner = ElementTree.SubElement(
        top,
        "testsuite",
        {"name": _clean(suite.name), **{name: str(value) for name, value in counted.items()}, "time": time},
    )
    told = ElementTree.SubElement(inner, "properties")
    for name, value in {**properties, "outcome": outcome, "disabled": str(suite.disabled)}.items():
        ElementTree.SubElement(told, "property", name=_clean(name), value=_clean(value))
    inner.extend(cases)
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"


def _case(case: Case, clock_hz: int, outcome: str) -> ElementTree.Element:
    from xml.etree import ElementTree

    element = ElementTree.Element(
        "testcase",
        classname=_clean(case.classname),
        name=_clean(case.name),
        time=_seconds(case.ended - case.started, clock_hz),
    )
    if case.result == "failed":
        first = case.failures[0] if case.failures else "failed"
        failure = ElementTree.SubElement(element, "failure", message=_clean(first), type="failure")
        failure.text = _clean("\n".join(case.failures))
    elif not case.result:
        said = _clean(f"the test did not end; outcome of the run: {outcome}")
        error = ElementTree.SubElement(element, "error", message=said, type="unfinished")
        error.text = _clean("\n".join(case.failures))
    if case.output:
        ElementTree.SubElement(element, "system-out").text = _clean("\n".join(case.output))
    return element


def _seconds(instructions: int, clock_hz: int) -> str:
    microseconds = instructions * 1_000_000 // clock_hz
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


_UNWRITABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) has no way to write."""


def _clean(text: str) -> str:
    """Text for XML, with what it cannot hold written as an escape."""
    return _UNWRITABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
