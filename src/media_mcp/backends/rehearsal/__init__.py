"""Stand-in media for every model, at no cost: for tests, and for people who rehearse a job."""

from media_mcp.backends.rehearsal.backend import Rehearsal, create

__all__ = ["Rehearsal", "create"]
