"""Opening the rooms: which folders may be read, and what is said when they cannot be opened."""

from pathlib import Path

import pytest

from media_mcp.errors import BadCard, StorageFailed
from media_mcp.server.app import open_app, working_root
from media_mcp.settings import load_settings

pytestmark = pytest.mark.anyio


async def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = load_settings(data_dir=tmp_path / "file" / "data", catalog_dirs=[])
    with pytest.raises(StorageFailed, match=r"cannot be made: .*--data-dir"):
        async with open_app(settings):
            pass


async def test_a_wrong_card_of_the_user_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("id: x\n")
    settings = load_settings(data_dir=tmp_path / "data", catalog_dirs=[tmp_path])
    with pytest.raises(BadCard, match=r"bad.yaml:1: .*: Field required"):
        async with open_app(settings):
            pass


def test_the_working_folder_is_a_root_but_not_the_home_or_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert working_root() == [tmp_path]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert working_root() == []
    monkeypatch.chdir("/")
    assert working_root() == []
