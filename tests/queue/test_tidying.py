"""What an attempt leaves in its folder is removed, small things at once."""

from pathlib import Path

import pytest

from media_mcp.queue import attempt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "job-1"
    made.mkdir()
    return made


def test_a_few_small_files_are_removed_at_once(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"x")
    (folder / "b.png").write_bytes(b"x")
    assert attempt.removed_at_once(folder)
    assert not folder.exists()


@pytest.mark.parametrize("what", ["many", "large", "nested"])
def test_more_than_that_is_left_to_a_thread(folder: Path, what: str) -> None:
    if what == "many":
        for number in range(attempt.FEW + 1):
            (folder / str(number)).touch()
    elif what == "large":
        (folder / "clip.mp4").write_bytes(bytes(attempt.SMALL + 1))
    else:
        (folder / "inner").mkdir()
    assert not attempt.removed_at_once(folder)
    attempt.remove_folder(folder)
    assert not folder.exists()


def test_what_a_link_points_at_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (folder / "link").symlink_to(tmp_path / "precious")
    assert not attempt.removed_at_once(folder)
    attempt.remove_folder(folder)
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    assert not attempt.removed_at_once(tmp_path / "gone")
    attempt.remove_folder(tmp_path / "gone")
