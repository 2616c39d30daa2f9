"""Who hears of changes: listeners hear every change of state, followers every change of one job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from media_mcp.job import Job

log = logging.getLogger(__name__)
Listener = Callable[[Job], None]
REMEMBERED = 1024


class Follower:
    """Waits for news of one job. What comes while nobody waits is kept, the latest only."""

    def __init__(self) -> None:
        self._latest: Job | None = None
        self._bell = anyio.Event()
        self._dismissed = False

    def dismiss(self) -> None:
        """Let go of who waits: nothing more will be told."""
        self._dismissed = True
        self._bell.set()

    def tell(self, job: Job) -> None:
        self._latest = job
        self._bell.set()

    async def next(self) -> Job | None:
        """Wait for news; None once the follower is dismissed and has heard all."""
        while (job := self.take()) is None and not self._dismissed:
            await self._bell.wait()
        return job

    def take(self) -> Job | None:
        """Return what has not been heard yet, if anything."""
        job, self._latest = self._latest, None
        if job is not None and not self._dismissed:
            self._bell = anyio.Event()
        return job


class News:
    """Hands each change to those who asked for it, in this process, on the event loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, Listener] = {}
        self._followers: dict[str, set[Follower]] = {}
        self._latest: dict[str, Job] = {}
        self.dismissed = False

    def dismiss(self) -> None:
        """Let go of all who follow a job, now and from now on."""
        self.dismissed = True
        for followers in self._followers.values():
            for follower in followers:
                follower.dismiss()

    @property
    def awaited(self) -> bool:
        """Whether anybody follows a job."""
        return bool(self._followers)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    @contextmanager
    def follow(self, job_id: str) -> Iterator[Follower]:
        follower = Follower()
        if self.dismissed:
            follower.dismiss()
        followers = self._followers.setdefault(job_id, set())
        followers.add(follower)
        try:
            yield follower
        finally:
            followers.discard(follower)
            if not followers:
                del self._followers[job_id]

    def latest(self, job_id: str) -> Job | None:
        """Return a job as it was last told here, if that is not long ago."""
        return self._latest.get(job_id)

    def publish(self, job: Job, *, state: bool) -> None:
        self._latest.pop(job.id, None)
        self._latest[job.id] = job
        if len(self._latest) > REMEMBERED:
            del self._latest[next(iter(self._latest))]
        for follower in self._followers.get(job.id, ()):
            follower.tell(job)
        if state:
            for listener in tuple(self._listeners.values()):
                self._call(listener, job)

    def _call(self, listener: Listener, job: Job) -> None:
        try:
            listener(job)
        except Exception:  # a listener's bug must not stop the job that it hears of
            log.exception("A listener failed on job %s", job.id)
