"""Measure what objects cost: revoking and deleting by number of capabilities, making objects, and their memory.

`python benchmarks/objects.py [--most N] [--plain]`. Every figure is CPU time of one kernel entry divided by what it
did (capabilities deleted, objects made), the least of three. A flat row means that a capability costs the same
whatever else there is. The second row of each is the kernel compiled ahead, if `make compiled` has been made.
Memory is what Python allocates for one more of each object (tracemalloc), its capability included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "kernel"))

from kernel_driver import CNODE, LARGEST_UNTYPED, UNTYPED, Driver  # noqa: E402
from retrap.kernel import derivation  # noqa: E402
from retrap.kernel.caps import EndpointCap  # noqa: E402
from retrap.kernel.structures import CNode  # noqa: E402
from retrap.tools.build import description  # noqa: E402
from threads_driver import World  # noqa: E402

REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def node_of(driver: Driver, slot: int) -> CNode:
    node = driver.state.objects[driver.cap(slot).address]
    assert isinstance(node, CNode)
    return node


def with_table(radix: int) -> tuple[Driver, int, CNode]:
    """A system with a CNode of 2^radix slots."""
    driver = Driver()
    slot = driver.make("CapTable", radix, LARGEST_UNTYPED)
    return driver, slot, node_of(driver, slot)


def radix_for(count: int) -> int:
    return max(4, count.bit_length())


def revoke_badged(count: int) -> float:
    """Revoke an endpoint with `count` badged capabilities: wide fan-out."""
    driver, _, node = with_table(radix_for(count))
    endpoint = driver.make("Endpoint")
    source = driver.slot(endpoint)
    for index in range(count):
        cap = driver.cap(endpoint)
        derivation.insert(EndpointCap(cap.address, index + 1, 15), source, node.slot(index))
    return seconds(lambda: driver.revoke(endpoint))


def revoke_copies(count: int) -> float:
    """Revoke an untyped whose only object has `count` copies, each of the one before: a deep chain."""
    driver, _, node = with_table(radix_for(count))
    endpoint = driver.make("Endpoint")
    source = driver.slot(endpoint)
    for index in range(count):
        derivation.insert(driver.cap(endpoint), source, node.slot(index))
        source = node.slot(index)
    return seconds(lambda: driver.revoke(UNTYPED + 4))


def revoke_objects(count: int) -> float:
    """Revoke an untyped with `count` endpoints."""
    driver, slot, _ = with_table(radix_for(count))
    for first in range(0, count, 250):
        words = (driver.objects["Endpoint"], 0, slot, 32, first, min(250, count - first))
        assert driver.call(UNTYPED + 4, "UntypedRetype", *words, caps=(CNODE,)) == 0, driver.effects.reason
    return seconds(lambda: driver.revoke(UNTYPED + 4))


def delete_node(count: int) -> float:
    """Delete a CNode with `count` capabilities in it."""
    driver, slot, node = with_table(radix_for(count))
    endpoint = driver.make("Endpoint")
    source = driver.slot(endpoint)
    for index in range(count):
        derivation.insert(driver.cap(endpoint), source, node.slot(index))
    return seconds(lambda: driver.delete(slot))


def delete_nested(count: int) -> float:
    """Revoke the memory of `count` CNodes, each the only content of the one before."""
    driver = Driver()
    outer = driver.make("CapTable", 1)
    for _ in range(count - 1):
        inner = driver.make("CapTable", 1)
        assert driver.call(inner, "CNodeMove", 1, 1, outer, 32, caps=(CNODE,)) == 0
        driver.next_free = inner
        outer, driver.next_free = inner, inner + 1
        if driver.next_free > 4000:
            driver.next_free = 40
    return seconds(lambda: driver.revoke(UNTYPED + 4))


def cancel_badged(count: int) -> float:
    """CancelBadgedSends among `count` threads that wait to send, half of them with the badge."""
    world = World()
    endpoint = world.make("Endpoint", untyped=UNTYPED + 5)
    badged = [world.mint(endpoint, badge) for badge in (1, 2)]
    for number in range(count):
        thread = world.thread(start=False)
        world.call(world.tcbs[thread.number], "TCBResume")
        world.system_call("Send", badged[number & 1])
    return seconds(lambda: world.call(CNODE, "CNodeCancelBadgedSends", badged[0], 32))


def delete_waiting(count: int) -> float:
    """Delete a thread in the middle of the queue of `count` that wait to send; of one thread."""
    world = World()
    endpoint = world.make("Endpoint", untyped=UNTYPED + 5)
    for _ in range(count):
        world.thread()
        world.system_call("Send", endpoint)
    middle = world.tcbs[count // 2 or 1]
    return seconds(lambda: world.delete(middle)) * count


SCALING = (
    ("revoke an endpoint, per badged capability", revoke_badged, 10**5),
    ("revoke an untyped, per copy in a chain", revoke_copies, 10**5),
    ("revoke an untyped, per endpoint made of it", revoke_objects, 10**5),
    ("delete a full CNode, per capability", delete_node, 10**5),
    ("delete CNodes one in the other, per CNode", delete_nested, 10**3),
    ("cancel badged sends, per waiting thread", cancel_badged, 10**3),
    ("delete one thread of a queue", delete_waiting, 10**3),
)


def retype(kind: str, size_bits: int, count: int) -> float:
    driver = Driver()
    words = (driver.objects[kind], size_bits, 0, 0, 64, count)
    return seconds(lambda: driver.call(LARGEST_UNTYPED, "UntypedRetype", *words, caps=(CNODE,)))


MAKING = (
    ("one CNode of 2^18 slots", "CapTable", 18, 1),
    ("one CNode of 2^22 slots", "CapTable", 22, 1),
    ("256 endpoints, each", "Endpoint", 0, 256),
    ("256 threads, each", "TCB", 0, 256),
    ("256 pages, each", "SmallPage", 0, 256),
    ("256 CNodes of 16 slots, each", "CapTable", 4, 256),
)

KINDS = (
    ("endpoint", "Endpoint", 0),
    ("notification", "Notification", 0),
    ("thread", "TCB", 0),
    ("page (its bytes apart)", "SmallPage", 0),
    ("page table", "PageTable", 0),
    ("page directory", "PageDirectory", 0),
    ("untyped", "Untyped", 12),
    ("CNode of 16 slots", "CapTable", 4),
    ("CNode of 2^18 slots, empty", "CapTable", 18),
)


def bytes_each(kind: str, size_bits: int) -> float:
    """Bytes that Python allocates for one object more, its capability and slot included."""
    driver = Driver()
    count = 8 if size_bits == 18 else 256
    driver.make(kind, size_bits, LARGEST_UNTYPED)
    words = (driver.objects[kind], size_bits, 0, 0, 64, count)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    driver.call(LARGEST_UNTYPED, "UntypedRetype", *words, caps=(CNODE,))
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / count


def bytes_of_copy() -> float:
    driver, _, node = with_table(12)
    endpoint = driver.make("Endpoint")
    source = driver.slot(endpoint)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for index in range(4096):
        derivation.insert(EndpointCap(driver.cap(endpoint).address, index, 15), source, node.slot(index))
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / 4096


def measure(most: int) -> dict[str, list[float]]:
    """Every row: microseconds (or bytes) by column."""
    rows: dict[str, list[float]] = {}
    for name, work, limit in SCALING:
        counts = [10**power for power in range(1, 6) if 10**power <= min(limit, most)]
        rows[name] = [min(work(count) for _ in range(REPEATS)) / count * 1e6 for count in counts]
    for name, kind, size, count in MAKING:
        rows[name] = [min(retype(kind, size, count) for _ in range(REPEATS)) / count * 1e6]
    for name, kind, size in KINDS:
        rows[f"bytes: {name}"] = [bytes_each(kind, size)]
    rows["bytes: a copied capability"] = [bytes_of_copy()]
    return rows


def elsewhere(most: int, place: Path) -> dict[str, list[float]]:
    """The same, by a kernel that is compiled ahead."""
    environment = {**os.environ, "PYTHONPATH": str(place)}
    command = [sys.executable, __file__, "--json", "--most", str(most)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    rows: dict[str, list[float]] = json.loads(done.stdout)
    return rows


def text(values: list[float]) -> str:
    return "".join(f"{value:>9.2f}" if value < 1000 else f"{value:>9.0f}" for value in values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=10**5, help="the largest number of capabilities")
    parser.add_argument("--plain", action="store_true", help="this installation only")
    parser.add_argument("--json", action="store_true", help="figures only")
    chosen = parser.parse_args()
    out = sys.stdout
    here = measure(chosen.most)
    if chosen.json:
        out.write(json.dumps(here))
        return 0
    compiled = ROOT / "build" / "compiled"
    other = {} if chosen.plain or not compiled.exists() else elsewhere(chosen.most, compiled)
    out.write(f"{description()}; µs of CPU time for n = 10, 10², … 10⁵; below, compiled ahead\n")
    for name, values in here.items():
        if name.startswith("bytes"):
            out.write(f"{name:<45}{values[0]:>9.0f}\n")
            continue
        out.write(f"{name:<45}{text(values)}\n")
        if name in other:
            out.write(f"{'':<45}{text(other[name])}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
