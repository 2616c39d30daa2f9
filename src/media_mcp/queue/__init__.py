"""The queue room: it keeps every job, runs those that its backends can, and never loses one."""

from media_mcp.queue.engine import OnEvent, Queue
from media_mcp.queue.news import Listener
from media_mcp.queue.outbox import Outbox
from media_mcp.queue.store import Delivery, Tally, Told, Upload
from media_mcp.queue.submission import Submission, Submitted

__all__ = [
    "Delivery",
    "Listener",
    "OnEvent",
    "Outbox",
    "Queue",
    "Submission",
    "Submitted",
    "Tally",
    "Told",
    "Upload",
]
