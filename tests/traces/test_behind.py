"""Work done behind the caller: in order, bounded, and nothing after a failure."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from retrap.traces.behind import Behind


def test_jobs_are_done_in_order() -> None:
    done: list[int] = []
    behind = Behind(3)
    for number in range(100):
        behind.do(partial(done.append, number))
    behind.finish()
    assert done == list(range(100))
    behind.do(partial(done.append, 100))  # it can go on
    behind.finish()
    assert done[-1] == 100


def test_no_more_jobs_wait_than_the_limit() -> None:
    gate = threading.Event()
    done: list[int] = []

    def job(number: int) -> None:
        gate.wait(10)
        done.append(number)

    behind = Behind(2)
    behind.do(partial(job, 0))
    behind.do(partial(job, 1))
    third = threading.Thread(target=lambda: behind.do(partial(job, 2)))
    third.start()
    third.join(0.05)
    assert third.is_alive()  # it waits for the first
    assert not done
    gate.set()
    third.join(10)
    behind.finish()
    assert done == [0, 1, 2]


def test_a_failure_is_raised_later_and_nothing_is_done_after_it() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("full")

    behind = Behind(4)
    behind.do(partial(done.append, 1))
    behind.do(fail)
    behind.do(partial(done.append, 2))
    with pytest.raises(OSError, match="full"):
        behind.finish()
    behind.finish()
    assert done == [1]
    assert behind.failed


def test_nothing_to_do() -> None:
    Behind(1).finish()
