"""What goes on elsewhere for jobs that were cancelled while no attempt held them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping

import anyio

from media_mcp.backends.base import Backend, Stopping
from media_mcp.catalog.model import Model
from media_mcp.errors import MediaError
from media_mcp.job import Job, JobState

log = logging.getLogger(__name__)


class Strays:
    """Stops them by their ids, as well as that goes: whatever comes of it, the jobs are over."""

    def __init__(self, backends: Mapping[str, Backend], model_of: Callable[[str], Model]) -> None:
        self._backends = backends
        self._model_of = model_of
        self._due: deque[Job] = deque()
        self._stir = anyio.Event()

    def add(self, job: Job) -> None:
        """Take note of a job that no attempt holds, and that may have been cancelled."""
        if job.state is JobState.CANCELLED and job.remote_id:
            self._due.append(job)
            self._stir.set()

    async def run(self) -> None:
        while True:
            await self._stir.wait()
            self._stir = anyio.Event()
            while self._due:
                await self._stop(self._due.popleft())

    async def _stop(self, job: Job) -> None:
        backend = self._backends.get(job.route.backend)
        if not isinstance(backend, Stopping) or job.remote_id is None:
            return
        try:
            await backend.stop(self._model_of(job.model), job.route, job.remote_id)
        except MediaError as error:
            log.warning("The request of job %s may go on at its place: %s", job.id, error)
        except Exception:  # a bug of a backend must not stop the others
            log.exception("The request of job %s could not be stopped", job.id)
