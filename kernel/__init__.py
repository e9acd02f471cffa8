"""The kernel object engine: capabilities, objects, invocations, IPC, scheduling, releases. Knows the machine."""

if __name__ != "retrap.kernel":
    raise ImportError("import this package as retrap.kernel, never as a bare 'kernel'")
