"""Read a clone that may be hostile. Nothing in it is executed, followed or believed."""
