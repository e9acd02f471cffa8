"""What a word is: the aliases that disassemblers fold, UNDEFINED words, capstone as a second opinion."""

from __future__ import annotations

import random

import pytest
from retrap.machine.arm.decode import all_encodings, decode, disassemble, find, is_wide, to_bytes
from retrap.machine.arm.registry import Encoding
from retrap.machine.arm.table import mnemonics
from retrap.machine.arm.translate import translate
from retrap.machine.traps import TrapKind

# (word, thumb, its encoding, fields that a disassembler's alias hides)
ALIASES = [
    (0xE8BD8010, False, "LDM A1", {"Rn": 13, "W": 1, "registers": 0x8010}),  # pop {r4, pc}
    (0xE49DF004, False, "LDR (immediate) A1", {"Rt": 15, "Rn": 13, "P": 0, "W": 0, "imm12": 4}),  # pop {pc}
    (0xE52DE004, False, "STR (immediate) A1", {"Rt": 14, "Rn": 13, "P": 1, "W": 1, "U": 0}),  # push {lr}
    (0xE92D4010, False, "STMDB A1", {"Rn": 13, "W": 1, "registers": 0x4010}),  # push {r4, lr}
    (0xE8BD4010, True, "LDM T2", {"Rn": 13, "W": 1, "M": 1, "P": 0, "registers": 0x10}),  # pop.w {r4, lr}
    (0xE92D4010, True, "STMDB T1", {"Rn": 13, "W": 1, "M": 1, "registers": 0x10}),  # push.w {r4, lr}
    (0xF85D4B04, True, "LDR (immediate) T4", {"Rt": 4, "Rn": 13, "P": 0, "U": 1, "W": 1}),  # pop.w {r4}
    (0xF84D4D04, True, "STR (immediate) T4", {"Rt": 4, "Rn": 13, "P": 1, "U": 0, "W": 1}),  # push.w {r4}
    (0xE1A00061, False, "RRX A1", {"Rd": 0, "Rm": 1, "S": 0}),
    (0xE1A000E1, False, "ROR (immediate) A1", {"Rd": 0, "Rm": 1, "imm5": 1}),
    (0xE1A00001, False, "MOV (register) A1", {"Rd": 0, "Rm": 1}),
    (0xE1A00081, False, "LSL (immediate) A1", {"Rd": 0, "Rm": 1, "imm5": 1}),
    (0xE1A00021, False, "LSR (immediate) A1", {"imm5": 0}),  # lsr r0, r1, #32
    (0xEA4F0031, True, "RRX T1", {"Rd": 0, "Rm": 1}),
    (0xEA4F0001, True, "MOV (register) T3", {"Rd": 0, "Rm": 1}),
    (0x0008, True, "MOV (register) T2", {"Rd": 0, "Rm": 1}),
    (0xE28F0004, False, "ADD (immediate) A1", {"Rn": 15, "imm12": 4}),  # adr
    (0xE24F0004, False, "SUB (immediate) A1", {"Rn": 15, "imm12": 4}),  # adr
    (0xA001, True, "ADR T1", {"Rd": 0, "imm8": 1}),
    (0xF20F0004, True, "ADR T3", {"Rd": 0, "imm8": 4}),
    (0xF2AF0004, True, "ADR T2", {"Rd": 0, "imm8": 4}),
    (0xE2700000, False, "RSB (immediate) A1", {"S": 1}),  # negs
    (0x4248, True, "RSB (immediate) T1", {"Rd": 0, "Rn": 1}),  # negs
    (0xF1100F01, True, "CMN (immediate) T1", {"Rn": 0}),
    (0xF11D0F01, True, "CMN (immediate) T1", {"Rn": 13}),  # not ADD (SP plus immediate)
    (0xF10D0101, True, "ADD (SP plus) (immediate) T3", {"Rd": 1}),
    (0xE320F000, False, "Hints A1", {"hint": 0}),
    (0xE328F101, False, "MSR (immediate) A1", {"mask": 8}),
    (0xF3AF8000, True, "Hints T2", {"hint": 0}),
    (0xF57FF01F, False, "CLREX A1", {}),
    (0xF85F0004, True, "LDR (literal) T2", {"U": 0, "imm12": 4}),
    (0xF85F0E04, True, "LDR (literal) T2", {"imm12": 0xE04}),  # not LDRT
    (0xF89FF004, True, "PLD (literal) T1", {"U": 1}),
    (0xF9B0F000, True, "Unallocated memory hint (immediate) T1", {}),
    (0xE0C100D2, False, "LDRD (immediate) A1", {"P": 0, "W": 0, "Rt": 0, "imm4L": 2}),
    (0xE8D0F001, True, "TBB, TBH T1", {"H": 0, "Rn": 0, "Rm": 1}),
    (0xE6EF0071, False, "UXTB A1", {"rotate": 0}),
    (0xE6E10072, False, "UXTAB A1", {"Rn": 1, "Rm": 2}),
    (0xE711F213, False, "SDIV A1", {"Rd": 1, "Rm": 2, "Rn": 3}),
    (0xE701F213, False, "SMUAD A1", {"Rd": 1, "M": 0}),
    (0xE7014213, False, "SMLAD A1", {"Ra": 4}),
]


@pytest.mark.parametrize(("word", "thumb", "expected", "fields"), ALIASES)
def test_aliases(word: int, thumb: bool, expected: str, fields: dict[str, int]) -> None:
    decoded = decode(word, thumb)
    assert decoded is not None
    assert decoded.encoding.title == expected
    assert {name: decoded[name] for name in fields} == fields


UNDEFINED = [
    (0xE7F000F0, False, "udf"),
    (0xE1600070, False, "smc: UNDEFINED in User mode"),
    (0xE1400070, False, "hvc"),
    (0xE160006E, False, "eret"),
    (0xE1B0F00E, False, "movs pc, lr: an exception return"),
    (0xE25EF004, False, "subs pc, lr, #4"),
    (0xE8D08000, False, "ldm r0, {pc}^"),
    (0xE8C00001, False, "stm r0, {r0}^"),
    (0xF8900A00, False, "rfeia r0"),
    (0xF84D0500, False, "srsia sp, #0"),
    (0xE14F0000, False, "mrs r0, spsr"),
    (0xE169F000, False, "msr spsr_fc, r0"),
    (0xEE110F10, False, "mrc p15, 0, r0, c1, c0, 0: SCTLR"),
    (0xEE110F10, True, "the same in Thumb"),
    (0xEE0D0F70, False, "mcr p15, 0, r0, c13, c0, 3: TPIDRURO is read-only"),
    (0xEE190F3E, False, "mrc p15, 0, r0, c9, c14, 1: PMINTENSET"),
    (0xEC510F4E, False, "mrrc p15, 4, r0, r1, c14"),
    (0xEE000E10, False, "mcr p14"),
    (0xED900E00, False, "ldc p14"),
    (0xEE000700, False, "cdp p7"),
    (0xFE000700, False, "cdp2 p7"),
    (0xFFFFFFFF, False, "nothing"),
    (0xF7F08000, True, "smc"),
    (0xF3DE8F00, True, "subs pc, lr, #0"),
    (0xDE00, True, "udf"),
    (0xB680, True, "nothing"),
    (0xBA80, True, "hlt of later architectures"),
    (0xF800F000, True, "store to PC-relative address"),
    (0xF000C001, True, "blx with H set"),
    (0xF7808000, True, "b with condition 15"),
    (0xE8600000, True, "a dual store without index and write-back"),
]


@pytest.mark.parametrize(("word", "thumb", "what"), UNDEFINED, ids=[what for *_, what in UNDEFINED])
def test_undefined(word: int, thumb: bool, what: str) -> None:
    assert translate(word, thumb, 0).trap == TrapKind.UNDEFINED


UNPREDICTABLE = [
    (0xE0000F91, False, "mul pc"),
    (0xE3500000 | 0x1000, False, "cmp with a should-be-zero bit set"),
    (0xE5B00000, False, "ldr r0, [r0]!"),
    (0xE8B00001, False, "ldm r0!, {r0}"),
    (0xE8900000, False, "ldm r0, {}"),
    (0xE1C010D0, False, "ldrd of an odd register"),
    (0xE1800F90, False, "strex with Rd = Rn"),
    (0xE7C10291, False, "bfi with msb < lsb"),
    (0xEB0D0D01 | 0x4000, True, "add.w sp, sp, r1, lsl #17"),
    (0xBF00 | 0xF8, True, "it with condition 15"),
    (0xE8B08001, True, "ldm.w r0!, {r0, pc}"),
]


@pytest.mark.parametrize(("word", "thumb", "what"), UNPREDICTABLE, ids=[what for *_, what in UNPREDICTABLE])
def test_unpredictable_is_taken_as_undefined(word: int, thumb: bool, what: str) -> None:
    assert translate(word, thumb, 0).trap == TrapKind.UNDEFINED


@pytest.mark.parametrize(
    ("word", "it"),
    [(0xD0FE, 0x08), (0xE7FE, 0x04), (0xB100, 0x08), (0xBF08, 0x08), (0x4770, 0x04), (0xB650, 0x08), (8, 0x08)],
)
def test_not_permitted_in_it_blocks(word: int, it: int) -> None:
    assert translate(word, True, it).trap == TrapKind.UNDEFINED
    if word != 0xBF08:
        assert translate(word, True, 0).trap != TrapKind.UNDEFINED


# -- the tables ----------------------------------------------------------------------------------------------


def test_every_encoding_has_its_own_title() -> None:
    titles = [encoding.title for encoding in all_encodings()]
    assert len(set(titles)) == len(titles)


def _subset(a: Encoding, b: Encoding) -> bool:
    """Every word of b is one of a by its fixed bits."""
    return a.mask & b.mask == a.mask


def _left_out(a: Encoding, b: Encoding) -> bool:
    """a excludes all words of b."""
    return any(b.mask & mask == mask and b.value & mask == value for mask, value in a.excluded)


# Encodings that share words without one being inside the other: where both match the first is meant.
DECIDED = [
    ("CMN (immediate) T1", "ADD (SP plus) (immediate) T3"),
    ("CMN (register) T2", "ADD (SP plus) (register) T3"),
    ("CMP (immediate) T2", "SUB (SP minus) (immediate) T2"),
    ("CMP (register) T3", "SUB (SP minus) (register) T1"),
    ("CPS T2", "B T3"),
    *((f"PLD ({form}", f"LDR{size} ({form}") for form in ("immediate", "literal", "register") for size in "BH"),
    # One register and a modified immediate: the six bits of a shift amount then begin with 000.
    *(("V" + name, "V") for name in ("MOV (immediate", "MVN (immediate", "ORR (immediate", "BIC (immediate")),
]


def test_where_two_encodings_match_it_is_known_which_is_meant() -> None:
    encodings = all_encodings()
    undecided = []
    for index, first in enumerate(encodings):
        for second in encodings[index + 1 :]:
            if first.thumb != second.thumb or first.size != second.size:
                continue
            if (first.value ^ second.value) & first.mask & second.mask:
                continue
            if _left_out(first, second) or _left_out(second, first):
                continue
            if first.mask != second.mask and (_subset(first, second) or _subset(second, first)):
                continue
            winner, loser = sorted((first, second), key=lambda e: -e.fixed)
            decided = any(winner.title.startswith(w) and loser.title.startswith(x) for w, x in DECIDED)
            if winner.fixed == loser.fixed or not decided:
                undecided.append((winner.title, loser.title))
    assert undecided == []


def _random_words(r: random.Random, count: int) -> list[tuple[int, bool]]:
    words: list[tuple[int, bool]] = [(r.getrandbits(32), False) for _ in range(count)]
    words += [(half, True) for half in (r.getrandbits(16) for _ in range(count)) if not is_wide(half)]
    words += [(r.choice((0b11101, 0b11110, 0b11111)) << 27 | r.getrandbits(27), True) for _ in range(count)]
    return words


def test_the_decoder_finds_what_a_search_of_all_encodings_finds() -> None:
    r = random.Random(6)
    encodings = sorted(all_encodings(), key=lambda e: -e.fixed)
    words = _random_words(r, 150)
    words += [(r.getrandbits(8 * e.size) & ~e.mask | e.value, e.thumb) for e in encodings]
    for word, thumb in words:
        size = 2 if thumb and word <= 0xFFFF else 4
        expected = next((e for e in encodings if e.thumb == thumb and e.size == size and e.matches(word)), None)
        assert find(word, thumb) is expected


def _defined(word: int, thumb: bool) -> bool:
    return translate(word, thumb, 0).trap != TrapKind.UNDEFINED


# Words that capstone does not know although the manual defines them.
CAPSTONE_LACKS = ("Unallocated memory hint", "VLDM, VPOP, FLDMX", "VSTM, VPUSH, FSTMX")

# Instructions whose text begins otherwise than their heading in the manual.
MNEMONICS = {
    "ADR": ("adr", "add", "sub"), "ADD (SP plus)": ("add",), "SUB (SP minus)": ("sub",),
    "CBZ, CBNZ": ("cbz", "cbnz"),
    "TBB, TBH": ("tbb", "tbh"), "LDM": ("ldm", "pop"), "STM": ("stm", "push"), "STMDB": ("stmdb", "push"),
    "LDR": ("ldr", "pop"), "STR": ("str", "push"), "MOV": ("mov", "lsl"), "PKH": ("pkhbt", "pkhtb"),
    "RSB": ("rsb", "neg"), "PLD": ("pld",), "SWP": ("swp",), "BLX (immediate)": ("blx",),
    "BLX (register)": ("blx",),
    "Hints": ("nop", "yield", "wfe", "wfi", "sev", "dbg", "hint", "esb", "csdb", "sevl"), "ISB": ("isb",),
    "ADD": ("add", "adr"), "SUB": ("sub", "adr"), "DSB": ("dsb", "ssbb", "pssbb", "dfb"),
    "SMLA<x><y>": ("smla",), "SMUL<x><y>": ("smul",), "SMLAW<y>": ("smlaw",), "SMULW<y>": ("smulw",),
    "SMLAL<x><y>": ("smlal",), "MCR": ("mcr",),
}  # fmt: skip


def test_capstone_agrees_on_what_is_defined_and_how_it_is_called() -> None:
    r = random.Random(7)
    for word, thumb in _random_words(r, 2500):
        if not _defined(word, thumb):
            continue
        decoded = decode(word, thumb)
        assert decoded is not None
        name, text = decoded.encoding.instruction.name, disassemble(word, thumb)
        if text.startswith(".inst"):
            assert name in CAPSTONE_LACKS, (hex(word), name)
        elif not name.startswith("V"):
            starts = MNEMONICS.get(name, (name.lower(),))
            assert text.startswith(starts), (hex(word), name, text)


@pytest.mark.parametrize(
    ("word", "thumb", "expected"),
    [(0xE1A00001, False, "01 00 a0 e1"), (0x4608, True, "08 46"), (0xF000F801, True, "00 f0 01 f8")],
)
def test_bytes_in_memory(word: int, thumb: bool, expected: str) -> None:
    assert to_bytes(word, thumb).hex(" ") == expected


def test_disassembly() -> None:
    assert disassemble(0xE8BD8010, False) == "pop {r4, pc}"
    assert disassemble(0xE7FE, True, 0x8000) == "b #0x8000"
    assert disassemble(0xF000F801, True) == "bl #6"
    assert disassemble(0xB680, True) == ".inst 0xb680"
    assert disassemble(0xFFFFFFFF, False) == ".inst 0xffffffff"


def test_each_word_and_mode_is_decoded_once() -> None:
    """What came of it is kept, for the decoder, the translation and the text."""
    for word, thumb in ((0xE0810002, False), (0x1888, True), (0xEB010002, True)):
        assert decode(word, thumb) is decode(word, thumb)
        assert translate(word, thumb, 0) is translate(word, thumb, 0)
    before = disassemble.cache_info()
    for _ in range(5):
        disassemble(0xE0910FF2, False)
        disassemble(0xE0910FF2, True)
    after = disassemble.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (2, 8)


ALL_MNEMONICS = """
    ADC ADD ADR AND ASR B BFC BFI BIC BKPT BL BLX BX BXJ CBNZ CBZ CLREX CLZ CMN CMP CPS DBG DMB DSB EOR ISB IT
    LDM LDMDA LDMDB LDMIB LDR LDRB LDRBT LDRD LDREX LDREXB LDREXD LDREXH LDRH LDRHT LDRSB LDRSBT LDRSH LDRSHT
    LDRT LSL LSR MCR MCRR MLA MLS MOV MOVT MRC MRRC MRS MSR MUL MVN NOP ORN ORR PKH PLD PLDW PLI POP PUSH QADD
    QADD16 QADD8 QASX QDADD QDSUB QSAX QSUB QSUB16 QSUB8 RBIT REV REV16 REVSH ROR RRX RSB RSC SADD16 SADD8
    SASX SBC SBFX SDIV SEL SETEND SEV SHADD16 SHADD8 SHASX SHSAX SHSUB16 SHSUB8 SMLABB SMLAD SMLAL SMLALBB
    SMLALD SMLAWB SMLSD SMLSLD SMMLA SMMLS SMMUL SMUAD SMULBB SMULL SMULWB SMUSD SSAT SSAT16 SSAX SSUB16 SSUB8
    STM STMDA STMDB STMIB STR STRB STRBT STRD STREX STREXB STREXD STREXH STRH STRHT STRT SUB SVC SWP SWPB
    SXTAB SXTAB16 SXTAH SXTB SXTB16 SXTH TBB TBH TEQ TST UADD16 UADD8 UASX UBFX UDF UDIV UHADD16 UHADD8 UHASX
    UHSAX UHSUB16 UHSUB8 UMAAL UMLAL UMULL UQADD16 UQADD8 UQASX UQSAX UQSUB16 UQSUB8 USAD8 USADA8 USAT USAT16
    USAX USUB16 USUB8 UXTAB UXTAB16 UXTAH UXTB UXTB16 UXTH WFE WFI YIELD VABA VABAL VABD VABDL VABS VACGE
    VACGT VADD VADDHN VADDL VADDW VAND VBIC VBIF VBIT VBSL VCEQ VCGE VCGT VCLE VCLS VCLT VCLZ VCMP VCMPE VCNT
    VCVT VCVTB VCVTR VCVTT VDIV VDUP VEOR VEXT VFMA VFMS VFNMA VFNMS VHADD VHSUB VLD1 VLD2 VLD3 VLD4 VLDM VLDR
    VMAX VMIN VMLA VMLAL VMLS VMLSL VMOV VMOVL VMOVN VMRS VMSR VMUL VMULL VMVN VNEG VNMLA VNMLS VNMUL VORN
    VORR VPADAL VPADD VPADDL VPMAX VPMIN VPOP VPUSH VQABS VQADD VQDMLAL VQDMLSL VQDMULH VQDMULL VQMOVN VQMOVUN
    VQNEG VQRDMULH VQRSHL VQRSHRN VQRSHRUN VQSHL VQSHLU VQSHRN VQSHRUN VQSUB VRADDHN VRECPE VRECPS VREV16
    VREV32 VREV64 VRHADD VRSHL VRSHR VRSHRN VRSQRTE VRSQRTS VRSRA VRSUBHN VSHL VSHLL VSHR VSHRN VSLI VSQRT
    VSRA VSRI VST1 VST2 VST3 VST4 VSTM VSTR VSUB VSUBHN VSUBL VSUBW VSWP VTBL VTBX VTRN VTST VUZP VZIP
"""
"""Those of the ARM ARM's alphabetical lists (A8.8), but for the ones that a processor without ThumbEE and without
other coprocessors does not have: ENTERX, LEAVEX, CDP, LDC, STC."""


def test_the_index_has_every_mnemonic() -> None:
    known = mnemonics()
    assert [mnemonic for mnemonic in ALL_MNEMONICS.split() if mnemonic not in known] == []
