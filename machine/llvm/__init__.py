"""Native speed: regions of guest code, lowered from the instruction definitions to LLVM IR and compiled."""
