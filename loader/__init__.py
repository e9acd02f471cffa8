"""From image files and a manifest to a BootPlan: ELF, device trees, platforms, layout. Knows those below."""

if __name__ != "retrap.loader":
    raise ImportError("import this package as retrap.loader, never as a bare 'loader'")
