"""A table whose rows are updated by key and drawn on demand."""
