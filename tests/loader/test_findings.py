"""What a packed image tells of itself for `retrap info`, and the devices of device trees."""

from __future__ import annotations

import fdt
from packer import PARTS, kernel, loader_elf, newc, tree
from retrap.kernel.boot import BuildOptions
from retrap.loader import device_tree
from retrap.loader.findings import findings
from retrap.loader.image import Image
from retrap.loader.platform import Span


def told(*parts: tuple[str, bytes]) -> dict[str, tuple[object, str]]:
    return {f.name: (f.value, f.source) for f in findings(Image("p.elf", loader_elf(newc(*parts)))).found}


def test_everything_has_a_value_and_a_source() -> None:
    found = told(*PARTS)
    assert found["platform"] == ("qemu-arm-virt", "device tree")
    assert found["kernel image"] == ("[0x40000000, 0x40300000) at 0xa0000000", "the kernel's segments")
    assert found["RAM"] == ("[0x40000000, 0x80000000)", "device tree")
    assert found["root_cnode_bits"] == (13, "the kernel's boot code")
    assert found["printing"] == (True, "the kernel's texts")
    assert found["num_domains"] == (1, "assumed")
    assert found["tls_register"] == ("tpidrurw", "assumed")
    assert found["kernel release"] == (
        "16.0.0", "the kernel's variables, texts and code: 13.0.0 to 16.0.0; the newest is assumed",
    )  # fmt: skip
    assert set(BuildOptions.__dataclass_fields__) <= set(found)


def test_without_kernel_and_tree_all_is_assumed() -> None:
    found = {f.name: f.source for f in findings(Image("p", newc(PARTS[2]))).found}
    assert set(found.values()) == {"assumed", "assumed: the newest", "assumed: the platform's"}


def test_why_an_image_cannot_be_booted_is_a_warning() -> None:
    texts = ("Bootstrapping kernel", "SchedContext")
    image = Image("p.elf", loader_elf(newc(("kernel.elf", kernel(texts=texts)), *PARTS[1:])))
    result = findings(image)
    assert len(result.warnings) == 1 and "is a kernel with MCS" in result.warnings[0]
    assert [f.name for f in result.found] == ["kernel image"]


def board() -> bytes:
    """A tree with a bus that moves addresses, a bus without ranges, interrupts, and parts of a device."""
    made = fdt.FDT()

    def put(path: str, **properties: object) -> None:
        for name, value in properties.items():
            made.set_property(name.replace("_", "-").replace("cells", "cells"), value, path=path)

    for path in ("/", "/soc", "/far"):
        made.set_property("#address-cells", 1, path=path)
        made.set_property("#size-cells", 1, path=path)
    put("/soc", ranges=[0x0, 0x1000_0000, 0x10_0000])
    put("/soc/serial@1000", compatible="acme,uart", reg=[0x1000, 0x100], interrupts=[0, 27, 4, 1, 13, 0xF04])
    put("/soc/off@2000", compatible=["acme,off", "acme,other"], reg=[0x2000, 0x1000], status="disabled")
    put("/soc/beyond@200000", compatible="acme,beyond", reg=[0x20_0000, 0x1000])
    put("/soc/nothing", compatible="acme,nothing")
    put("/far/away@0", compatible="acme,away", reg=[0, 0x1000])
    put("/timer@8000", compatible="acme,timer", reg=[0x8000, 0x20, 0x9000, 0x20], interrupts=[1, 2])
    put("/timer@8000/part@0", compatible="acme,part", reg=[0, 0x10])
    made.set_property("#address-cells", 1, path="/reserved-memory")
    made.set_property("#size-cells", 1, path="/reserved-memory")
    put("/reserved-memory/secure@7000", reg=[0x7000, 0x1000])
    return bytes(made.to_dtb(version=17))


def test_devices_are_found_where_the_processor_sees_them() -> None:
    found = device_tree.devices("board", board())
    assert [(d.path, d.compatible, d.spans, d.irqs, d.enabled) for d in found] == [
        ("/timer@8000", ("acme,timer",), (Span(0x8000, 0x20), Span(0x9000, 0x20)), (), True),
        ("/soc/serial@1000", ("acme,uart",), (Span(0x1000_1000, 0x100),), (59, 29), True),
        ("/soc/off@2000", ("acme,off", "acme,other"), (Span(0x1000_2000, 0x1000),), (), False),
    ]


def test_reserved_memory_is_found() -> None:
    assert device_tree.reserved("board", board()) == (Span(0x7000, 0x1000),)
    with_block = bytearray(tree())
    at = int.from_bytes(with_block[16:20], "big")  # off_mem_rsvmap
    with_block[at:at] = (0x4000).to_bytes(8, "big") + (0x2000).to_bytes(8, "big")
    for field in (4, 8, 12):  # the sizes and offsets behind it
        with_block[field : field + 4] = (int.from_bytes(with_block[field : field + 4], "big") + 16).to_bytes(
            4, "big"
        )
    assert device_tree.reserved("block", bytes(with_block)) == (Span(0x4000, 0x2000),)
