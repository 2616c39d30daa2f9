"""A place that bills: it keeps a book of its own, which ours has to agree with."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ground import PRICE
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chaoskit import Billed
from falplace import Place

REFUSED = {"detail": [{"loc": ["body"], "msg": "No.", "type": "content_policy_violation"}]}


@dataclass
class Entry:
    """A request in the book: of which job it is, when it is over, and what became of it.

    `outcome` is made, refused (not billed) or cancelled; a cancelled one is billed if it was
    running already and the place feels like it.
    """

    job: str
    starts: float
    ends: float
    outcome: str
    billed: bool

    def state(self, now: float) -> str:
        if self.outcome == "cancelled" or now >= self.ends:
            return "COMPLETED"
        return "IN_PROGRESS" if now >= self.starts else "IN_QUEUE"


class PaidPlace(Place):
    """Takes about a second for each request, refuses some, and writes what it bills for."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__()
        self._draw = draw
        self.book: dict[str, Entry] = {}

    def billed(self) -> list[Billed]:
        """Return a line for each request that was billed."""
        book = self.book.items()
        return [Billed(entry.job, name, PRICE) for name, entry in book if entry.billed]

    async def submit(self, request: Request, body: bytes) -> Response:
        name, job = uuid.uuid4().hex, request.headers["idempotency-key"].partition(".")[0]
        starts = monotonic() + self._draw.uniform(0, 0.5)
        ends = starts + self._draw.uniform(0.2, 1.5)
        outcome = "refused" if self._draw.random() < 0.08 else "made"
        self.book[name] = Entry(job, starts, ends, outcome, outcome == "made")
        told = {"status": "IN_QUEUE", "request_id": name, "queue_position": 0}
        return JSONResponse(told, headers={"x-fal-request-id": name})

    async def status(self, request: Request, body: bytes) -> Response:
        entry = self.book.get(request.path_params["rid"])
        if entry is None:
            return JSONResponse({"status": "NOT_FOUND"}, 404)
        state = entry.state(monotonic())
        told: dict[str, Any] = {"status": state, "request_id": request.path_params["rid"]}
        told |= {"queue_position": 0 if state == "IN_QUEUE" else None, "logs": []}
        return JSONResponse(told, 200 if state == "COMPLETED" else 202)

    async def result(self, request: Request, body: bytes) -> Response:
        entry = self.book[request.path_params["rid"]]
        if entry.state(monotonic()) != "COMPLETED":
            return JSONResponse({"detail": "Request is still in progress"}, 400)
        answer = self._outcome(entry)
        answer.headers["x-fal-billable-units"] = "1" if entry.billed else "0"
        answer.headers["x-fal-request-id"] = request.path_params["rid"]
        return answer

    def _outcome(self, entry: Entry) -> Response:
        if entry.outcome == "made":
            file = {"url": f"{self.base}/files/picture.png", "content_type": "image/png"}
            return JSONResponse({"images": [file], "seed": 7, "prompt": "revised"})
        if entry.outcome == "refused":
            return JSONResponse(REFUSED, 422)
        return JSONResponse({"detail": "Request was cancelled"}, 499)

    async def cancel(self, request: Request, body: bytes) -> Response:
        entry, now = self.book[request.path_params["rid"]], monotonic()
        state = entry.state(now)
        if state == "COMPLETED":
            return JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
        entry.outcome = "cancelled"
        entry.billed = state == "IN_PROGRESS" and self._draw.random() < 0.5
        return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)
