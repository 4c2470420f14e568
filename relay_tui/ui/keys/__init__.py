"""Keys: the table of actions, the user's key map, the key queue."""
