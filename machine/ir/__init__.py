"""The closed intermediate representation in which every instruction is defined once."""
