"""Settings: which source wins, and what is said of a wrong value."""

from pathlib import Path

import pytest

from media_mcp.errors import BadSettings
from media_mcp.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def test_the_data_folder_follows_the_xdg_rules(nowhere: Path) -> None:
    assert load_settings().data_dir == nowhere / "data" / "media-mcp"


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "media-mcp.toml").write_text('wait = 1\ntools = "all"\nattempts = 2\n')
    monkeypatch.setenv("MEDIA_MCP_WAIT", "2")
    monkeypatch.setenv("MEDIA_MCP_TOOLS", "sketch")
    settings = load_settings(wait=3.0)
    assert (settings.wait, settings.tools, settings.attempts) == (3.0, "sketch", 2)


def test_a_flag_that_was_not_given_leaves_the_rest_as_it_is() -> None:
    assert load_settings(wait=None).wait == Settings().wait


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wait = -1", "Setting wait: Input should be greater than or equal to 0 (given: -1)."),
        ("wiat = 5", "Setting wiat: Extra inputs are not permitted"),
        ("attempts = 'x'", "Setting attempts:"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_where_to_set_it(
    nowhere: Path, text: str, words: str
) -> None:
    (nowhere / "media-mcp.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in caught.value.message
    assert "media-mcp.toml" in caught.value.hint
    assert "MEDIA_MCP_" in caught.value.hint


def test_a_file_that_is_no_toml_is_told(nowhere: Path) -> None:
    (nowhere / "media-mcp.toml").write_text("wait = = 5")
    with pytest.raises(BadSettings, match=r"media-mcp.toml cannot be read: .* Mend the file"):
        load_settings()
