"""What differs between kernel releases, as data: syscalls, labels, objects, bootinfo, named facts."""
