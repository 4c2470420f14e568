"""Sessions before there are any: what can be asked for, checked and shown, and what it would run on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from relay_tui.config import Config, Profile
from relay_tui.domain.errors import ConflictError, InvalidInputError, NameTakenError, NoImageError, NotFoundError
from relay_tui.domain.models import Branch, CloneState, DesiredState, Identity, Project, Records, Session, now
from relay_tui.paths import DataDir
from relay_tui.ports import ContainerSpec, Git, Runtime, Store
from relay_tui.services import naming
from relay_tui.services.runtime_router import DOCKER, ENGINE, PROCESS, RuntimeChoice, RuntimeRouter
from relay_tui.services.sessions.container_spec import choose_image, container_spec, spec_notes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a person typed to create a session; '' means: choose for me. `branch` exists; `new_branch` begins there."""

    project: str
    name: str = ""
    branch: str = ""
    new_branch: str = ""
    image: str = ""
    profile: str = ""
    runtime: str = ""
    """'docker', 'process' or 'auto'."""
    agreed: str = ""
    """What the person agreed to when asked, in the words of NeedsConsentError.consent, with spaces between."""


class SessionDrafts:
    """What a session would be. Nothing is put on record here."""

    def __init__(self, *, store: Store, git: Git, runtime: Runtime, config: Config, data_dir: DataDir) -> None:
        self._store = store
        self._git = git
        self._runtime = runtime
        self._config = config
        self._data_dir = data_dir

    def branches(self, project_id: str) -> list[Branch]:
        """Every upstream branch of the project, the most recently committed first."""
        return self._git.branches(self._data_dir.base(project_id))

    def suggest_name(self, project_id: str, branch: str) -> str:
        """A free name for a session on `branch`."""
        return naming.suggest_session(project_id, branch, self._store.read())

    def choose_runtime(
        self, wanted: NewSession, records: Records | None = None, ask: Callable[[], object] | None = None
    ) -> RuntimeChoice:
        """What the session would run on, and why. Asks the engine whether it is there: not within a transaction.

        `ask` answers in its stead, as for Runtimes.choose(). Raises NoImageError when an image was asked for and only a
        process can be had, which nobody asked for.
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
        # among processes, one that never got its container does not make it a project of containers
        others = [s.runtime for s in live if s.runtime != DOCKER or s.container_id or not processes]
        choice = self._runtime.choose(kind, others, wanted.agreed.split(), ask)
        if wanted.image and choice.runtime == PROCESS and wanted.runtime != PROCESS:
            raise NoImageError(
                f"Image {wanted.image} needs an engine",
                choice.why or "The session would be a process, as configured.",
                "{Take it out|Go on without an image: --runtime process}, or start the engine.",
            )
        return choice

    def confirm_runtime(self, wanted: NewSession) -> RuntimeChoice:
        """The same, once it is agreed to. Raises NeedsConsentError; agreeing to do without a sandbox is remembered."""
        choice = self.choose_runtime(wanted)
        if choice.asks is not None:
            raise choice.asks
        if choice.runtime == PROCESS and not choice.isolated and isinstance(self._runtime, RuntimeRouter):
            self._runtime.agree()
        return choice

    def settle_first(self, project_id: str) -> RuntimeChoice:
        """The choice for a project's first session, which is made unasked: without consent it waits for the engine."""
        choice = self.choose_runtime(NewSession(project=project_id))
        return choice if choice.asks is None else ENGINE

    def build_draft(
        self, wanted: NewSession, records: Records, heads: Collection[str], choice: RuntimeChoice = ENGINE
    ) -> Session:
        """The session that `wanted` asks for, checked field by field, not yet on record.

        Raises InvalidInputError or NameTakenError with `field` set, or ConflictError.
        """
        project = records.projects.get(wanted.project)
        if project is None or project.deleted_at is not None:
            raise NotFoundError("That project is gone", wanted.project)
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
        """What register() and build() would make of `wanted`. Raises as draft() does."""
        records = self._store.read()
        heads = {branch.name for branch in self.branches(wanted.project)}
        session = self.build_draft(wanted, records, heads, self.choose_runtime(wanted, records))
        profile = self._config.find_profile(session.profile)
        return session, self._spec(session, records.projects[session.project_id], Identity()), profile

    def profile(self, session: Session) -> Profile | None:
        """The session's profile as configured now; None if it is no longer there."""
        return self._config.profiles.get(session.profile)

    def profile_names(self) -> list[str]:
        """The profiles there are, the configured default first."""
        return sorted(self._config.profiles, key=lambda name: (name != self._config.profile, name))

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

    def _spec(self, session: Session, project: Project, identity: Identity) -> ContainerSpec:
        return container_spec(
            session, project, self._config.find_profile(session.profile), identity, self._data_dir.root
        )
