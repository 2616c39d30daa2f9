"""What the hub's library raises when files are fetched, in words that say what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from media_mcp.errors import MediaError, NotConfigured, StorageFailed
from media_mcp.worker.pipelines.faults import explain

_LOST = frozenset(
    {
        "ConnectTimeout",
        "ReadError",
        "ReadTimeout",
        "RemoteProtocolError",
        "WriteError",
        "WriteTimeout",
    }
)
_UNREACHABLE = frozenset({"ConnectError", "ProxyError", "OfflineModeIsEnabled"})
_DENIED = frozenset({401, 403})


def is_lost_connection(error: BaseException) -> bool:
    """Whether a connection ended on the way, so that it may be tried again."""
    return type(error).__name__ in _LOST


@contextmanager
def readable(repo: str) -> Iterator[None]:
    """Raise our own errors for those of the hub's library and of the disk."""
    try:
        yield
    except MediaError:
        raise
    except Exception as error:
        raise _told(error, repo) or error from error


def _told(error: Exception, repo: str) -> MediaError | None:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return StorageFailed(
            "The disk is full.", "Free some space and pull again: it goes on where it stopped."
        )
    name = type(error).__name__
    if name in _LOST:
        return NotConfigured(
            f"The connection to the hub was lost while {repo} was fetched.",
            "Pull again: it goes on where it stopped.",
        )
    if name in _UNREACHABLE:
        return NotConfigured(
            f"The hub cannot be reached for {repo}.",
            "Check the network and the proxy, and that HF_HUB_OFFLINE is not set.",
        )
    return _refused(error, repo) or explain(error, repo)


def _refused(error: Exception, repo: str) -> MediaError | None:
    """Tell an answer of the hub's that is no more than a number."""
    if type(error).__name__ != "HfHubHTTPError":
        return None
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in _DENIED:
        return NotConfigured(
            f"The hub does not let you have {repo} (HTTP {status}).",
            f"Accept its terms at https://huggingface.co/{repo}, then run: hf auth login",
        )
    later = "Pull again later" if status == 429 or status >= 500 else "Check the model's card"
    return NotConfigured(f"The hub answered HTTP {status} for {repo}.", f"{later}.")
