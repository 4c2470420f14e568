"""The container engine behind the Runtime port: whatever speaks Docker's API, here or far away."""

from relay_tui.adapters.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
