"""The formats: binary16, binary32, binary64, and ARM's alternative half precision. ARM ARM A2.7.3."""

from __future__ import annotations

from typing import Final, final


@final
class Format:
    """Widths and landmarks of one format. Exponents are unbiased, patterns are unsigned integers."""

    __slots__ = (
        "bias",
        "bits",
        "default_nan",
        "exponent_mask",
        "fraction_bits",
        "fraction_mask",
        "has_infinity",
        "hidden",
        "infinity",
        "largest",
        "lowest",
        "quiet",
        "sign",
        "sign_shift",
    )

    def __init__(self, bits: int, exponent_bits: int, has_infinity: bool) -> None:
        self.bits: Final = bits
        self.fraction_bits: Final = bits - exponent_bits - 1
        self.exponent_mask: Final = (1 << exponent_bits) - 1
        """The biased exponent of infinities and NaNs, where the format has them."""
        self.bias: Final = (1 << (exponent_bits - 1)) - 1
        self.sign_shift: Final = bits - 1
        self.sign: Final = 1 << (bits - 1)
        self.hidden: Final = 1 << self.fraction_bits
        self.fraction_mask: Final = self.hidden - 1
        self.quiet: Final = self.hidden >> 1
        """The fraction bit that tells quiet NaNs from signalling ones."""
        self.infinity: Final = self.exponent_mask << self.fraction_bits
        self.default_nan: Final = self.infinity | self.quiet
        self.largest: Final = self.infinity - 1
        self.lowest: Final = 1 - self.bias - self.fraction_bits
        """Exponent of the least significant fraction bit of a denormal."""
        self.has_infinity: Final = has_infinity


HALF: Final = Format(16, 5, True)
HALF_ALTERNATIVE: Final = Format(16, 5, False)
SINGLE: Final = Format(32, 8, True)
DOUBLE: Final = Format(64, 11, True)
