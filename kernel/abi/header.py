"""The C header of a release, generated from its table, so that samples and engine cannot drift apart.

    python -m retrap.kernel.abi.header [-k RELEASE] [-o FILE]

The header has libsel4's names: types, constants, boot information, system calls, and one function per
invocation. It needs nothing but GCC for ARMv7 (ARM or Thumb) with `-fomit-frame-pointer`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from retrap.kernel.abi import UnknownRelease, c_calls, c_features, c_types, release
from retrap.kernel.abi.bootinfo import resized
from retrap.kernel.abi.c_stubs import stub
from retrap.kernel.abi.comparison import register_name
from retrap.kernel.abi.release import BootInfoField, BootInfoLayout, Release
from retrap.kernel.boot import BuildOptions

_BYTE_TYPES = {1: "seL4_Uint8", 4: "seL4_Word"}


def default_options(table: Release) -> BuildOptions:
    """A debug build of a release with that release's own defaults."""
    constants = table.constants
    return BuildOptions(
        root_cnode_bits=constants["CONFIG_ROOT_CNODE_SIZE_BITS"],
        max_untypeds=constants["CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS"],
        time_slice_ticks=constants["CONFIG_TIME_SLICE"],
        timer_tick_ms=constants["CONFIG_TIMER_TICK_MS"],
        max_work_units=constants["CONFIG_MAX_NUM_WORK_UNITS_PER_PREEMPTION"],
    )


def c_header(table: Release, options: BuildOptions | None = None) -> str:
    """The text of the header for one release, built with those options (default: its own, for debugging)."""
    build = options or default_options(table)
    sections = [
        _preamble(table),
        c_types.BASE_TYPES,
        _capability_types(table),
        _constants(table, build),
        _cap_types(table),
        _enumeration("seL4_Error", ((name, number) for number, name in enumerate(table.errors))),
        c_types.LOOKUP_FAILURES,
        _enumeration("seL4_FaultLabel", ((f"seL4_Fault_{n}", v) for n, v in table.fault_labels.items())),
        c_types.FAULT_MESSAGES,
        _object_types(table, build),
        _enumeration("seL4_InvocationLabel", ((i.label, number) for number, i in enumerate(table.invocations))),
        _syscalls(table, build),
        c_features.features(table, {call.name for call in table.syscalls if _available(call.requires, build)}),
        _boot_slots(table),
        c_types.MESSAGE_INFO,
        c_types.CNODE_DATA,
        c_types.RIGHTS_STRUCT,
        c_types.RIGHTS_WITH_GRANT_REPLY if table.facts.grant_reply else c_types.RIGHTS_WITHOUT_GRANT_REPLY,
        *([c_types.VM_ATTRIBUTES] if table.facts.address_space == "page-tables" else []),
        c_types.IPC_BUFFER,
        _user_context(table),
        _boot_info(table, build),
        _BUFFER_POINTER[table.facts.ipc_buffer_pointer],
        c_calls.BUFFER_ACCESS,
        c_calls.TRAPS,
        *_calls(table, build),
        *(
            stub(invocation, number, len(table.user_context))
            for number, invocation in enumerate(table.invocations)
            if invocation.method
        ),
        c_features.new_names(table, release(None)),
        "#endif\n",
    ]
    return "\n".join(sections)


_BUFFER_POINTER = {
    "user": c_calls.BUFFER_OF_USER,
    "tpidrurw": c_calls.BUFFER_IN_TPIDRURW,
    "globals-frame": c_calls.BUFFER_IN_GLOBALS_FRAME,
}


def _preamble(table: Release) -> str:
    return (
        f"/* seL4 {table.name} for AArch32, as user code sees it.\n"
        "   Made by `python -m retrap.kernel.abi.header` from the release table; do not edit. */\n"
        "#ifndef RETRAP_SEL4_H\n"
        "#define RETRAP_SEL4_H\n\n"
        f'#define RETRAP_RELEASE "{table.name}"\n'
        "#define SEL4_INLINE static inline __attribute__((unused))\n"
        "#define SEL4_ALWAYS_INLINE static inline __attribute__((unused, always_inline))\n"
    )


def _capability_types(table: Release) -> str:
    """libsel4's name for a capability to each kind of object: all are seL4_CPtr."""
    names = {f"seL4_{i.interface}": None for i in table.invocations if i.interface}
    for invocation in table.invocations:
        names.update({p.ctype: None for p in invocation.parameters if p.kind == "cap"})
    names.pop("seL4_CPtr", None)
    return "".join(f"typedef seL4_CPtr {name};\n" for name in names)


def _constants(table: Release, build: BuildOptions) -> str:
    values = dict(table.constants)
    values.update(
        {
            "CONFIG_ROOT_CNODE_SIZE_BITS": build.root_cnode_bits,
            "CONFIG_NUM_DOMAINS": build.num_domains,
            "CONFIG_NUM_PRIORITIES": build.num_priorities,
            "CONFIG_TIME_SLICE": build.time_slice_ticks,
            "CONFIG_TIMER_TICK_MS": build.timer_tick_ms,
            "CONFIG_RETYPE_FAN_OUT_LIMIT": build.retype_fan_out_limit,
            "CONFIG_MAX_NUM_WORK_UNITS_PER_PREEMPTION": build.max_work_units,
            "CONFIG_MAX_NUM_BOOTINFO_UNTYPED_CAPS": build.max_untypeds,
            "seL4_MaxPrio": build.num_priorities - 1,
        }
    )
    for name, enabled in (
        ("CONFIG_PRINTING", build.printing),
        ("CONFIG_DEBUG_BUILD", build.debug),
        ("CONFIG_HAVE_FPU", build.fpu),
        ("CONFIG_KERNEL_MCS", table.mcs),
    ):
        if enabled:
            values[name] = 1
    return "".join(f"#define {name} {value}\n" for name, value in values.items())


def _cap_types(table: Release) -> str:
    """What seL4_DebugCapIdentify returns; libsel4 has no names for these, so they are the project's own."""
    return "".join(
        f"#define RETRAP_CAP_{name.upper().replace('-', '_')} {number}\n"
        for name, number in table.cap_types.items()
    )


def _enumeration(name: str, members: Iterable[tuple[str, int]]) -> str:
    body = "".join(f"    {member} = {value},\n" for member, value in members)
    return f"typedef enum {{\n{body}    {name}_Word = 0x7fffffff\n}} {name};\n"


def _object_types(table: Release, build: BuildOptions) -> str:
    members = [(kind.spelling, number) for number, kind in enumerate(table.object_types)]
    members.append(("seL4_ObjectTypeCount", len(members)))
    (tcb,) = (kind for kind in table.object_types if kind.name == "TCB")
    return (
        _enumeration("seL4_ObjectType", members)
        + f"\n#define seL4_TCBBits {tcb.bits(fpu=build.fpu, debug=build.debug)}\n"
    )


def _available(requires: str, build: BuildOptions) -> bool:
    options = {"": True, "printing": build.printing, "debug": build.debug, "tls-self": build.set_tls_base_self}
    return options.get(requires, False)


def _syscalls(table: Release, build: BuildOptions) -> str:
    calls = [call for call in table.syscalls if _available(call.requires, build)]
    text = _enumeration("seL4_Syscall_ID", ((call.spelling, call.number) for call in calls))
    for call in calls:
        if call.spelling != f"seL4_Sys{call.name}":
            text += f"#define seL4_Sys{call.name} {call.spelling}\n"
    return text


def _calls(table: Release, build: BuildOptions) -> list[str]:
    names = {call.name for call in table.syscalls if _available(call.requires, build)}
    optional = (
        ("DebugPutChar", c_calls.DEBUG_PRINTING),
        ("DebugHalt", c_calls.DEBUG_BUILD),
        ("DebugNameThread", c_calls.DEBUG_NAMES),
        ("DebugDumpScheduler", c_calls.DEBUG_SCHEDULER),
        ("SetTLSBase", c_calls.TLS_BASE),
    )
    return [
        *(text for name, text in c_calls.CALLS.items() if name in names),
        *_waiting(table, names),
        *(text for name, text in optional if name in names),
    ]


def _waiting(table: Release, names: set[str]) -> list[str]:
    """NBRecv and Wait; before 2.0.0, Wait in the old sense."""
    if "NBRecv" in names:
        return [c_calls.CALLS_SINCE_2]
    texts = [c_calls.WAIT_BEFORE_2]
    if "ReplyRecv" in names:
        texts.append(c_calls.REPLY_WAIT_BEFORE_2)
    if table.facts.asynchronous == "message":
        texts.append(c_calls.NOTIFY_MESSAGE)
    elif table.facts.notification_delivers_word:
        texts.append(c_calls.NOTIFY_BEFORE_2)
    return texts


def _boot_slots(table: Release) -> str:
    members = [(name, slot) for slot, name in enumerate(table.boot_slots) if name]
    members.append(("seL4_NumInitialCaps", len(table.boot_slots)))
    return (
        _enumeration("seL4_RootCNodeCapSlots", members)
        + "\n#define seL4_CapInitThreadPD seL4_CapInitThreadVSpace\n"
    )


def _user_context(table: Release) -> str:
    body = "".join(f"    seL4_Word {register_name(slot)};\n" for slot in table.user_context)
    return f"typedef struct seL4_UserContext_ {{\n{body}}} seL4_UserContext;\n"


def _member(member: BootInfoField) -> str:
    if member.name == "ipcBuffer":
        return "seL4_IPCBuffer *ipcBuffer"
    kind = "seL4_SlotRegion" if member.kind == "region" else _BYTE_TYPES[member.size]
    return f"{kind} {member.name}"


def _structure(name: str, members: Iterable[tuple[int, int, str]], size: int, *, packed: bool = False) -> str:
    """A structure whose members (offset, size, declaration) are where the table puts them."""
    body, position, gaps = "", 0, 0
    for offset, length, declaration in sorted(members):
        if offset > position:
            body += f"    seL4_Uint8 _gap{gaps}[{offset - position}];\n"
            gaps += 1
        body += f"    {declaration};\n"
        position = offset + length
    if size > position:
        body += f"    seL4_Uint8 _gap{gaps}[{size - position}];\n"
    attribute = "__attribute__((packed)) " if packed else ""
    return f"typedef struct {name} {{\n{body}}} {attribute}{name};\n"


def _lists(layout: BootInfoLayout, untypeds: int, devices: int) -> list[tuple[BootInfoField, str, int]]:
    """The lists of seL4_BootInfo: field, C type of an entry, number of entries."""
    repeats = {member.name: member.repeat for member in layout.members}
    lengths = {"untypeds": untypeds, "devices": devices}
    kinds = {
        "untypedList": "seL4_UntypedDesc",
        "untypedPaddrList": "seL4_PAddr",
        "untypedSizeBitsList": "seL4_Uint8",
        "deviceRegions": "seL4_DeviceRegion",
    }
    return [(field, kinds[field.name], lengths[repeats[field.name]]) for field in layout.lists]


def _boot_info(table: Release, build: BuildOptions) -> str:
    """seL4_BootInfo with every field at the offset the table gives it, and the untyped descriptor."""
    devices = table.constants.get("CONFIG_MAX_NUM_BOOTINFO_DEVICE_REGIONS", 0)
    layout = resized(table.bootinfo, build.max_untypeds, devices)
    text = _structure("seL4_SlotRegion", ((0, 4, "seL4_SlotPos start"), (4, 4, "seL4_SlotPos end")), 8) + "\n"
    if layout.untyped_desc:
        fields = [(f.offset, f.size, _member(f)) for f in layout.untyped_desc]
        text += _structure("seL4_UntypedDesc", fields, layout.untyped_desc_size) + "\n"
    if any(f.name == "deviceRegions" for f in layout.lists):
        region = (
            (0, 4, "seL4_PAddr basePaddr"),
            (4, 4, "seL4_Word frameSizeBits"),
            (8, 8, "seL4_SlotRegion frames"),
        )
        text += _structure("seL4_DeviceRegion", region, 16) + "\n"
    members = [(f.offset, f.size, _member(f)) for f in layout.fields]
    members += [
        (f.offset, f.size * length, f"{kind} {f.name}[{length}]")
        for f, kind, length in _lists(layout, build.max_untypeds, devices)
    ]
    text += _structure("seL4_BootInfo", members, layout.size, packed=layout.packed)
    return text + (
        "\n#define seL4_BootInfoFrameSize (1u << seL4_BootInfoFrameBits)\n"
        "#define SEL4_BOOTINFO_HEADER_PADDING 0\n"
        "#define SEL4_BOOTINFO_HEADER_FDT 6\n\n"
        + _structure("seL4_BootInfoHeader", ((0, 4, "seL4_Word id"), (4, 4, "seL4_Word len")), 8)
    )


def main(arguments: list[str] | None = None) -> int:
    """The command: writes the header to a file or to standard output."""
    parser = argparse.ArgumentParser(prog="python -m retrap.kernel.abi.header", description=__doc__)
    parser.add_argument("-k", "--kernel", default=None, help="release name (default: the newest)")
    parser.add_argument("-o", "--output", type=Path, help="file to write (default: standard output)")
    chosen = parser.parse_args(arguments)
    try:
        text = c_header(release(chosen.kernel))
    except UnknownRelease as error:
        parser.error(str(error))
    if chosen.output is None:
        sys.stdout.write(text)
    else:
        chosen.output.write_text(text, encoding="ascii", newline="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
