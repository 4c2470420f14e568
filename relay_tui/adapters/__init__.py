"""The world behind the ports: each module is the only importer of its library."""
