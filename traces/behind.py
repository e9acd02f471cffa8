"""Work that is done in order while the caller goes on: compressing, digesting and writing need no Python lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


@final
class Behind:
    """One job after the other, `limit` of them unfinished at most. After one has failed, no other is done.

    What a job raises is raised by a later `do`, or by `finish`.
    """

    def __init__(self, limit: int) -> None:
        self._limit: Final = limit
        self._unfinished: Final[deque[Future[None]]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self.failed = False
        """Whether a job has failed."""

    def do(self, job: Callable[[], None]) -> None:
        """Have a job done after those before."""
        while len(self._unfinished) >= self._limit:
            self._unfinished.popleft().result()
        if self._pool is None:
            # Short traces are finished before there is anything to do behind.
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(1, "retrap-trace")
        self._unfinished.append(self._pool.submit(self._one, job))

    def finish(self) -> None:
        """Wait until all is done."""
        pool = self._pool
        try:
            while self._unfinished:
                self._unfinished.popleft().result()
        finally:
            if pool is not None and not self._unfinished:
                pool.shutdown()
                self._pool = None

    def _one(self, job: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            job()
        except BaseException:
            self.failed = True
            raise
