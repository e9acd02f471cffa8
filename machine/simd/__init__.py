"""Advanced SIMD arithmetic that the IR cannot say well: pure functions on packed 64-bit registers.

Elements lie in a register from its least significant bits on. A function that saturates returns
`(result, QC)`: the second is the FPSCR's cumulative saturation bit, in its place, or 0. Importing a module
registers its functions as helpers (`simd.…`) for the instruction definitions.
"""
