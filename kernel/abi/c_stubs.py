"""C functions for invocations, generated from their parameters (names and types as libsel4's)."""

from __future__ import annotations

from retrap.kernel.abi.packing import MessageLayout, Place, message_layout
from retrap.kernel.abi.release import Invocation, Parameter

REGISTER_WORDS = 4
"""Message registers that travel in CPU registers: R2 … R5."""


def stub(invocation: Invocation, label: int, registers: int) -> str:
    """The function of one invocation; `registers` is the length of seL4_UserContext.

    It returns a seL4_Error or, where the kernel returns words, a structure of the error and those words.
    On an error the first four message registers are left in the IPC buffer.
    """
    layout = message_layout(invocation, registers)
    results = [place for place in layout.outputs if place.parameter.kind == "word"]
    kind = f"{invocation.method}_t" if results else "seL4_Error"
    lines = _result_structure(invocation, results) if results else []
    lines += [f"SEL4_INLINE {kind} {invocation.method}({_parameter_list(invocation)})", "{"]
    if results:
        lines.append(f"    {kind} result;")
    lines += _marshal(layout)
    length = _length(layout)
    lines += [
        f"    seL4_MessageInfo_t info = seL4_MessageInfo_new({label}, 0, {len(layout.caps)}, {length});",
        "    info = seL4_CallWithMRs(_service, info, &mr0, &mr1, &mr2, &mr3);",
        "    if (seL4_MessageInfo_get_label(info) != seL4_NoError) {",
        *(f"        seL4_SetMR({n}, mr{n});" for n in range(REGISTER_WORDS)),
        "    }",
    ]
    lines += _unmarshal(layout, registers)
    if results:
        lines += ["    result.error = (int)seL4_MessageInfo_get_label(info);", "    return result;"]
    else:
        lines.append("    return (seL4_Error)seL4_MessageInfo_get_label(info);")
    lines += ["}", ""]
    return "\n".join(lines)


def _result_structure(invocation: Invocation, results: list[Place]) -> list[str]:
    return [
        f"typedef struct {invocation.method} {{",
        "    int error;",
        *(f"    {place.parameter.ctype} {place.parameter.name};" for place in results),
        f"}} {invocation.method}_t;",
        "",
    ]


def _parameter_list(invocation: Invocation) -> str:
    parts = [f"seL4_{invocation.interface} _service"]
    for parameter in invocation.parameters:
        if parameter.kind == "registers":
            parts.append(f"{parameter.ctype} *{parameter.name}")
        elif not parameter.out:
            parts.append(f"{parameter.ctype} {parameter.name}")
    return ", ".join(parts)


def _value(parameter: Parameter) -> str:
    """A word parameter as an unsigned C expression."""
    if parameter.ctype == "seL4_CapRights_t":
        return f"{parameter.name}.words[0]"
    if parameter.bits == 64:
        return f"(seL4_Uint64){parameter.name}"
    if parameter.bits < 32:
        return f"((seL4_Word){parameter.name} & {(1 << parameter.bits) - 1:#x}u)"
    return f"(seL4_Word){parameter.name}" if parameter.ctype != "seL4_Word" else parameter.name


def _marshal(layout: MessageLayout) -> list[str]:
    """Statements that put the inputs into mr0 … mr3, the IPC buffer and the extra capabilities."""
    words: dict[int, list[str]] = {}
    copied = ""
    for place in layout.inputs:
        if place.parameter.kind == "registers":
            copied = place.parameter.name
            continue
        value = _value(place.parameter)
        if place.words == 2:
            words.setdefault(place.word, []).append(f"(seL4_Word)({value})")
            words.setdefault(place.word + 1, []).append(f"(seL4_Word)({value} >> 32)")
        else:
            words.setdefault(place.word, []).append(f"{value} << {place.shift}" if place.shift else value)
    first = min((p.word for p in layout.inputs if p.parameter.kind == "registers"), default=0)
    lines = []
    for number in range(REGISTER_WORDS):
        expression = " | ".join(words.get(number, ["0"]))
        if copied and number >= first:
            index = number - first
            expression = f"count > {index} ? ((const seL4_Word *){copied})[{index}] : 0"
        lines.append(f"    seL4_Word mr{number} = {expression};")
    for number in sorted(words):
        if number >= REGISTER_WORDS:
            lines.append(f"    seL4_SetMR({number}, {' | '.join(words[number])});")
    if copied:
        lines += [
            f"    for (seL4_Word i = {REGISTER_WORDS - first};"
            f" i < count && i < sizeof(*{copied}) / sizeof(seL4_Word); i++) {{",
            f"        seL4_SetMR(i + {first}, ((const seL4_Word *){copied})[i]);",
            "    }",
        ]
    lines += [f"    seL4_SetCap({n}, {cap.name});" for n, cap in enumerate(layout.caps)]
    return lines


def _length(layout: MessageLayout) -> str:
    """The message's length: constant, or as many registers as the caller asked to write."""
    for place in layout.inputs:
        if place.parameter.kind == "registers":
            return f"{place.word} + (count < {place.words} ? count : {place.words})"
    return str(layout.length)


def _unmarshal(layout: MessageLayout, registers: int) -> list[str]:
    lines = []
    for place in layout.outputs:
        name = place.parameter.name
        if place.parameter.kind == "registers":
            lines += [
                "    if (seL4_MessageInfo_get_label(info) == seL4_NoError) {",
                f"        seL4_Word *words = (seL4_Word *){name};",
                *(f"        if (count > {n}) {{ words[{n}] = mr{n}; }}" for n in range(REGISTER_WORDS)),
                f"        for (seL4_Word i = {REGISTER_WORDS}; i < count && i < {registers}; i++) {{",
                "            words[i] = seL4_GetMR(i);",
                "        }",
                "    }",
            ]
        elif place.words == 2:
            lines.append(f"    result.{name} = (seL4_Uint64)mr{place.word + 1} << 32 | mr{place.word};")
        else:
            lines.append(f"    result.{name} = mr{place.word};")
    return lines
