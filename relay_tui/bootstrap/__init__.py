"""Build the object graph: services with their adapters."""
