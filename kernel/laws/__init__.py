"""The laws of the kernel's state, by concern; `retrap.kernel.invariants` lists and runs them."""
