"""The digest: equal for equal states, different after anything that users could notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kernel_driver import CNODE, DOMAIN, IRQ_CONTROL, TCB, VSPACE
from retrap.kernel.digest import DIGEST_SIZE
from test_invariants import ENDPOINT, FRAME, HANDLER, TABLE, THREAD, busy_kernel


def test_equal_histories_have_equal_digests() -> None:
    assert busy_kernel().kernel.digest() == busy_kernel().kernel.digest()
    assert len(busy_kernel().kernel.digest()) == DIGEST_SIZE


def test_it_does_not_depend_on_the_interpreters_hash_seed() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_invariants import busy_kernel\n"
        "sys.stdout.write(busy_kernel().kernel.digest().hex())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {busy_kernel().kernel.digest().hex()}


def test_what_only_was_looked_at_does_not_count() -> None:
    driver = busy_kernel()
    before = driver.kernel.digest()
    driver.slot(3000)
    assert driver.kernel.digest() == before


def test_refusals_change_nothing() -> None:
    driver = busy_kernel()
    before = driver.kernel.digest()
    assert driver.page_map(FRAME, 0x20_0001) != 0
    assert driver.table_map(TABLE, 0) != 0
    assert driver.call(IRQ_CONTROL, "IRQIssueIRQHandler", 27, 99, 32, caps=(CNODE,)) != 0
    assert driver.call(DOMAIN, "DomainSetSet", 1, caps=(TCB,)) != 0
    assert driver.kernel.digest() == before


def test_every_change_shows() -> None:
    driver = busy_kernel()
    seen = {driver.kernel.digest()}

    def changed(error: int) -> None:
        assert error == 0
        digest = driver.kernel.digest()
        assert digest not in seen
        seen.add(digest)

    changed(driver.page_map(FRAME, 0x20_0000, 2))
    changed(driver.page_map(FRAME, 0x20_0000, 2, 7))
    changed(driver.call(FRAME, "ARMPageUnmap"))
    changed(driver.call(TABLE, "ARMPageTableUnmap"))
    changed(driver.call(CNODE, "CNodeCopy", 99, 32, ENDPOINT, 32, 15, caps=(CNODE,)))
    changed(driver.call(CNODE, "CNodeMove", 98, 32, 99, 32, caps=(CNODE,)))
    changed(driver.delete(98) or driver.call(CNODE, "CNodeMint", 98, 32, ENDPOINT, 32, 15, 5, caps=(CNODE,)))
    changed(driver.call(THREAD, "TCBSetPriority", 9, caps=(TCB,)))
    changed(driver.call(THREAD, "TCBSuspend"))
    changed(driver.call(THREAD, "TCBSetSpace", 0, 0, 0, caps=(CNODE, VSPACE)))
    changed(driver.call(DOMAIN, "DomainScheduleConfigure", 0, 0, 5, 0))
    notification = driver.make("Notification")
    changed(driver.call(HANDLER, "IRQSetIRQHandler", caps=(notification,)))
    driver.kernel.raise_irq(40)
    changed(driver.tick() or 0)
    changed(driver.call(HANDLER, "IRQAckIRQ"))
    changed(driver.call(THREAD, "TCBBindNotification", caps=(notification,)))
    driver.new_space()
    changed(0)
    changed(driver.delete(HANDLER))
    changed(driver.tick() or 0)
