"""Where parameters travel in a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from retrap.kernel.abi import RELEASES, release
from retrap.kernel.abi.packing import message_layout
from retrap.kernel.abi.release import Invocation, Parameter


def layout(label: str, name: str = "16.0.0"):
    table = release(name)
    (invocation,) = (i for i in table.invocations if i.label == label)
    return message_layout(invocation, len(table.user_context))


def places(label: str, name: str = "16.0.0") -> dict[str, tuple[int, int, int]]:
    return {p.parameter.name: (p.word, p.shift, p.words) for p in layout(label, name).inputs}


def test_flags_and_bytes_share_a_word() -> None:
    assert places("TCBWriteRegisters") == {
        "resume_target": (0, 0, 1),
        "arch_flags": (0, 8, 1),
        "count": (1, 0, 1),
        "regs": (2, 0, 19),
    }
    assert places("TCBCopyRegisters") == {
        "suspend_source": (0, 0, 1),
        "resume_target": (0, 1, 1),
        "transfer_frame": (0, 2, 1),
        "transfer_integer": (0, 3, 1),
        "arch_flags": (0, 8, 1),
    }


def test_a_byte_between_words_has_a_word_of_its_own() -> None:
    assert places("CNodeCopy") == {
        "dest_index": (0, 0, 1),
        "dest_depth": (1, 0, 1),
        "src_index": (2, 0, 1),
        "src_depth": (3, 0, 1),
        "rights": (4, 0, 1),
    }
    assert places("TCBConfigure", "3.2.0")["priority"] == (1, 0, 1)


def test_a_time_takes_two_words() -> None:
    assert places("DomainScheduleConfigure") == {"index": (0, 0, 1), "domain": (1, 0, 1), "duration": (2, 0, 2)}
    assert layout("DomainScheduleConfigure").length == 4


def test_capabilities_are_apart() -> None:
    rotate = layout("CNodeRotate")
    assert [cap.name for cap in rotate.caps] == ["pivot_root", "src_root"]
    assert rotate.length == 8
    assert [p.parameter.name for p in layout("ARMPageGetAddress").outputs] == ["paddr"]
    assert layout("ARMPageGetAddress").length == 0


def test_every_message_fits() -> None:
    for table in RELEASES:
        for invocation in table.invocations:
            made = message_layout(invocation, len(table.user_context))
            assert made.length <= table.constants["seL4_MsgMaxLength"]
            assert len(made.caps) <= table.constants["seL4_MsgMaxExtraCaps"]


parameters = st.lists(
    st.sampled_from([1, 8, 16, 32, 64]).map(lambda bits: Parameter("p", bits=bits)), min_size=1, max_size=12
)


@given(parameters, st.data())
def test_what_is_packed_comes_out_again(given_parameters: list[Parameter], data: st.DataObject) -> None:
    made = message_layout(Invocation("X", "X", "seL4_X", tuple(given_parameters)), 19)
    message = [0] * made.length
    values = []
    for place in made.inputs:
        value = data.draw(st.integers(0, (1 << place.parameter.bits) - 1))
        values.append(value)
        assert place.shift % min(place.parameter.bits, 32) == 0
        message[place.word] |= value << place.shift & 0xFFFFFFFF
        if place.words == 2:
            message[place.word + 1] |= value >> 32
    assert [place.extract(message) for place in made.inputs] == values
    last = made.inputs[-1]
    assert last.extract(message[: last.word]) is None
    if last.words == 2:
        assert last.extract(message[:-1]) is None
