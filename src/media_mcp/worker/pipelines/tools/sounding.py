"""The sound of a video, as video carries it."""

from __future__ import annotations

from media_mcp.worker.pipelines.tools.clips import Clip
from media_mcp.worker.pipelines.tools.tracks_io import RATE, Blocks, open_track, read


def sound_of(clip: Clip, start: float = 0.0, end: float | None = None) -> Blocks | None:
    """Return the sound of a clip between two moments (seconds); None for a silent one."""
    if not clip.has_sound:
        return None
    return read(open_track(clip.path), rate=RATE, channels=2, start=start, end=end)
