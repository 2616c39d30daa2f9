"""Obeys the speed settings that a job came with: `media_mcp.speed` says which there are.

`resident_part` tells weights apart that are loaded differently, `planned` says what they take, a
`Loader` works when they are loaded, `applied` around each run.
"""

from media_mcp.worker.speed.loading import Loader, planned, resident_part
from media_mcp.worker.speed.running import applied
from media_mcp.worker.speed.wishes import Wish, denoisers, is_compiled, is_fused, wish_of

__all__ = [
    "Loader",
    "Wish",
    "applied",
    "denoisers",
    "is_compiled",
    "is_fused",
    "planned",
    "resident_part",
    "wish_of",
]
