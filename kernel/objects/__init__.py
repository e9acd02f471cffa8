"""One kernel object type per file: state, decode (may refuse, writes nothing), perform (cannot fail)."""
