"""Where keys are in a TOML file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.loader.errors import InputError
from retrap.loader.toml_source import TomlSource

TEXT = b'''# a comment [not.a.table]
title = """
[no.table]
"""  # line 2 to 4
[image]
path = "a # b"
"quoted key" = 1
nested.deep = 2
list = [
  1,  # ]
  { x = "]" },
]
[[platform.ram]]
base = 0
[[platform.ram]]

base = 1
[platform.ram.extra]
size = 3
[ spaced . 'name' ]
k = '\\'
last = 1'''


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("title", "line 2, title"),
        ("image", "line 5, image"),
        ("image.path", "line 6, image.path"),
        ("image.quoted key", "line 7, image.quoted key"),
        ("image.nested", "line 8, image.nested"),
        ("image.nested.deep", "line 8, image.nested.deep"),
        ("image.list[1].x", "line 9, image.list[1].x"),
        ("platform.ram", "line 13, platform.ram"),
        ("platform.ram[0].base", "line 14, platform.ram[0].base"),
        ("platform.ram[1]", "line 15, platform.ram[1]"),
        ("platform.ram[1].base", "line 17, platform.ram[1].base"),
        ("platform.ram[1].extra.size", "line 19, platform.ram[1].extra.size"),
        ("platform.ram[1].size", "line 15, platform.ram[1].size"),
        ("spaced.name.k", "line 21, spaced.name.k"),
        ("spaced.name.last", "line 22, spaced.name.last"),
        ("kernel.release", "kernel.release"),
        ("", ""),
    ],
)
def test_a_key_path_becomes_a_line(key: str, place: str) -> None:
    assert TomlSource("m.toml", TEXT).place(key) == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a = 1\nb =\n", "m.toml: line 2: is not valid TOML: Invalid value"),
        (b"a = 1\n\na = 2\n", "m.toml: line 3: is not valid TOML: Cannot overwrite a value"),
        (b"a = 1\nb = \xff\n", "m.toml: line 2: is not UTF-8 text"),
        (b"a = 1\nb = [1,", "m.toml: line 2: is not valid TOML:"),
        (b"a = " + b"[" * 10_000, "m.toml: is not valid TOML: nested too deeply"),
        (b"a = " + b"9" * 10_000, "m.toml: is not valid TOML: Exceeds the limit"),
        (b"a = 2020-13-45\n", "m.toml: "),
    ],
)
def test_what_is_not_toml(text: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        TomlSource("m.toml", text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


toml_like = st.text(alphabet="ab.=[]{}\"'#\n\\, 01", max_size=80)


@given(st.one_of(toml_like.map(str.encode), st.binary(max_size=60)), st.text(alphabet="ab.[]01", max_size=12))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused(text: bytes, key: str) -> None:
    try:
        source = TomlSource("m.toml", text)
    except InputError:
        return
    assert source.place(key).endswith(key)
