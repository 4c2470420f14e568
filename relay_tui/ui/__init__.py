"""What a person touches: screens and widgets. The one place where textual is imported."""
