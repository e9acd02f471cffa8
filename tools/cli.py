"""The `retrap` command: runs a verb, turns failures into one line and an exit status (docs/cli.md).

Guest console output goes to standard output, retrap's own messages to standard error.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from retrap.tools import process, quick
from retrap.tools.errors import EngineBug, Status, UsageError

BUG: Final = "this is a bug in retrap: please report it with the image, the manifest and this line"


def main() -> None:
    """Entry point of the `retrap` command: runs a verb, turns failures into one line and an exit status."""
    process.collect_rarely()
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run the command line `arguments` and return the exit status."""
    try:
        status = quick.run(arguments)
        if status is None:
            from retrap.tools import verbs

            status = verbs.run(arguments)
        sys.stdout.flush()
        return int(status)
    except KeyboardInterrupt:
        return _fail("interrupted", Status.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Status.OK)
    except UsageError as error:
        return _fail(" ".join(str(error).split()), Status.BAD_INPUT)
    except Exception as error:
        known = _known(error)
        if known is not None:
            return known
        if os.environ.get("RETRAP_TRACEBACK"):
            raise
        where = _place(error)
        return _fail(f"{type(error).__name__}: {error} ({where}); {BUG}", Status.DIFFERENT)


def _known(error: Exception) -> int | None:
    """The exit status for the errors of the lower floors, imported only when there is one."""
    from retrap.loader.errors import InputError
    from retrap.machine.cpu import BackendUnavailable
    from retrap.traces.errors import TraceError

    if isinstance(error, InputError | TraceError | BackendUnavailable):
        return _fail(str(error), Status.BAD_INPUT)
    if isinstance(error, EngineBug):
        return _fail(f"{error}; {BUG}", Status.DIFFERENT)
    return None


def _place(error: BaseException) -> str:
    """Module and line where an unexpected exception was raised."""
    trace = error.__traceback__
    place = "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _fail(message: str, status: int) -> int:
    say(message)
    return int(status)


def say(message: str) -> None:
    """One line of retrap's own, to standard error."""
    sys.stdout.flush()
    sys.stderr.write(f"retrap: {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
