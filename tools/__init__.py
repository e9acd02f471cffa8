"""The command line and the library verbs; composes every other package."""

if __name__ != "retrap.tools":
    raise ImportError("import this package as retrap.tools, never as a bare 'tools'")
