"""What services are made over: the ports, the place and the configuration. A service is imported when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.config import Config
    from relay_tui.events import Bus
    from relay_tui.paths import DataDir
    from relay_tui.services.claims import Claims
    from relay_tui.services.outward import Outward
    from relay_tui.services.ports import Exit, Files, Git, Look, Store
    from relay_tui.services.projects import Projects
    from relay_tui.services.reconcile import Reconciler
    from relay_tui.services.removal import Removal
    from relay_tui.services.runtimes import Runtimes
    from relay_tui.services.sessions import Sessions
    from relay_tui.services.strays import Strays
    from relay_tui.services.trash import Trash


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What services are made over. Each is imported when it is made."""

    place: DataDir
    config: Config
    bus: Bus
    store: Store
    git: Git
    look: Look
    way_out: Exit
    files: Files
    locks: Claims
    runtime: Runtimes

    def sessions(self) -> Sessions:
        """What is done to sessions."""
        from relay_tui.services.sessions import Sessions

        return Sessions(
            store=self.store,
            git=self.git,
            look=self.look,
            runtime=self.runtime,
            files=self.files,
            locks=self.locks,
            bus=self.bus,
            config=self.config,
            data_dir=self.place,
        )

    def projects(self, sessions: Sessions) -> Projects:
        """What is done to projects."""
        from relay_tui.services.projects import Projects

        return Projects(
            store=self.store,
            git=self.git,
            files=self.files,
            locks=self.locks,
            bus=self.bus,
            config=self.config,
            data_dir=self.place,
            sessions=sessions,
        )

    def outward(self) -> Outward:
        """What leaves a session's clone."""
        from relay_tui.services.outward import Outward

        return Outward(
            store=self.store,
            git=self.git,
            way_out=self.way_out,
            runtime=self.runtime,
            files=self.files,
            locks=self.locks,
            bus=self.bus,
            data_dir=self.place,
        )

    def trash(self) -> Trash:
        """What was removed."""
        from relay_tui.services.trash import Trash

        return Trash(
            store=self.store,
            files=self.files,
            runtime=self.runtime,
            locks=self.locks,
            bus=self.bus,
            config=self.config,
        )

    def removal(self, sessions: Sessions, outward: Outward, trash: Trash) -> Removal:
        """What stands in the way of a removal."""
        from relay_tui.services.removal import Removal

        return Removal(
            store=self.store,
            look=self.look,
            files=self.files,
            sessions=sessions,
            outward=outward,
            trash=trash,
            data_dir=self.place,
        )

    def reconciler(self, projects: Projects, sessions: Sessions) -> Reconciler:
        """What brings the world to what is wanted."""
        from relay_tui.services.reconcile import Reconciler

        return Reconciler(
            store=self.store,
            files=self.files,
            runtime=self.runtime,
            locks=self.locks,
            bus=self.bus,
            projects=projects,
            sessions=sessions,
        )

    def strays(self, projects: Projects, sessions: Sessions) -> Strays:
        """What no record knows."""
        from relay_tui.services.strays import Strays

        return Strays(
            store=self.store,
            git=self.git,
            files=self.files,
            runtime=self.runtime,
            bus=self.bus,
            config=self.config,
            data_dir=self.place,
            projects=projects,
            sessions=sessions,
        )
