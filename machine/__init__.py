"""The executable ARMv7-A model: memory, registers, instructions, clock, traps. Knows no other package."""

if __name__ != "retrap.machine":
    raise ImportError("import this package as retrap.machine, never as a bare 'machine'")
