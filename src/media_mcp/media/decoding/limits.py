"""What a decoder's process may take. The system holds it to that, whatever it decodes."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

MEMORY = 3 * 2**30  # bytes of address space; the largest picture that is read takes half of it
PROCESSOR = 75  # seconds for one file
FILES = 64  # open at once
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h


def confine() -> None:
    """Give up, for good, what decoding does not need: memory, writing files, the network.

    Where a system does not know one of these bounds, the others hold.
    """
    bounds = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: FILES,
        resource.RLIMIT_CORE: 0,
    }
    for what, bound in bounds.items():
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (bound, bound))
    _leave_network()


def grant() -> None:
    """Allow the processor's time for one more file; past it the system ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + PROCESSOR
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _leave_network() -> None:
    """Move to a network of its own, with nothing in it, where the kernel lets us."""
    if sys.platform != "linux":
        return
    import ctypes

    # Root keeps its own user, in whose name it may read files of others.
    user = 0 if os.geteuid() == 0 else CLONE_NEWUSER
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(CLONE_NEWNET | user)
