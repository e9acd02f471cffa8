"""What must hold between any two kernel entries: each law a function with a name, all of them in `LAWS`.

A violation is a bug in this engine, whatever the guest did. Laws look at the whole state and change nothing;
they return sentences, none if they hold. The proofs of seL4 call them invariants.
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.laws.capabilities import (
    capabilities_refer_to_live_objects,
    derivation_lists_are_well_formed,
    descendants_are_contiguous,
    interrupts_signal_notifications,
    reply_capabilities_are_unique,
    slots_know_their_place,
)
from retrap.kernel.laws.memory import (
    memory_is_conserved,
    objects_do_not_overlap,
    objects_lie_in_their_untyped,
    watermarks_cover_children,
)
from retrap.kernel.laws.spaces import (
    asids_agree_with_directories,
    mappings_belong_to_capabilities,
    page_tables_agree_with_directories,
    spaces_show_the_tables,
    the_processor_keeps_what_lookups_find,
    the_visible_space_is_live,
)
from retrap.kernel.laws.survey import Law, Survey
from retrap.kernel.laws.threads import (
    ready_queues_agree_with_threads,
    the_current_thread_can_run,
    wait_queues_agree_with_threads,
    what_threads_keep_is_what_their_slots_say,
)
from retrap.kernel.state import KernelState

CHEAP: Final[tuple[Law, ...]] = (
    the_current_thread_can_run,
    ready_queues_agree_with_threads,
    wait_queues_agree_with_threads,
    the_visible_space_is_live,
)
"""Laws that look at threads and queues only."""

LAWS: Final[tuple[Law, ...]] = (
    *CHEAP,
    objects_do_not_overlap,
    objects_lie_in_their_untyped,
    watermarks_cover_children,
    memory_is_conserved,
    derivation_lists_are_well_formed,
    descendants_are_contiguous,
    capabilities_refer_to_live_objects,
    slots_know_their_place,
    reply_capabilities_are_unique,
    interrupts_signal_notifications,
    asids_agree_with_directories,
    page_tables_agree_with_directories,
    mappings_belong_to_capabilities,
    spaces_show_the_tables,
    the_processor_keeps_what_lookups_find,
    what_threads_keep_is_what_their_slots_say,
)
"""All laws."""


def check(state: KernelState, level: str) -> list[str]:
    """The laws of `level` ("cheap" or "full") that do not hold, as sentences "law: what is wrong".

    A kernel that died in the middle of something owes nobody anything.
    """
    if state.crashed:
        return []
    survey = Survey(state)
    laws = CHEAP
    if level == "full":
        survey.take_stock()
        laws = LAWS
    return [f"{law.__name__.replace('_', ' ')}: {fault}" for law in laws for fault in law(survey)]
