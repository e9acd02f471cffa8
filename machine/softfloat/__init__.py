"""Bit-exact IEEE 754 arithmetic on Python integers, as ARMv7 defines it (ARM ARM DDI 0406C A2.7).

Numbers are bit patterns (unsigned integers of the format's width). Every operation takes a control word, the
FPSCR's bits 26:22 (AHP, DN, FZ, RMode; other bits are ignored), and returns `(result, flags)`: the result's
bit pattern, and the cumulative exception bits that the operation raises, as they lie in the FPSCR.

One concept per module: `control` (the FPSCR's fields), `formats`, `rounding` (FPRound), `nans`, `arithmetic`,
`fused`, `compare`, `convert`, `estimate` (reciprocals and their Newton steps). Nothing here knows registers.
"""
