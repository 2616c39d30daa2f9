"""What the hostile corpus shares: a store, inputs, and a server that must go on answering."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from media_mcp.media import Inputs, MediaStore
from storagekit import Served, serving


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "store")


@pytest.fixture
def inputs(store: MediaStore) -> Callable[..., Inputs]:
    """Make inputs over the store; nothing may be read unless a test says so."""

    def make(**more: Any) -> Inputs:
        given: dict[str, Any] = {"roots": [], "max_bytes": 2_000_000, "allow_private": False}
        return Inputs(store, **(given | more))

    return make


@pytest.fixture
async def served(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Served]:
    """The queue API on a real socket; after the test it must still answer."""
    async with serving(tmp_path / "data", max_input_bytes=100_000) as place:
        yield place
        answer = await place.http.post("/run/poem", json={"prompt": "still there?"})
        assert answer.status_code == 200


def kept(store: MediaStore) -> list[Path]:
    """All files that a store holds."""
    return [p for p in store.folder.rglob("*") if p.is_file() and p.name != ".lock"]
