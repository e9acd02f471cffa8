"""Which file serves which kind of capability and which object type: the only list of them.

How an object's file plugs in (types in `retrap.kernel.state`):

* label-driven kinds export `METHODS: dict[str, Decoder]`, invocation name as in `Release.invocations` →
  `decode_…(state, slot, cap, message) -> Invocation`. A label that is not in the kind's table is refused as
  seL4_IllegalOperation before any of these is called; a name that the release does not have is left out.
  Kinds that ignore the label (endpoint, notification, reply) export one `decode`.
* `finalise(state, cap, final) -> Cap` for kinds with something to undo; the others just vanish.
* `after_delete(state, cap)` for what happens once the last capability's slot is empty.
* `create…(state, address, size_bits, device) -> Cap` for object types that Untyped_Retype makes.
* Rights masking, badges and guards, copying, and region comparison are methods of the capability classes.

Decode functions use `message.words[i]`, `message.caps[i]` (slots), `message.require(words, caps)`,
`lookup.target_slot`, `derivation.ensure_empty`, … and raise `failures.…` helpers. They return a final
subclass of `Invocation`, whose `perform(state)` may write: `derivation.insert`, `state.objects`,
`state.memory`, …
"""
