"""What the attempts of one queue work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from media_mcp.catalog.model import Model
from media_mcp.queue.news import News
from media_mcp.queue.router import Router
from media_mcp.queue.store import Store

if TYPE_CHECKING:
    from media_mcp.media import MediaStore
    from media_mcp.settings import RetryBadOutput


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms around an attempt.

    `attempts` is how often a job is started on a route; `gpu_rate` is what an hour on a device of
    ours costs (US dollars); `ring` tells that a backend has work;
    `retry_bad_output` is the setting.
    """

    store: Store
    media: MediaStore
    model_of: Callable[[str], Model]
    news: News
    work_dir: Path
    attempts: int
    gpu_rate: float
    router: Router
    ring: Callable[[str], None]
    retry_bad_output: RetryBadOutput
