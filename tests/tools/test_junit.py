"""The public test suite's results, read off the console: both forms, torn, dirty, and as JUnit."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.tools.junit import Suite, report

HZ = 1000

PLAIN = """seL4 Test
=========

Starting test suite sel4test
Starting test 0: Test that there are tests
Starting test 1: BIND0001
Running test BIND0001 (bound & waiting)
Test BIND0001 passed
Starting test 2: IPC0002
Running test IPC0002 (two <ways>)
\tFailure: a == b at line 10 of file /src/ipc.c
\tError: c at line 11 of file /src/ipc.c
Test IPC0002 failed
Starting test 3: SERIAL
\x1b[0m\x1b[33mHello, world!
\x1b[0mTest SERIAL passed
Starting test 5: Test all tests ran
Test suite failed. 3/4 tests passed.
*** FAILURES DETECTED ***
"""
XML = """seL4 Test
<testsuite>
\t<testcase classname="sel4test" name="Test that there are tests">
\t</testcase>
\t<testcase classname="sel4test" name="BIND0001">
Running test BIND0001 (bound & waiting)
\t\t<system-out>first
a < b</system-out>
\t</testcase>
\t<testcase classname="sel4test" name="IPC0002">
\t\t<failure type="failure">a < b && c at line 10 of file /src/ipc.c</failure>
\t\t<error>goes
on at line 11 of file /src/ipc.c</error>
\t</testcase>
</testsuite>
All is well in the universe
"""


def run(text: str, step: int = 1, size: int = 1) -> Suite:
    """A suite that heard `text` in pieces of `size` bytes, `step` instructions apart."""
    suite, now, data = Suite(), 0, text.encode()
    for at in range(0, len(data), size):
        now += step
        suite.feed(data[at : at + size], now)
    suite.close(now)
    return suite


def parse(suite: Suite, outcome: str = "quiescent", instructions: int = 5000) -> ElementTree.Element:
    text = report(suite, HZ, outcome, instructions, {"kernel": "16.0.0"})
    top = ElementTree.fromstring(text.encode())
    assert top.tag == "testsuites" and len(top) == 1
    inner = top[0]
    cases = inner.findall("testcase")
    assert inner.get("tests") == str(len(cases))
    assert inner.get("failures") == str(len([c for c in cases if c.find("failure") is not None]))
    assert inner.get("errors") == str(len([c for c in cases if c.find("error") is not None]))
    return inner


def results(suite: Suite) -> list[tuple[str, str]]:
    return [(case.name, case.result) for case in suite.cases]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_plain_lines(size: int) -> None:
    suite = run(PLAIN, size=size)
    assert results(suite) == [
        ("Test that there are tests", "passed"),
        ("BIND0001", "passed"),
        ("IPC0002", "failed"),
        ("SERIAL", "passed"),
        ("Test all tests ran", "passed"),
    ]
    assert suite.ended and suite.counts == {"passed": 4, "failed": 1, "unfinished": 0, "disabled": 0}
    top = parse(suite)
    failed = top.findall("testcase")[2]
    failure = failed.find("failure")
    assert failure is not None and failure.get("message") == "a == b at line 10 of file /src/ipc.c"
    assert failure.text == "a == b at line 10 of file /src/ipc.c\nc at line 11 of file /src/ipc.c"
    out = failed.find("system-out")
    assert out is not None and out.text == "Running test IPC0002 (two <ways>)"
    assert (failed.get("classname"), top.get("name"), top.get("time")) == ("sel4test", "sel4test", "5.000000")


def test_its_own_xml() -> None:
    suite = run(XML, size=3)
    assert results(suite) == [
        ("Test that there are tests", "passed"),
        ("BIND0001", "passed"),
        ("IPC0002", "failed"),
    ]
    assert suite.ended
    first, bind, ipc = parse(suite).findall("testcase")
    assert len(first) == 0
    out = bind.find("system-out")
    assert out is not None and out.text == "Running test BIND0001 (bound & waiting)\nfirst\na < b"
    failure = ipc.find("failure")
    assert failure is not None and failure.text is not None
    assert failure.text.split("\n") == [
        "a < b && c at line 10 of file /src/ipc.c",
        "goes",
        "on at line 11 of file /src/ipc.c",
    ]


def test_marks_behind_unfinished_lines() -> None:
    lines = (
        "Starting test suite s\nStarting test 1: A\nno end  Starting test 2: B\n... Test B failed\n#\tError: x\n"
    )
    suite = run(lines + "$ Test suite failed. 1/2 tests passed.\n")
    assert results(suite) == [("A", "passed"), ("B", "failed")] and suite.ended
    assert [case.output for case in suite.cases] == [["no end  "], ["... ", "#"]]
    assert suite.cases[1].failures == ["x"]
    suite = run('<testsuite>\n<testcase classname="c" name="A">\nend</testcase>\nx</testsuite>\n')
    assert results(suite) == [("A", "passed")] and suite.ended and suite.cases[0].output == ["end"]


def test_disabled_tests_are_counted() -> None:
    suite = run(
        "Starting test suite s\nStarting test 1: A\nTest suite passed. 1 tests passed. 54 tests disabled.\n"
    )
    assert suite.counts == {"passed": 1, "failed": 0, "unfinished": 0, "disabled": 54}
    top = parse(suite)
    told = {p.get("name"): p.get("value") for p in top.iter("property")}
    assert told == {"kernel": "16.0.0", "outcome": "quiescent", "disabled": "54"}


def test_times_are_those_of_the_lines() -> None:
    suite = Suite()
    suite.feed(b"Starting test 1: A\n", 100)
    suite.feed(b"Running\n", 200)
    suite.feed(b"Test A passed\n", 1350)
    suite.feed(b"Starting test 2: B\n", 2000)
    suite.close(2500)
    assert [case.get("time") for case in parse(suite).findall("testcase")] == ["1.250000", "0.500000"]


@pytest.mark.parametrize("text", [PLAIN, XML])
def test_a_run_that_ends_in_a_test_makes_it_an_error(text: str) -> None:
    torn = text[: text.index("IPC0002") + 60]
    suite = run(torn)
    assert suite.cases[-1].result == "" and not suite.ended
    top = parse(suite, "died")
    last = top.findall("testcase")[-1]
    error = last.find("error")
    assert error is not None
    assert (last.get("name"), error.get("message")) == ("IPC0002", "the test did not end; outcome of the run: died")


def test_a_run_that_ends_between_tests_or_without_any_is_an_error() -> None:
    for text, said in (
        ("Starting test suite s\nStarting test suite s\n", "the suite did not end; outcome of the run: limit"),
        ("hello\n", "no test suite was seen on the console; outcome of the run: limit"),
        ("", "no test suite was seen on the console; outcome of the run: limit"),
    ):
        (case,) = parse(run(text), "limit").findall("testcase")
        error = case.find("error")
        assert error is not None and error.get("message") == said


def test_what_xml_cannot_hold_is_escaped() -> None:
    suite = Suite()
    suite.feed(b'Starting test 1: A\x00\x1bB\xff<&"\n\x07bell \xf0\x9f\x98\x80 \xef\xbf\xbe\r\n', 1)
    suite.close(2)
    (case,) = parse(suite).findall("testcase")
    assert case.get("name") == 'A\\x00\\x1bB\\xff<&"'
    out = case.find("system-out")
    assert out is not None and out.text == "\\x07bell \U0001f600 \\xfffe"


def test_a_long_line_and_much_output_are_cut() -> None:
    suite = Suite()
    suite.feed(b"Starting test 1: A\n" + b"x" * 1_000_000, 1)
    suite.feed(b"y" * 1_000_000 + b"\n" + b"line\n" * 200_000 + b"Test A passed\n", 2)
    suite.close(3)
    assert results(suite) == [("A", "passed")]
    assert suite.cases[0].size < 300_000
    parse(suite)


LINES = st.lists(st.sampled_from([*PLAIN.splitlines(), *XML.splitlines(), "\x1b[0m", "</testcase>", "\0\x08"]))


@given(st.one_of(LINES.map("\n".join), st.text(), st.binary(max_size=300).map(lambda b: b.decode("latin-1"))))
@settings(max_examples=300, deadline=None)
def test_every_console_gives_a_sound_report(text: str) -> None:
    suite = run(text, size=17)
    top = parse(suite)
    assert sum(suite.counts.values()) - suite.disabled == len(suite.cases)
    for case in top.findall("testcase"):
        assert case.get("name") and float(case.get("time") or -1) >= 0
