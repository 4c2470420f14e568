"""Factory for the services. Each service's module is imported when the service is created."""

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
    from relay_tui.services.sessions.drafts import SessionDrafts
    from relay_tui.services.sessions.repository import SessionRepository
    from relay_tui.services.sessions.service import SessionService
    from relay_tui.services.sync import SyncService
    from relay_tui.services.trash import Trash


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFactory:
    """Creates services from the ports, the configuration and the data directory.

    A method's parameters are the services that the created one uses.
    """

    data_dir: DataDir
    config: Config
    bus: EventBus
    store: Store
    repository: SessionRepository
    git: Git
    inspector: CloneInspector
    transfer: GitTransfer
    files: Files
    locks: OperationLocks
    runtime: RuntimeRouter

    def drafts(self) -> SessionDrafts:
        """Create the service that validates and describes new sessions."""
        from relay_tui.services.sessions.drafts import SessionDrafts

        return SessionDrafts(
            store=self.store, git=self.git, runtime=self.runtime, config=self.config, data_dir=self.data_dir
        )

    def sessions(self, drafts: SessionDrafts) -> SessionService:
        """Create the service for the use cases about sessions, with its builder."""
        from relay_tui.services.sessions.builder import SessionBuilder
        from relay_tui.services.sessions.service import SessionService

        builder = SessionBuilder(
            repository=self.repository,
            drafts=drafts,
            git=self.git,
            inspector=self.inspector,
            runtime=self.runtime,
            files=self.files,
            locks=self.locks,
        )
        return SessionService(
            repository=self.repository,
            builder=builder,
            inspector=self.inspector,
            runtime=self.runtime,
            files=self.files,
            locks=self.locks,
        )

    def projects(self, drafts: SessionDrafts, sessions: SessionService) -> ProjectService:
        """Create the service for the use cases about projects."""
        from relay_tui.services.projects import ProjectService

        return ProjectService(
            repository=self.repository,
            drafts=drafts,
            git=self.git,
            files=self.files,
            locks=self.locks,
            config=self.config,
            data_dir=self.data_dir,
            sessions=sessions,
        )

    def sync(self) -> SyncService:
        """Create the service that moves commits between sessions, base clones and upstreams."""
        from relay_tui.services.sync import SyncService

        return SyncService(
            repository=self.repository,
            git=self.git,
            transfer=self.transfer,
            runtime=self.runtime,
            files=self.files,
            locks=self.locks,
            bus=self.bus,
            data_dir=self.data_dir,
        )

    def trash(self) -> Trash:
        """Create the service that measures and purges the trash."""
        from relay_tui.services.trash import Trash

        return Trash(
            store=self.store,
            files=self.files,
            runtime=self.runtime,
            locks=self.locks,
            bus=self.bus,
            config=self.config,
        )

    def removal(self, sessions: SessionService, sync: SyncService, trash: Trash) -> RemovalService:
        """Create the service that checks for unsaved work before a removal."""
        from relay_tui.services.removal import RemovalService

        return RemovalService(
            repository=self.repository,
            inspector=self.inspector,
            files=self.files,
            sessions=sessions,
            sync=sync,
            trash=trash,
            data_dir=self.data_dir,
        )

    def reconciler(self, projects: ProjectService, sessions: SessionService) -> Reconciler:
        """Create the service that plans and executes reconciliation."""
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

    def orphans(self, projects: ProjectService, sessions: SessionService) -> OrphanService:
        """Create the service for orphaned clones and containers."""
        from relay_tui.services.reconcile.orphans import OrphanService

        return OrphanService(
            store=self.store,
            git=self.git,
            files=self.files,
            runtime=self.runtime,
            bus=self.bus,
            config=self.config,
            data_dir=self.data_dir,
            projects=projects,
            sessions=sessions,
        )
