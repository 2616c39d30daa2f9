"""The moments of a job's life at which something may die, for tests that see to it that it does.

The code that passes such a moment says so: `faultpoints.reached(Point.CLAIMED)`, which does
nothing. A test installs a hook that does: kills the process, fills the disk, moves the clock. No
setting, variable or call of a user leads here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Point(Enum):
    """A moment, with what holds at it. They stand in the order of a job that meets them all."""

    BEFORE_ROW = "a call was checked and routed; nothing of it is written"
    IN_ROW = "row, reservation and first event are written, in a transaction that is still open"
    ROW_WRITTEN = "the job is kept; whoever asked for it does not know yet"
    BEFORE_CLAIM = "a job is about to be taken, in an open transaction"
    IN_CLAIM = "it is taken, in a transaction that is still open"
    CLAIMED = "the row says that this server runs the job; nothing of it runs"
    FOLDER_MADE = "the attempt has its work folder"
    WORKER_STARTED = "a worker process lives and has no order"
    ORDER_SENT = "the worker has its order"
    REMOTE_ANNOUNCED = (
        "a request is about to be sent, and where it could be paid twice a row says so"
    )
    REMOTE_SUBMITTED = "the place has taken the request; its id is not written"
    REMOTE_NOTED = "the id of the request is written"
    REMOTE_ENDED = "the place has a result; its files are not fetched"
    STEP = "the backend reports how far it is; that is not written"
    STEP_WRITTEN = "how far it is, or what it goes by there, is written; nobody was told"
    FINISHED = "the backend has handed its result over; nothing of it is kept"
    SECOND_TRY = "what came out is worth nothing, and a second try with another seed begins"
    STAGED = "the bytes of a file are in the staging folder"
    SIDECAR_WRITTEN = "the sidecar is written; the bytes are still in the staging folder"
    PUBLISHED = "the bytes have their readable name; they and the sidecar may not be on the disk"
    ASSET_SETTLED = "an asset is on the disk, whole; no row names it"
    BEFORE_END = "everything is at hand to end the job; its row says that it runs"
    IN_END = "end, assets, charge and release are written, in a transaction that is still open"
    END_WRITTEN = "the job is over and paid for; nobody was told"
    RETRY_WRITTEN = "the job waits for another attempt; nobody was told"
    REROUTE_WRITTEN = "the job waits for another backend; nobody was told"
    BEFORE_ANSWERED = "the answer is with its caller; the row does not say so"
    ANSWERED = "the row says that the answer is with its caller"
    WEBHOOK_TAKEN = "a webhook is about to be told of the end"
    WEBHOOK_TOLD = "the webhook was told; the row does not say so"
    CANCEL_ASKED = "the row says that the job is to stop; its attempt does not know"
    RECOVERY = "jobs of dead servers are about to be queued again or given up"
    IN_RECOVERY = "they are, in a transaction that is still open"
    RECOVERED = "they are; work folders of theirs may be left"
    BEFORE_LEAVE = "this server is about to hand back what it holds"
    LEFT = "it has; its files are still open"


Hook = Callable[[Point], None]


def _nothing(point: Point) -> None:
    """What a moment costs where no test looks on."""


reached: Hook = _nothing


def install(hook: Hook) -> None:
    """Have `hook` called at each moment from now on, in whatever thread meets it."""
    global reached
    reached = hook


def uninstall() -> None:
    """Have nothing done at them any more."""
    install(_nothing)
