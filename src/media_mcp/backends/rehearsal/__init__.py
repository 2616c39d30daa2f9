"""Stand-in media for every model, at no cost: for tests, and for people who rehearse a job."""

from .backend import Rehearsal, create

__all__ = ["Rehearsal", "create"]
