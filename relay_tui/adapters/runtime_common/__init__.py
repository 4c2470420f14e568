"""Parts that the Docker runtime and the process runtime share."""
