"""Pure functions that turn domain values into text and cells. No widgets."""
