"""The kernel of the 2006 paper "Kernel Data - First Class Citizens of the System", as a release.

The paper describes a design and no binary interface. What it says is taken from it; where it is silent the
simplest rule consistent with it is chosen, with the numbers of 1.0.3 where that has the same thing:

* Six object types (section 3.1): untyped memory, TCB, endpoint, asynchronous endpoint, CNode, user data. No page
  tables, no interrupt, domain or reply objects.
* Sizes: user data and untyped memory are of any power of two (3.1), user data at least the smallest page; a CNode
  has 2^n slots, n > 0 (3.1). TCBs, endpoints and slots have the sizes of 1.0.3. An asynchronous endpoint holds a
  message (3.1): badge, message info and four words, hence 32 bytes.
* Retype divides the whole untyped into equal objects, so that it takes no number of objects; it refuses while
  capabilities derived from the untyped exist (section 5: they must be invalidated first).
* Address spaces are trees of CNodes as capability spaces are (3, 4: "an address space by creating a CNode"); the
  address selects user data by its upper bits, a load or a store is an invocation of it (3.1) and its rights
  decide. There is nothing to map or unmap, so that there are no page invocations and no attributes.
* No reply capabilities: a Call of an endpoint is a Send, and who wants an answer passes an endpoint. Calls of
  other objects return their result in registers.
* Copying, minting, moving, deleting and revoking capabilities: CNodes are inspected and modified by invoking them
  (3); capabilities are immutable (3), so that there is no Mutate, and no Rotate.
* Devices are ignored (section 1), so that no memory is a device's.
* Fixed priorities as in 1.0.3, a priority within the caller's own.

`docs/kernel-2006.md` has every rule and every choice, with the paper's section.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from retrap.kernel.abi import bootinfo, numbers
from retrap.kernel.abi import signatures as s
from retrap.kernel.abi.calls import CALLS_1_0_3
from retrap.kernel.abi.release import Facts, Invocation, ObjectType, Release

SPLIT: Final = Invocation(
    "UntypedRetype",
    "Untyped",
    "seL4_Untyped_Retype",
    tuple(p for p in s.UNTYPED_RETYPE.parameters if p.name != "num_objects"),
)
"""Retype without a number of objects: as many as the untyped holds."""

_LABELS: Final = (
    s.INVALID,
    SPLIT,
    s.TCB_READ_REGISTERS,
    s.TCB_WRITE_REGISTERS,
    s.TCB_CONFIGURE_WITH_PRIORITY,
    s.TCB_SET_PRIORITY_OF_SELF,
    s.TCB_SET_IPC_BUFFER,
    s.TCB_SET_SPACE,
    s.TCB_SUSPEND,
    s.TCB_RESUME,
    s.CNODE_REVOKE,
    s.CNODE_DELETE,
    s.CNODE_COPY,
    s.CNODE_MINT,
    s.CNODE_MOVE,
)

_OBJECTS: Final = (
    ObjectType("Untyped", "seL4_UntypedObject", None),
    ObjectType("TCB", "seL4_TCBObject", 9),
    ObjectType("Endpoint", "seL4_EndpointObject", 4),
    ObjectType("AsyncEndpoint", "seL4_AsyncEndpointObject", 5),
    ObjectType("CapTable", "seL4_CapTableObject", None),
    ObjectType("UserData", "seL4_UserDataObject", None),
)

_CAP_TYPES: Final = MappingProxyType(
    {"null": 0, "user-data": 1, "untyped": 2, "endpoint": 4, "async-endpoint": 6, "cnode": 10, "thread": 12}
)

_SLOTS: Final = (
    "seL4_CapNull",
    "seL4_CapInitThreadTCB",
    "seL4_CapInitThreadCNode",
    "seL4_CapInitThreadVSpace",
    "seL4_CapBootInfoFrame",
    "seL4_CapInitThreadIPCBuffer",
)

_WITHOUT_REPLY: Final = ("Reply", "ReplyRecv")

V2006: Final = Release(
    name="2006",
    tag="paper",
    mcs=False,
    syscalls=tuple(call for call in CALLS_1_0_3 if call.name not in _WITHOUT_REPLY),
    invocations=_LABELS,
    object_types=_OBJECTS,
    fault_labels=numbers.FAULTS_1,
    errors=numbers.ERRORS,
    cap_types=_CAP_TYPES,
    boot_slots=_SLOTS,
    bootinfo=bootinfo.BOOTINFO_2006,
    user_context=numbers.CONTEXT_1,
    constants=numbers.CONSTANTS_2006,
    facts=replace(
        Facts(),
        retype="split",
        asynchronous="message",
        address_space="capabilities",
        reply="none",
        grant_reply=False,
        fpu="none",
        tls_base_register="",
        priority_authority="own-priority",
        set_priority_preempts="self",
        retype_size_limit="argument-30",
        cleared_at="creation",
        device_untypeds=False,
        boot_untypeds_dirty=False,
        execute_never=False,
        all_device_memory=False,
        device_tree="",
    ),
    sources=MappingProxyType(
        {
            "syscalls": "section 3",
            "invocations": "sections 3.1 and 4",
            "object_types": "section 3.1",
            "fault_labels": "silent",
            "errors": "silent",
            "cap_types": "section 3.1",
            "boot_slots": "silent",
            "bootinfo": "silent",
            "user_context": "silent",
            "constants": "silent",
            "constants of libsel4": "section 3.1",
            "constants of arm": "silent",
            "invocations of arm": "section 3.1",
            "invocations of aarch32": "section 3.1",
        }
    ),
)
"""The `tag` "paper" and the sections in `sources` stand where releases have a tag and paths."""
