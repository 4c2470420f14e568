"""What services are made over: the ports, the place and the configuration. A service is imported when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay_tui.config import Config
    from relay_tui.domain.events import EventBus
    from relay_tui.paths import DataDir
    from relay_tui.ports import CloneInspector, Files, Git, GitTransfer, Store
    from relay_tui.services.operation_locks import OperationLocks
    from relay_tui.services.projects import ProjectService
    from relay_tui.services.reconcile.orphans import OrphanService
    from relay_tui.services.reconcile.reconciler import Reconciler
    from relay_tui.services.removal import RemovalService
    from relay_tui.services.runtime_router import RuntimeRouter
    from relay_tui.services.sessions.service import SessionService
    from relay_tui.services.sync import SyncService
    from relay_tui.services.trash import Trash


@dataclass(frozen=True, slots=True)
class ServiceFactory:
    """What services are made over. Each is imported when it is made."""

    place: DataDir
    config: Config
    bus: EventBus
    store: Store
    git: Git
    look: CloneInspector
    transfer: GitTransfer
    files: Files
    locks: OperationLocks
    runtime: RuntimeRouter

    def sessions(self) -> SessionService:
        """What is done to sessions."""
        from relay_tui.services.sessions.service import SessionService

        return SessionService(
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

    def projects(self, sessions: SessionService) -> ProjectService:
        """What is done to projects."""
        from relay_tui.services.projects import ProjectService

        return ProjectService(
            store=self.store,
            git=self.git,
            files=self.files,
            locks=self.locks,
            bus=self.bus,
            config=self.config,
            data_dir=self.place,
            sessions=sessions,
        )

    def outward(self) -> SyncService:
        """What leaves a session's clone."""
        from relay_tui.services.sync import SyncService

        return SyncService(
            store=self.store,
            git=self.git,
            way_out=self.transfer,
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

    def removal(self, sessions: SessionService, outward: SyncService, trash: Trash) -> RemovalService:
        """What stands in the way of a removal."""
        from relay_tui.services.removal import RemovalService

        return RemovalService(
            store=self.store,
            look=self.look,
            files=self.files,
            sessions=sessions,
            outward=outward,
            trash=trash,
            data_dir=self.place,
        )

    def reconciler(self, projects: ProjectService, sessions: SessionService) -> Reconciler:
        """What brings the world to what is wanted."""
        from relay_tui.services.reconcile.reconciler import Reconciler

        return Reconciler(
            store=self.store,
            files=self.files,
            runtime=self.runtime,
            locks=self.locks,
            bus=self.bus,
            projects=projects,
            sessions=sessions,
        )

    def strays(self, projects: ProjectService, sessions: SessionService) -> OrphanService:
        """What no record knows."""
        from relay_tui.services.reconcile.orphans import OrphanService

        return OrphanService(
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
