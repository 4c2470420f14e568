"""Make base clones and session clones."""
