"""What a check of the doctor's found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `vital`: nothing works without it. `fix` mends what is not ok."""

    name: str
    ok: bool
    words: str
    fix: str = ""
    vital: bool = False
