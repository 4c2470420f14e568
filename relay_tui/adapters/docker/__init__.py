"""Runtime port for a container engine with Docker's API."""

from relay_tui.adapters.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
