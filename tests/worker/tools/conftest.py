"""A bench to use tools on, and tiny media: made once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit import Bench, make_clip, make_picture, make_tone


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips (four colours for half a second each, under 440 Hz), sound, pictures."""
    folder = tmp_path_factory.mktemp("media")
    make_clip(folder / "clip.mp4")
    make_clip(folder / "silent.mp4", hertz=None)
    make_clip(folder / "wide.webm", each=10, size=(96, 32), fps=20, codec="libvpx-vp9", hertz=660)
    make_tone(folder / "tone.wav")
    make_picture(folder / "red.png")
    make_picture(folder / "glass.png", (0, 0, 255, 128), (20, 10))
    return folder


@pytest.fixture(scope="session")
def clip(media: Path) -> Path:
    return media / "clip.mp4"
