"""ARMv7-A: decoding, instruction definitions, system registers (ARM ARM DDI 0406C)."""
