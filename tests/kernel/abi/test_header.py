"""The generated C header: complete, of one release only, reproducible. `make samples-check` compiles it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from retrap.kernel.abi import RELEASES, release
from retrap.kernel.abi.header import c_header, default_options, main
from retrap.kernel.abi.release import Release
from retrap.kernel.boot import BuildOptions

ids = [r.name for r in RELEASES]


def enumeration(text: str, name: str) -> dict[str, int]:
    body = re.search(rf"typedef enum {{([^}}]*)}} {name};", text)
    assert body, name
    members = dict(re.findall(r"(\w+) = (-?\w+)", body.group(1)))
    assert members.pop(f"{name}_Word") == "0x7fffffff"
    return {member: int(value) for member, value in members.items()}


@pytest.mark.parametrize("table", RELEASES, ids=ids)
def test_the_header_says_what_the_table_says(table: Release) -> None:
    text = c_header(table)
    assert enumeration(text, "seL4_InvocationLabel") == table.label_numbers()
    assert enumeration(text, "seL4_Error") == {name: number for number, name in enumerate(table.errors)}
    objects = enumeration(text, "seL4_ObjectType")
    assert objects.pop("seL4_ObjectTypeCount") == len(table.object_types)
    assert objects == {kind.spelling: number for number, kind in enumerate(table.object_types)}
    slots = enumeration(text, "seL4_RootCNodeCapSlots")
    assert slots.pop("seL4_NumInitialCaps") == len(table.boot_slots)
    assert list(slots) == [name for name in table.boot_slots if name]
    calls = enumeration(text, "seL4_Syscall_ID")
    assert calls == {c.spelling: c.number for c in table.syscalls if c.requires in {"", "printing", "debug"}}
    faults = enumeration(text, "seL4_FaultLabel")
    assert faults == {f"seL4_Fault_{name}": number for name, number in table.fault_labels.items()}
    for number, invocation in enumerate(table.invocations):
        if invocation.method:
            body = text.partition(f" {invocation.method}(")[2].partition("\n}\n")[0]
            assert f"seL4_MessageInfo_new({number}, 0, " in body


@pytest.mark.parametrize("table", RELEASES, ids=ids)
def test_the_text_is_plain_c(table: Release) -> None:
    text = c_header(table)
    assert text.isascii()
    assert text == c_header(table)
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
    assert f'#define RETRAP_RELEASE "{table.name}"' in text
    assert text.endswith("#endif\n")


def test_calls_that_a_build_lacks_are_not_offered() -> None:
    table = release("16.0.0")
    bare = c_header(table, BuildOptions(printing=False, debug=False, fpu=False))
    assert "DebugPutChar" not in bare
    assert "DebugHalt" not in bare
    assert "#define seL4_TCBBits 9\n" in bare
    assert "CONFIG_DEBUG_BUILD" not in bare
    assert "seL4_SetTLSBase" not in bare
    assert "seL4_SetTLSBase(" in c_header(table, BuildOptions(set_tls_base_self=True))


def test_options_change_what_the_header_says() -> None:
    text = c_header(release("16.0.0"), BuildOptions(num_priorities=128, max_untypeds=50, root_cnode_bits=16))
    assert "#define seL4_MaxPrio 127\n" in text
    assert "seL4_UntypedDesc untypedList[50];" in text
    assert "#define CONFIG_ROOT_CNODE_SIZE_BITS 16\n" in text


def test_every_release_has_its_own_defaults() -> None:
    assert default_options(release("1.0.3")).root_cnode_bits == 16
    assert default_options(release("3.2.0")).max_untypeds == 167
    assert default_options(release("16.0.0")) == BuildOptions()


def test_how_a_thread_finds_its_ipc_buffer() -> None:
    assert "0xffffc000u" in c_header(release("3.2.0"))
    assert "mcr p15" not in c_header(release("10.1.1"))
    assert "mrc p15, 0, %0, c13, c0, 2" in c_header(release("10.1.1"))
    assert "mcr p15, 0, %0, c13, c0, 2" in c_header(release("16.0.0"))


def test_old_names_are_there_where_they_were() -> None:
    old = c_header(release("1.0.4"))
    assert "seL4_IRQHandler_SetEndpoint(" in old
    assert "seL4_MessageInfo_t seL4_Wait(" in old
    assert "#define seL4_SysRecv seL4_SysWait\n" in old
    assert "seL4_NBRecv(" not in old
    assert "seL4_CNode_Recycle(" in old
    new = c_header(release("16.0.0"))
    assert "void seL4_Wait(" in new
    assert "seL4_CNode_Recycle(" not in new


def test_the_command_writes_the_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "sel4.h"
    assert main(["-k", "3.2.0", "-o", str(target)]) == 0
    assert target.read_text() == c_header(release("3.2.0"))
    assert main([]) == 0
    assert capsys.readouterr().out == c_header(release())
    with pytest.raises(SystemExit) as stop:
        main(["-k", "17"])
    assert stop.value.code == 2
    assert "known are" in capsys.readouterr().err


def macros(name: str) -> dict[str, str]:
    return dict(re.findall(r"^#define (RETRAP_(?:HAS|FACT|BOOTINFO)_\w+) (\d+)$", c_header(release(name)), re.M))


def test_features_are_named_as_the_tables_have_them() -> None:
    old, new = macros("1.0.4"), macros("16.0.0")
    assert old["RETRAP_HAS_CNodeRecycle"] == "1" and "RETRAP_HAS_CNodeRecycle" not in new
    assert new["RETRAP_HAS_NBRecv"] == "1" and "RETRAP_HAS_NBRecv" not in old
    assert "RETRAP_HAS_BenchmarkNullSyscall" not in new  # not in a debug build
    assert "RETRAP_BOOTINFO_deviceRegions" in old and "RETRAP_BOOTINFO_untypedList" in new
    assert (old["RETRAP_FACT_GRANT_REPLY"], new["RETRAP_FACT_GRANT_REPLY"]) == ("0", "1")
    assert (old["RETRAP_FACT_ASID_POOL_COUNT"], new["RETRAP_FACT_ASID_POOL_COUNT"]) == ("256", "128")
    assert old["RETRAP_FACT_WAKEUP_DIRECT"] == new["RETRAP_FACT_WAKEUP_CANDIDATE"] == "1"
    assert not any(name.startswith("RETRAP_FACT_DEVICE_TREE") for name in old)  # a choice of none


def test_new_names_work_on_old_releases() -> None:
    old = c_header(release("1.0.4"))
    assert "#define seL4_NotificationObject seL4_AsyncEndpointObject\n" in old
    assert "#define seL4_IRQHandler_SetNotification seL4_IRQHandler_SetEndpoint\n" in old
    assert "#define seL4_NotificationObject" not in c_header(release("2.0.0"))
