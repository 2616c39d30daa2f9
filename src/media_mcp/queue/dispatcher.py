"""Takes queued jobs and runs them: one lane per backend, woken by events."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anyio.abc import TaskGroup

from media_mcp.backends.base import Backend
from media_mcp.job import Job, JobState
from media_mcp.queue.attempt import Attempt
from media_mcp.queue.lane import Lane, Order
from media_mcp.queue.rooms import Rooms
from media_mcp.queue.store import Claim
from media_mcp.queue.strays import Strays


class Dispatcher:
    """The lanes of this process. `on_start` is called when a job starts here, or is held back."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        rooms: Rooms,
        order: Order,
        on_start: Callable[[], None],
    ) -> None:
        self._on_start = on_start
        self._capped = order.capped
        self.strays = Strays(backends, rooms.model_of)
        self._stops: dict[str, str] = {}
        self._lanes = {
            name: Lane(backend, rooms, order, self._started, on_start)
            for name, backend in backends.items()
        }

    @property
    def busy(self) -> bool:
        """Whether a job runs here."""
        return any(lane.running for lane in self._lanes.values())

    @property
    def held_back(self) -> bool:
        """Whether a job waits here for one to end that may run on another server."""
        return any(lane.held_back for lane in self._lanes.values())

    def start(self, group: TaskGroup) -> None:
        group.start_soon(self.strays.run)
        for lane in self._lanes.values():
            group.start_soon(lane.run, group)

    def ring(self, backend: str | None = None) -> None:
        """Wake the lane of `backend`, or every lane."""
        for name, lane in self._lanes.items():
            if backend in (None, name):
                lane.ring()

    def hear(self, job: Job) -> None:
        """Take note of a job that runs no more, here or elsewhere: a cap may let others start."""
        if self._capped and job.attempt and job.state is not JobState.RUNNING:
            self.ring()

    def reserve(self, backend: str) -> bool:
        """Hold a free slot of `backend` for a job that is being submitted, if there is one."""
        lane = self._lanes.get(backend)
        return lane is not None and lane.reserve()

    def hand(self, backend: str, claim: Claim | None) -> None:
        """Use the slot that was reserved, or give it back."""
        self._lanes[backend].hand(claim)

    def stop(self, job_id: str, reason: str) -> None:
        """Stop the attempt at a job that this process claimed, though it may only be starting."""
        for lane in self._lanes.values():
            if attempt := lane.running.get(job_id):
                attempt.stop(reason)
                return
        self._stops[job_id] = reason

    def check(self, job: Job) -> None:
        """Drop the attempt at a job that another server took over."""
        for lane in self._lanes.values():
            attempt = lane.running.get(job.id)
            if attempt and (job.state.terminal or job.attempt != attempt.claim.job.attempt):
                attempt.lose()

    def _started(self, attempt: Attempt) -> None:
        self._on_start()
        reason = self._stops.pop(attempt.claim.job.id, None)
        if reason is not None:
            attempt.stop(reason)
