"""Drafts of new sessions: validate what was typed, choose the runtime, preview the result."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from relay_tui.config import Config, Profile
from relay_tui.domain.errors import ConflictError, InvalidInputError, NameTakenError, NoImageError
from relay_tui.domain.models import Branch, CloneState, DesiredState, Identity, Project, Records, Session, now
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerSpec, Git, Runtime, Store
from relay_tui.services import naming
from relay_tui.services.runtime_router import DOCKER, ENGINE, PROCESS, RuntimeChoice, RuntimeRouter
from relay_tui.services.sessions.container_spec import choose_image, container_spec, spec_notes
from relay_tui.services.sessions.repository import live_project


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """Input for creating a session; '' stands for the default. `new_branch` is created from `branch`, which exists."""

    project: str
    name: str = ""
    branch: str = ""
    new_branch: str = ""
    image: str = ""
    profile: str = ""
    runtime: str = ""
    """'docker', 'process' or 'auto'."""
    agreed: str = ""
    """The NeedsConsentError.consent values that the person agreed to, separated by spaces."""


class SessionDrafts:
    """Validates, completes and describes new sessions. Writes no record. Thread-safe."""

    def __init__(self, *, store: Store, git: Git, runtime: Runtime, config: Config, data_dir: DataDir) -> None:
        self._store = store
        self._git = git
        self._runtime = runtime
        self._config = config
        self._data_dir = data_dir

    def branches(self, project_id: str) -> list[Branch]:
        """Return every upstream branch of the project, the most recently committed first."""
        return self._git.branches(self._data_dir.base(project_id))

    def suggest_name(self, project_id: str, branch: str) -> str:
        """Return an unused name for a session on `branch`."""
        return naming.suggest_session(project_id, branch, self._store.read())

    def choose_runtime(
        self, wanted: NewSession, records: Records | None = None, ping: Callable[[], object] | None = None
    ) -> RuntimeChoice:
        """Return the runtime that the session would get, and the reason.

        Pings the engine, so it must not be called within a transaction; `ping` replaces that, as in
        RuntimeRouter.choose(). Raises NoImageError if an image was requested, a process was not, and only a process
        is possible.
        """
        if not isinstance(self._runtime, RuntimeRouter):
            return ENGINE
        records = records or self._store.read()
        project = records.projects.get(wanted.project)
        profile = self._config.find_profile(wanted.profile or (project.default_profile if project else ""))
        default = project.default_runtime if project else ""
        kind = wanted.runtime or profile.runtime or default or self._config.runtime
        live = records.live_sessions(wanted.project) if project else []
        processes = any(session.runtime == PROCESS for session in live)
        # in a project of processes, a session that never got its container does not count as a container
        others = [s.runtime for s in live if s.runtime != DOCKER or s.container_id or not processes]
        choice = self._runtime.choose(kind, others, wanted.agreed.split(), ping)
        if wanted.image and choice.runtime == PROCESS and wanted.runtime != PROCESS:
            raise NoImageError(
                f"Image {wanted.image} needs an engine",
                choice.why or "The session would be a process, as configured.",
                "{Take it out|Go on without an image: --runtime process}, or start the engine.",
            )
        return choice

    def confirm_runtime(self, wanted: NewSession) -> RuntimeChoice:
        """Return the runtime that the session gets. Raises NeedsConsentError if a person has to agree first.

        Consent to run without a sandbox is stored in the data directory.
        """
        choice = self.choose_runtime(wanted)
        if choice.asks is not None:
            raise choice.asks
        if choice.runtime == PROCESS and not choice.isolated and isinstance(self._runtime, RuntimeRouter):
            self._runtime.agree()
        return choice

    def choose_first_runtime(self, project_id: str) -> RuntimeChoice:
        """Return the runtime of a project's first session, which is created without asking.

        The result is the engine if any other choice needs consent: the session then waits for the engine.
        """
        choice = self.choose_runtime(NewSession(project=project_id))
        return choice if choice.asks is None else ENGINE

    def build_draft(
        self, wanted: NewSession, records: Records, heads: Collection[str], choice: RuntimeChoice = ENGINE
    ) -> Session:
        """Return the session's record, checked field by field and not yet stored.

        Raises InvalidInputError or NameTakenError with `field` set, NotFoundError if the project was removed, or
        ConflictError if it is not ready.
        """
        project = live_project(records, wanted.project)
        if project.desired is DesiredState.REMOVED:
            raise ConflictError(
                f"{project.name} is being removed", hint="Restore it afterwards: relay project restore."
            )
        if project.clone_state is not CloneState.READY:
            raise ConflictError(f"{project.name} is not cloned yet", hint="Wait for its clone, or retry it.")
        base_branch = wanted.branch or project.default_branch
        self._git.check_branch_name(base_branch)
        if base_branch not in heads:
            raise InvalidInputError(
                "branch",
                f"{project.name} has no branch '{base_branch}'",
                hint="A new branch begins at an existing one{|: --new-branch NAME --from BRANCH}.",
            )
        branch = wanted.new_branch or base_branch
        if wanted.new_branch:
            self._check_new_branch(wanted.new_branch, heads)
        name = wanted.name or naming.suggest_session(project.id, branch, records)
        naming.check_name(name)
        if name.casefold() in {session.name.casefold() for session in records.live_sessions(project.id)}:
            raise NameTakenError(f"{project.name} has a session '{name}' already", hint="Choose another name.")
        profile = self._config.find_profile(wanted.profile or project.default_profile)
        session_id, stamp = records.unused_id(), now()
        return Session(
            id=session_id,
            project_id=project.id,
            name=name,
            branch=branch,
            base_branch=base_branch,
            image=choose_image(wanted.image, profile, project, self._config) if choice.runtime == DOCKER else "",
            profile=profile.name,
            runtime=choice.runtime,
            isolated=choice.isolated,
            notes=spec_notes(choice.runtime, choice.isolated, profile, wanted.image or project.default_image),
            work_dir=str(self._data_dir.session(project.id, session_id)),
            created_at=stamp,
            updated_at=stamp,
        )

    def preview(self, wanted: NewSession) -> tuple[Session, ContainerSpec, Profile]:
        """Return what register() and build() would create: session, container and profile.

        Raises the errors of build_draft() and choose_runtime().
        """
        records = self._store.read()
        heads = {branch.name for branch in self.branches(wanted.project)}
        session = self.build_draft(wanted, records, heads, self.choose_runtime(wanted, records))
        profile = self._config.find_profile(session.profile)
        return session, self.spec_of(session, records.projects[session.project_id], Identity()), profile

    def profile(self, session: Session) -> Profile | None:
        """Return the session's profile as configured now; None if it was deleted from the configuration."""
        return self._config.profiles.get(session.profile)

    def has_command(self, session: Session) -> bool:
        """Return whether the session's profile sets a command. Raises InvalidInputError if the profile was deleted."""
        return bool(self._config.find_profile(session.profile).command)

    def profile_names(self) -> list[str]:
        """Return the names of all profiles, the configured default first."""
        return sorted(self._config.profiles, key=lambda name: (name != self._config.profile, name))

    def spec_of(self, session: Session, project: Project, identity: Identity) -> ContainerSpec:
        """Return the specification of the session's container."""
        return container_spec(
            session, project, self._config.find_profile(session.profile), identity, self._data_dir.root
        )

    def _check_new_branch(self, name: str, heads: Collection[str]) -> None:
        try:
            self._git.check_branch_name(name)
        except InvalidInputError as error:
            raise InvalidInputError("new_branch", error.title, error.detail, error.hint) from error
        if name in heads:
            raise InvalidInputError(
                "new_branch", f"There is a branch '{name}' already", hint="Choose it as the branch."
            )
        clash = next((h for h in heads if h.startswith(name + "/") or name.startswith(h + "/")), "")
        if clash:
            raise InvalidInputError(
                "new_branch", f"git cannot have both '{name}' and '{clash}'", hint="Choose another name."
            )
