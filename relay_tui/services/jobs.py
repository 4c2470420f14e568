"""Background jobs, each in its own thread. Their start, progress and end are published as events."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from relay_tui.domain.errors import CancelledError, ConflictError, Fault, RelayError
from relay_tui.domain.events import EventBus, Job, JobEnded, JobProgressed
from relay_tui.domain.models import new_id
from relay_tui.ports.task import TaskContext

log = logging.getLogger(__name__)


class JobRunner:
    """Runs at most one job for a subject (the id of a project or session) at a time."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Job, TaskContext, threading.Thread]] = {}

    def start(
        self, subject: str, title: str, work: Callable[[TaskContext], object], *, cancellable: bool = False
    ) -> Job:
        """Run `work` in the background. Raises ConflictError if a job is running on the subject."""
        job = Job(new_id(), subject, title, cancellable=cancellable)
        task = TaskContext(lambda stage, fraction, detail: self._progress(subject, stage, fraction, detail))
        thread = threading.Thread(target=self._run, args=(job, task, work), name=f"job {title}", daemon=True)
        with self._lock:
            busy = self._running.get(subject)
            if busy is not None:
                raise ConflictError(f"Still busy: {busy[0].title}", hint="Wait for it to end, or cancel it ({cancel}).")
            self._running[subject] = (job, task, thread)
        self._bus.publish(JobProgressed(job))
        thread.start()
        return job

    def running(self) -> dict[str, Job]:
        """Return the running jobs by subject."""
        with self._lock:
            return {subject: entry[0] for subject, entry in self._running.items()}

    def cancel(self, subject: str) -> bool:
        """Cancel the subject's job; return False if there is none that can be cancelled."""
        with self._lock:
            entry = self._running.get(subject)
        if entry is None or not entry[0].cancellable:
            return False
        entry[1].cancel()
        return True

    def quit(self, patience: float) -> None:
        """Interrupt every job because relay quits; wait up to `patience` seconds for their cleanup."""
        with self._lock:
            entries = list(self._running.values())
        for _, task, _ in entries:
            task.cancel(quitting=True)
        deadline = time.monotonic() + patience
        for _, _, thread in entries:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _progress(self, subject: str, stage: str, fraction: float | None, detail: str) -> None:
        with self._lock:
            entry = self._running.get(subject)
            if entry is None:
                return
            job = replace(entry[0], stage=stage, fraction=fraction, detail=detail)
            self._running[subject] = (job, *entry[1:])
        self._bus.publish(JobProgressed(job))

    def _run(self, job: Job, task: TaskContext, work: Callable[[TaskContext], object]) -> None:
        fault: Fault | None = None
        cancelled = False
        try:
            work(task)
        except CancelledError:
            cancelled = True
        except RelayError as error:
            log.warning("%s failed: %s: %s", job.title, error.title, error.detail)
            fault = error.fault
        except Exception as error:  # a bug must not disappear with its thread
            log.exception("%s failed", job.title)
            fault = Fault("internal", f"relay itself failed: {type(error).__name__}", str(error), "See relay's log.")
        finally:
            with self._lock:
                self._running.pop(job.subject, None)
        self._bus.publish(JobEnded(job, fault, cancelled))
