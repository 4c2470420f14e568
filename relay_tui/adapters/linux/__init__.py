"""Linux kernel interfaces: Landlock, procfs, out-of-memory counters."""
