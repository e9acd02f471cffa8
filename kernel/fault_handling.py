"""Delivering a fault to the thread's handler, or stopping the thread for good (manual 6.2)."""

from __future__ import annotations

from retrap.kernel.caps import GRANT, GRANT_REPLY, WRITE, EndpointCap
from retrap.kernel.effects import Outcome
from retrap.kernel.endpoint import send_ipc
from retrap.kernel.failures import LookupFailed
from retrap.kernel.lookup import lookup_slot
from retrap.kernel.registers import RESTART_PC
from retrap.kernel.scheduler import set_thread_state
from retrap.kernel.state import KernelState
from retrap.kernel.structures import Endpoint, Fault, Tcb, ThreadState


def handle_fault(state: KernelState, thread: Tcb, fault: Fault) -> None:
    """Send the fault to the endpoint that the thread's fault handler capability pointer names.

    Without such an endpoint the thread stops, and is listed in `state.died`.
    """
    effects = state.effects
    effects.fault = fault.name
    effects.fault_words = fault.words(state, thread)
    handler = thread.fault_handler
    try:
        cap = lookup_slot(state, thread, handler).cap
        problem = "" if isinstance(cap, EndpointCap) else "it is not an endpoint"
    except LookupFailed as failed:
        problem = failed.failure.sentence()
    if not problem:
        assert isinstance(cap, EndpointCap)
        # Where there are no replies, the handler resumes the thread instead, for which it needs other capabilities.
        answered = state.facts.reply == "capability"
        if cap.rights & WRITE and (cap.rights & (GRANT | GRANT_REPLY) or not answered):
            effects.outcome = Outcome.FAULT
            effects.reason = fault.describe()
            thread.fault = fault
            endpoint = state.objects[cap.address]
            assert isinstance(endpoint, Endpoint)
            grant = answered and cap.rights & GRANT != 0
            send_ipc(state, thread, endpoint, cap.badge, True, True, grant, answered)
            return
        problem = "it lacks the right to send or to grant a reply"
    where = f"{fault.describe()}, at {thread.context.words[RESTART_PC]:#010x}"
    effects.outcome = Outcome.DEAD
    effects.reason = f"{where}; no fault handler (capability pointer {handler:#x}): {problem}"
    state.died.append((thread.number, effects.reason))
    set_thread_state(state, thread, ThreadState.INACTIVE)
