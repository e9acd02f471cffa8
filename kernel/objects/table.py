"""Which file serves which kind of capability and which object type: the only list of them.

How an object's file plugs in (types in `retrap.kernel.state`):

* label-driven kinds export `METHODS: dict[str, Decoder]`, invocation name as in `Release.invocations` →
  `decode_…(state, slot, cap, message) -> Invocation`. A label that is not in the kind's table is refused as
  seL4_IllegalOperation before any of these is called; a name that the release does not have is left out.
  Kinds that ignore the label (endpoint, notification, reply) export one `decode`.
* `finalise(state, cap, final) -> Cap` for kinds with something to undo; the others just vanish.
* `after_delete(state, cap)` for what happens once the last capability's slot is empty.
* `create…(state, address, size_bits, device) -> Cap` for object types that Untyped_Retype makes, in
  `CREATORS: dict[str, Creator]` by the canonical name of the type. (Frames are made by Retype itself.)
* Rights masking, badges and guards, copying, and region comparison are methods of the capability classes.

Decode functions use `message.words[i]`, `message.caps[i]` (slots), `message.require(words, caps)`,
`lookup.target_slot`, `derivation.ensure_empty`, … and raise `failures.…` helpers. They return a final
subclass of `Invocation`, whose `perform(state)` may write: `derivation.insert`, `state.objects`,
`state.memory`, …
"""

from __future__ import annotations

from typing import Final

from retrap.kernel.caps import Cap, Tag
from retrap.kernel.failures import invalid_capability
from retrap.kernel.message import Invocation, Message
from retrap.kernel.objects import (
    asid,
    async_endpoint,
    cnode,
    division,
    domain,
    endpoint,
    frame,
    irq,
    notification,
    page_directory,
    page_table,
    reply,
    tcb,
    untyped,
    user_data,
)
from retrap.kernel.slots import Slot
from retrap.kernel.state import (
    ANY_SIZE,
    SLOT_SIZED,
    Cleanup,
    Creator,
    Decoder,
    Finaliser,
    KernelState,
)


def _decode_nothing(state: KernelState, slot: Slot, cap: Cap, message: Message) -> Invocation:
    raise invalid_capability(0, "there is no capability to invoke, or it is being deleted")


_METHODS: Final[dict[int, dict[str, Decoder]]] = {
    Tag.CNODE: cnode.METHODS,
    Tag.THREAD: tcb.METHODS,
    Tag.IRQ_CONTROL: irq.CONTROL_METHODS,
    Tag.IRQ_HANDLER: irq.HANDLER_METHODS,
    Tag.DOMAIN: domain.METHODS,
    Tag.FRAME: frame.METHODS,
    Tag.PAGE_TABLE: page_table.METHODS,
    Tag.PAGE_DIRECTORY: page_directory.METHODS,
    Tag.ASID_CONTROL: asid.CONTROL_METHODS,
    Tag.ASID_POOL: asid.POOL_METHODS,
}

_RETYPE: Final = {"watermark": untyped.METHODS, "split": division.METHODS}
"""By fact `retype`."""

_SEND: Final[dict[str, Decoder]] = {"capability": endpoint.decode, "none": endpoint.decode_without_reply}
"""By fact `reply`."""

_DECODERS: Final[dict[int, Decoder]] = {
    Tag.NULL: _decode_nothing,
    Tag.ZOMBIE: _decode_nothing,
    Tag.NOTIFICATION: notification.decode,
    Tag.ASYNC_ENDPOINT: async_endpoint.decode,
    Tag.REPLY: reply.decode,
    Tag.SGI_SIGNAL: irq.decode_sgi,
}

_FINALISERS: Final[dict[int, Finaliser]] = {
    Tag.ENDPOINT: endpoint.finalise,
    Tag.NOTIFICATION: notification.finalise,
    Tag.ASYNC_ENDPOINT: async_endpoint.finalise,
    Tag.CNODE: cnode.finalise,
    Tag.ZOMBIE: cnode.finalise_zombie,
    Tag.THREAD: tcb.finalise,
    Tag.IRQ_HANDLER: irq.finalise_handler,
    Tag.FRAME: frame.finalise,
    Tag.PAGE_TABLE: page_table.finalise,
    Tag.PAGE_DIRECTORY: page_directory.finalise,
    Tag.ASID_POOL: asid.finalise_pool,
}

_CLEANUPS: Final[dict[int, Cleanup]] = {Tag.IRQ_HANDLER: irq.after_delete_handler}

_CREATORS: Final[dict[str, Creator]] = {
    **untyped.CREATORS,
    **tcb.CREATORS,
    **endpoint.CREATORS,
    **notification.CREATORS,
    **async_endpoint.CREATORS,
    **cnode.CREATORS,
    **user_data.CREATORS,
    **page_table.CREATORS,
    **page_directory.CREATORS,
}

_CHOSEN_SIZES: Final = {"Untyped": ANY_SIZE, "UserData": ANY_SIZE, "CapTable": SLOT_SIZED}


def install(state: KernelState) -> None:
    """Fill the state's dispatch tables from the release: names become this release's numbers, once."""
    labels = state.release.label_numbers()
    facts = state.facts
    for tag, methods in (*_METHODS.items(), (Tag.UNTYPED, _RETYPE[facts.retype])):
        state.methods[tag] = {labels[name]: decoder for name, decoder in methods.items() if name in labels}
    for tag, decoder in _DECODERS.items():
        state.decoders[tag] = decoder
    state.decoders[Tag.ENDPOINT] = _SEND[facts.reply]
    state.receivers[Tag.ASYNC_ENDPOINT] = async_endpoint.receive
    for tag, finaliser in _FINALISERS.items():
        state.finalisers[tag] = finaliser
    for tag, cleanup in _CLEANUPS.items():
        state.cleanups[tag] = cleanup
    options = state.options
    for kind in state.release.object_types:
        state.creators.append(None if kind.name in frame.OBJECT_TYPES else _CREATORS[kind.name])
        bits = kind.bits(fpu=options.fpu, debug=options.debug)
        state.object_bits.append(_CHOSEN_SIZES[kind.name] if bits is None else bits)
        state.device_types.append(kind.name == "Untyped" or kind.name in frame.OBJECT_TYPES)
