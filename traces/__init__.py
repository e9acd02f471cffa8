"""Trace files: format, writer, reader, replay, diff, exports. Knows kernel and machine."""

if __name__ != "retrap.traces":
    raise ImportError("import this package as retrap.traces, never as a bare 'traces'")
