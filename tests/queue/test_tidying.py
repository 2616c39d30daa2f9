"""What an attempt leaves in its folder is removed, small things at once."""

from pathlib import Path

import pytest

from media_mcp.backends.base import Run
from media_mcp.job import Result
from media_mcp.queue import folder as work


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "job-1"
    made.mkdir()
    return made


def test_a_few_small_files_are_removed_at_once(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"x")
    (folder / "b.png").write_bytes(b"x")
    assert work.removed_at_once(folder)
    assert not folder.exists()


@pytest.mark.parametrize("what", ["many", "large", "nested"])
def test_more_than_that_is_left_to_a_thread(folder: Path, what: str) -> None:
    if what == "many":
        for number in range(work.FEW + 1):
            (folder / str(number)).touch()
    elif what == "large":
        (folder / "clip.mp4").write_bytes(bytes(work.SMALL + 1))
    else:
        (folder / "inner").mkdir()
    assert not work.removed_at_once(folder)
    work.remove_folder(folder)
    assert not folder.exists()


def test_what_a_link_points_at_stays(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (folder / "link").symlink_to(tmp_path / "precious")
    assert not work.removed_at_once(folder)
    work.remove_folder(folder)
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    assert not work.removed_at_once(tmp_path / "gone")
    work.remove_folder(tmp_path / "gone")


async def test_an_attempt_that_writes_no_file_has_no_folder_made(house, tools, ann) -> None:
    backend = house.backend()
    seen = []

    async def say(run: Run) -> Result:
        seen.append(run)
        return Result((), {"said": "x"})

    backend.script = say
    async with house.queue(backend) as queue:
        submitted = await queue.submit(tools.call())
        job = await queue.wait(submitted.job.id, ann, 10)
    assert job.facts == {"said": "x"}
    assert not (house.folder / "work").exists()
    assert not seen[0].folder.exists()  # nor is it made once the attempt is over
