"""Manifests: what they set, what is refused and where."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrap.kernel import abi
from retrap.kernel.boot import BuildOptions
from retrap.loader.errors import InputError
from retrap.loader.manifest import (
    Manifest,
    load_manifest,
    manifest_from_data,
    manifest_schema,
    platform_names,
    platform_schema,
)
from retrap.loader.platform import Span


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def writer(text: str) -> Path:
        path = tmp_path / "m.toml"
        path.write_text(text)
        return path

    return writer


def refusal(path: Path, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_manifest(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{path}: ", "")


def test_without_a_file_there_are_defaults() -> None:
    found = load_manifest()
    assert found.platform.name == "qemu-arm-virt"
    assert found.platform.ram == (Span(0x4000_0000, 0x4000_0000),)
    assert found.release is abi.release()
    assert found.options == BuildOptions()
    assert (found.image_path, found.arguments, found.permissions) == (None, "", "elf")
    assert (found.max_instructions, found.serial_path, found.platform.device_tree) == (None, None, None)


FULL = """
[image]
path = "sub/a.elf"
arguments = "rounds=3"
permissions = "kernel"
[platform]
name = "qemu-arm-virt"
device_tree = "tree.dtb"
max_irq = 200
timer_irq = 30
clock_hz = 1_000_000
ram = [{ base = 0x8000_0000, size = 0x100_0000 }, { base = 0x4000_0000, size = 0x800_0000 }]
[platform.kernel_region]
base = 0x4100_0000
virtual_base = 0xe000_0000
size = 0x5_0000
boot_size = 0x2000
[[platform.devices]]
name = "uart"
base = 0x900_0000
irqs = [33]
[kernel]
release = "16.0.0"
debug = false
printing = false
fpu = false
root_cnode_bits = 13
max_untypeds = 50
num_domains = 16
num_priorities = 128
time_slice_ticks = 4
timer_tick_ms = 1
retype_fan_out_limit = 128
max_work_units = 10
reset_chunk_bits = 12
[limits]
max_instructions = 1000
[input]
serial = "in.txt"
"""


def test_everything_can_be_set(write: Any, tmp_path: Path) -> None:
    (tmp_path / "tree.dtb").write_bytes(b"tree")
    found = load_manifest(write(FULL))
    assert found.image_path == str(tmp_path / "sub/a.elf")
    assert (found.arguments, found.permissions) == ("rounds=3", "kernel")
    platform = found.platform
    assert platform.ram == (Span(0x4000_0000, 0x800_0000), Span(0x8000_0000, 0x100_0000))  # in order
    assert (platform.kernel.base, platform.kernel.virtual_base) == (0x4100_0000, 0xE000_0000)
    assert (platform.kernel.size, platform.kernel.boot_size) == (0x5_0000, 0x2000)
    assert [(d.name, d.span, d.irqs, d.kernel_only) for d in platform.devices] == [
        ("uart", Span(0x900_0000, 0x1000), (33,), False)
    ]
    assert (platform.max_irq, platform.timer_irq, platform.clock_hz) == (200, 30, 1_000_000)
    assert (platform.device_tree, platform.device_tree_name) == (b"tree", str(tmp_path / "tree.dtb"))
    options = found.options
    assert (options.debug, options.printing, options.fpu, options.root_cnode_bits) == (False, False, False, 13)
    assert options.reset_chunk_bits == 12
    assert (found.max_instructions, found.serial_path) == (1000, str(tmp_path / "in.txt"))


def test_each_build_option_can_be_set_and_is_documented() -> None:
    table = manifest_schema()["$defs"]["KernelTable"]["properties"]
    assert set(table) == {f.name for f in dataclasses.fields(BuildOptions)} | {"release"}
    assert all(entry.get("description") for entry in table.values())
    for field in dataclasses.fields(BuildOptions):
        assert table[field.name]["default"] == field.default


def test_the_command_line_wins_and_is_named_in_its_errors(write: Any) -> None:
    path = write("[kernel]\nrelease = '16.0.0'\n[image]\npath = 'a.elf'\n")
    found = load_manifest(path, {"image.path": "b.elf", "image.arguments": "x=1"})
    assert (found.image_path, found.arguments) == ("b.elf", "x=1")
    with pytest.raises(InputError) as caught:
        load_manifest(path, {"kernel.release": "0.1"})
    assert str(caught.value).startswith("command line: kernel.release: unknown kernel release '0.1'")
    with pytest.raises(InputError) as caught:
        load_manifest(path, {"limits.max_instructions": 0})
    assert str(caught.value) == "command line: limits.max_instructions: expected an integer >= 1"


def test_an_override_of_something_that_is_no_table(write: Any) -> None:
    assert refusal(write("kernel = 3"), {"kernel.release": "16.0.0"}) == (
        "line 1, kernel: expected a table, got an integer"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[image]\n\nfoo = 1", "line 3, image.foo: unknown key"),
        ("[imagine]", "line 1, imagine: unknown key"),
        ("[kernel]\nfpu = 1", "line 2, kernel.fpu: expected true or false, got an integer"),
        ("[kernel]\nmax_untypeds = 502", "line 2, kernel.max_untypeds: expected an integer <= 501"),
        ("[kernel]\nroot_cnode_bits = 7", "line 2, kernel.root_cnode_bits: expected an integer >= 8"),
        (
            "[kernel]\nnum_domains = 1.5",
            "line 2, kernel.num_domains: expected an integer, got a number with a fraction",
        ),
        ("[kernel]\nrelease = 'seven'", "line 2, kernel.release: unknown kernel release 'seven': known are "),
        ("[image]\npermissions = 'all'", "line 2, image.permissions: invalid enum value 'all'"),
        (
            '[image]\narguments = "a\\u0000b"',
            "line 2, image.arguments: holds a character that is not printable ASCII",
        ),
        ("[image]\npath = ''", "line 2, image.path: expected a string of length >= 1"),
        ("[platform]\nname = 'pdp-11'", "line 2, platform.name: unknown platform 'pdp-11': known are "),
        ("[platform]\nname = 'a/b'", "line 2, platform.name: 'a/b' is neither the name of a platform nor"),
        ("[platform]\nram = []", "line 2, platform.ram: has no RAM region"),
        ("[platform]\nram = [{ base = 0 }]", "line 2, platform.ram[0]: needs the key `size`"),
        ("[platform]\nram = [{ base = 0, size = 0 }]", "line 2, platform.ram[0].size: expected an integer >= 1"),
        (
            "[platform]\nram = [{ base = -1, size = 4096 }]",
            "line 2, platform.ram[0].base: expected an integer >= 0",
        ),
        (
            "[platform]\nram = [{ base = 0, size = 'x' }]",
            "line 2, platform.ram[0].size: expected an integer, got a string",
        ),
        ("[[platform.ram]]\nbase = 1\nsize = 4096", "line 2, platform.ram[0].base: 0x1 is not a multiple of 4 KiB"),
        ("[[platform.ram]]\nbase = 0\nsize = 1", "line 3, platform.ram[0].size: 0x1 is not a multiple of 4 KiB"),
        (
            "[[platform.ram]]\nbase = 0xfffff000\nsize = 0x2000",
            "line 1, platform.ram[0]: [0xfffff000, 0x100001000) wraps round the end of the 32-bit address space",
        ),
        (
            "[[platform.ram]]\nbase = 0x40000000\nsize = 4096\n[[platform.ram]]\nbase = 0x40000000\nsize = 4096",
            "line 4, platform.ram[1]: RAM [0x40000000, 0x40001000) overlaps RAM [0x40000000, 0x40001000) (ram[0])",
        ),
        (
            "[platform]\nram = [{ base = 0x80000000, size = 0x1000000 }]",
            "kernel: kernel [0x40000000, 0x4003c000) does not lie in RAM: [0x80000000, 0x81000000)",
        ),
        (
            "[platform.kernel_region]\nbase = 0x40001000",
            "line 2, platform.kernel_region.base: 0x40001000 is not a mult",
        ),
        (
            "[platform.kernel_region]\nvirtual_base = 1",
            "line 2, platform.kernel_region.virtual_base: 0x1 is not a mult",
        ),
        (
            "[platform.kernel_region]\nsize = 5",
            "line 2, platform.kernel_region.size: 0x5 is not a multiple of 4 KiB",
        ),
        (
            "[platform.kernel_region]\nboot_size = 0x1000000",
            "line 2, platform.kernel_region.boot_size: 0x1000000 is more",
        ),
        (
            "[platform.kernel_region]\nbase = 0x7f000000\nsize = 0x2000000",
            "line 1, platform.kernel_region: kernel [0x7f000000, 0x81000000) does not lie in RAM",
        ),
        (
            "[platform.kernel_region]\nvirtual_base = 0xfe000000\nsize = 0x2000000",
            "line 1, platform.kernel_region: kernel [0x40000000, 0x42000000) does not fit the kernel's part",
        ),
        (
            "[[platform.devices]]\nname = 'd'\nbase = 0x40000000",
            "line 1, platform.devices[0]: device d [0x40000000, 0x40001000) overlaps RAM [0x40000000, 0x80000000)",
        ),
        (
            "[[platform.devices]]\nname = 'd'\nbase = 0\n[[platform.devices]]\nname = 'e'\nbase = 0\n",
            "line 4, platform.devices[1]: device e [0x00000000, 0x00001000) overlaps device d",
        ),
        (
            "[[platform.devices]]\nname = 'd'\nbase = 4",
            "line 3, platform.devices[0].base: 0x4 is not a multiple of 4 KiB",
        ),
        (
            "[[platform.devices]]\nname = 'd'\nbase = 0\nirqs = [160]",
            "line 4, platform.devices[0].irqs: interrupt 160 is above the last one, 159",
        ),
        ("[platform]\ntimer_irq = 160", "line 2, platform.timer_irq: interrupt 160 is above the last one, 159"),
        ("[platform]\ndevice_tree = 'none.dtb'", "none.dtb: no such file"),
    ],
)
def test_what_is_refused_and_where(write: Any, text: str, line: str) -> None:
    assert line in refusal(write(text))


def test_a_platform_is_a_file_of_data(write: Any, tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text(
        """
name = "board"
max_irq = 63
timer_irq = 29
clock_hz = 1000000
ram = [{ base = 0x1000_0000, size = 0x400_0000 }]
[kernel]
base = 0x1000_0000
virtual_base = 0xe000_0000
images = [{ release = "16.0.0", debug = true, size = 0x3_0000, boot_size = 0x1_0000 }]
"""
    )
    found = load_manifest(write("[platform]\nname = 'board.toml'\n"))
    assert (found.platform.name, found.platform.max_irq, found.platform.kernel.base) == ("board", 63, 0x1000_0000)
    (tmp_path / "board.toml").write_text("name = 'x'\nmax_irq = -1\n")
    with pytest.raises(InputError) as caught:
        load_manifest(write("[platform]\nname = 'board.toml'\n"))
    assert str(caught.value).startswith(f"{tmp_path / 'board.toml'}: line 2, max_irq: expected an integer >= 0")


@pytest.mark.parametrize("name", platform_names())
def test_each_platform_file_is_sound(name: str) -> None:
    for debug in (True, False):
        found = load_manifest(None, {"platform.name": name, "kernel.debug": debug, "kernel.printing": debug})
        assert found.platform.name == name
        assert found.platform.description


def test_a_manifest_survives_being_data(write: Any, tmp_path: Path) -> None:
    (tmp_path / "tree.dtb").write_bytes(b"tree")
    found = load_manifest(write(FULL), {"kernel.fpu": True})
    data = json.loads(json.dumps([found.data, found.platform_data]))
    again = manifest_from_data(*data, device_tree=found.platform.device_tree)

    def essence(manifest: Manifest) -> dict[str, Any]:
        skipped = {"name", "source", "image_path", "serial_path", "kernel_name", "platform"}
        fields = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest) if f.name not in skipped}
        return fields | {"platform": dataclasses.replace(manifest.platform, device_tree_name="")}

    assert essence(again) == essence(found)


def test_damaged_stored_data_is_refused() -> None:
    found = load_manifest()
    with pytest.raises(InputError):
        manifest_from_data({"kernel": 1}, found.platform_data)
    with pytest.raises(InputError):
        manifest_from_data({}, {"name": "x"})


def test_the_schemas_name_every_key_and_describe_it() -> None:
    for schema in (manifest_schema(), platform_schema()):
        assert schema["$schema"].startswith("https://json-schema.org/")
        for definition in schema["$defs"].values():
            assert definition["additionalProperties"] is False
            assert all("description" in entry for entry in definition["properties"].values())


def test_manifest_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: is a directory".removeprefix(f"{tmp_path}: ")
    assert refusal(tmp_path / "no.toml").endswith("no such file")


KEYS = sorted(
    {key for d in manifest_schema()["$defs"].values() for key in d["properties"]} | {"x", "a.b", "", "\n", "é"}
)


def tables(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)


values = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(1 << 70), 1 << 70),
        st.integers(0, 20).map(lambda n: n * 0x1000_0000),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["kernel", "elf", "16.0.0", "qemu-arm-virt", "x.toml"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), tables(inner)),
    max_leaves=12,
)


def shaped() -> st.SearchStrategy[dict[str, Any]]:
    """Tables with the right names, right or wrong inside."""
    properties = manifest_schema()["$defs"]
    sections = {
        "image": "ImageTable",
        "platform": "PlatformTable",
        "kernel": "KernelTable",
        "limits": "LimitsTable",
    }
    return st.fixed_dictionaries(
        {},
        optional={
            name: st.dictionaries(st.sampled_from(sorted(properties[table]["properties"])), values, max_size=3)
            for name, table in sections.items()
        },
    )


def toml(value: Any) -> str:
    """A value in TOML's inline notation."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


@given(st.one_of(shaped(), tables(values)))
@settings(max_examples=300, deadline=None)
def test_any_manifest_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text("".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in data.items()))
    try:
        found = load_manifest(path)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert found.platform.ram
