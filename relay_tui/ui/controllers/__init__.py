"""Controllers: one object a subject, each with the actions of its keys."""
