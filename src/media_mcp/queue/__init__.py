"""The queue room: it keeps every job, runs those that its backends can, and never loses one."""

from .engine import OnEvent, Queue
from .news import Listener
from .submission import Submission, Submitted

__all__ = ["Listener", "OnEvent", "Queue", "Submission", "Submitted"]
