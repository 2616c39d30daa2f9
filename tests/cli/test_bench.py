"""`media-mcp bench`: settings side by side on this machine, and what it writes when asked."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from media_mcp.cli.bench import Row, best, told
from media_mcp.cli.benchplot import plot
from media_mcp.cli.tomlfile import write_speed
from media_mcp.errors import BadSettings
from media_mcp.job import Asset, MediaKind
from media_mcp.media.decoding.likeness import Likeness, compare
from media_mcp.settings import load_settings, speed_of
from media_mcp.speed import Choice, parsed


def test_settings_of_sketch_are_measured_and_the_best_allowed_is_written(
    cli: Callable[..., Any], place: Path
) -> None:
    (place / "media-mcp.toml").write_text("# mine\nwait = 9  # seconds\n")
    words = ["size=64", "steps=2", "--settings", "attention=math,cache=mag", "--repeat", "1"]
    ended = cli("bench", "sketch", *words, "--write", "--plot", "p.svg")
    assert ended.code == 1  # since one of them cannot be had
    head, exact, math, mag = ended.out.splitlines()
    assert head.split()[:6] == ["SETTING", "SECONDS", "FASTER", "FIRST", "LOAD", "MEMORY"]
    assert exact.split()[:4:2] == ["exact", "1.00"]
    assert float(exact.split()[1]) > 0
    assert exact.split()[-2:] == ["-", "nothing"]
    assert math.startswith("attention=math ")
    assert math.endswith(" nothing")
    assert mag.split()[:2] == ["cache=mag", "failed"]
    assert "cache = mag cannot be had: PRXPixelPipeline cannot have it." in mag
    assert "Written to media-mcp.toml: speed = " in ended.err
    text = (place / "media-mcp.toml").read_text()
    assert text.startswith("# mine\nwait = 9  # seconds\n") and "speed" in text
    assert load_settings().wait == 9
    labels = [node.text for node in ElementTree.parse(place / "p.svg").iter() if node.text]
    assert {"exact", "attention=math"} <= set(labels)
    assert "cache=mag" not in labels


def test_a_row_is_told_to_programs_in_numbers() -> None:
    exact = Row("exact", [2.0, 4.0, 3.0], first=9.0, load=1.5, peak=10**9)
    fast = Row("fast", [1.0], changes=("fp8",), likeness=Likeness(0.1, 0.001))
    assert told(exact, exact)["same"] is True
    assert told(fast, exact) == {
        "setting": "fast",
        "seconds": 1.0,
        "times_faster": 3.0,
        "first_seconds": 0.0,
        "load_seconds": 0.0,
        "peak_memory_bytes": 0,
        "same": False,
        "psnr_db": 30.0,
        "largest_difference": 0.1,
        "changed_by": ["fp8"],
    }
    assert told(Row("mag", error="No."), exact) == {"setting": "mag", "error": "No."}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["skech"], 2, "Did you mean sketch?"),
        (["sketch", "--settings", "fsat"], 2, "Did you mean fast?"),
        (["sketch", "--settings", "cache=x"], 2, "Speed 'cache=x': cache cannot be 'x'."),
        (["sketch", "--repeat", "0"], 2, "--repeat"),
        (["sketch", "stepz=3"], 2, "stepz"),
        (["rehearsal/image"], 2, "rehearsal/image has no speed settings: none of its routes runs"),
    ],
)
def test_what_is_mistyped_is_told(
    cli: Callable[..., Any], words: list[str], code: int, said: str
) -> None:
    ended = cli("bench", *words)
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_model_whose_weights_are_not_here_says_what_to_do(cli: Callable[..., Any]) -> None:
    ended = cli("bench", "local/sdxl", "--settings", "exact")
    assert ended.code == 3
    assert "media-mcp pull local/sdxl" in ended.err


def rows(*seconds: float, changes: tuple[str, ...] = ()) -> list[Row]:
    """Make rows of which only the last changes results."""
    made = [
        Row(str(number), [one]) if one else Row(str(number)) for number, one in enumerate(seconds)
    ]
    made[-1].changes = changes
    return made


CHOICES = [parsed(text) for text in ("exact", "attention=math", "fast")]


@pytest.mark.parametrize(
    ("seconds", "lossy", "chosen"),
    [
        ((4.0, 2.0, 1.0), False, "attention=math"),
        ((4.0, 2.0, 1.0), True, "fast"),
        ((4.0, 3.95, 5.0), True, "exact"),
        ((4.0, 0, 5.0), True, "exact"),
    ],
)
def test_what_changes_results_is_only_written_if_it_was_named(
    seconds: tuple[float, ...], lossy: bool, chosen: str
) -> None:
    measured = rows(*seconds, changes=("first_block 0.08",))
    assert str(best(CHOICES, measured, lossy=lossy)) == chosen


# The file


@pytest.mark.parametrize(
    "before",
    [
        "",
        'speed = "turbo"  # fast\n',
        '[speed]\nbundle = "fast"\n[projects.films]\noffline = true # ours\n',
        'wait = 3\n[projects.films]\nspeed = "exact"\n',
    ],
)
@pytest.mark.parametrize("setting", ["fast", "cache=first_block 0.1", "exact+compile=false"])
@pytest.mark.parametrize("project", ["default", "films"])
def test_what_is_written_is_what_is_read(
    place: Path, before: str, setting: str, project: str
) -> None:
    (place / "media-mcp.toml").write_text(before)
    write_speed(Path("media-mcp.toml"), parsed(setting), project)
    table = load_settings().projects.get(project) if project == "films" else load_settings()
    assert table is not None
    assert table.speed == parsed(setting)
    assert ("# ours" in before) == ("# ours" in (place / "media-mcp.toml").read_text())


def test_of_a_projects_table_nothing_else_is_changed(place: Path) -> None:
    (place / "media-mcp.toml").write_text('[projects.films]\nprefer = "local"  # always\n')
    write_speed(Path("media-mcp.toml"), Choice("fast"), "films")
    assert 'prefer = "local"  # always' in (place / "media-mcp.toml").read_text()
    assert speed_of(load_settings(), "films") == Choice("fast")


def test_a_file_that_is_no_toml_is_left_alone(place: Path) -> None:
    (place / "media-mcp.toml").write_text("speed = = 1")
    with pytest.raises(BadSettings, match=r"media-mcp.toml cannot be changed"):
        write_speed(Path("media-mcp.toml"), Choice("fast"))
    assert (place / "media-mcp.toml").read_text() == "speed = = 1"


# Likeness


def picture(path: Path, size: tuple[int, int] = (8, 8), change: int = 0) -> Asset:
    image = Image.new("RGB", size, (100, 100, 100))
    image.putpixel((0, 0), (100 + change, 100, 100))
    image.save(path)
    digest = f"{change:064x}"
    kind, mime = MediaKind.IMAGE, "image/png"
    return Asset(f"media://{digest}.png", path, kind, mime, path.stat().st_size, *size)


def test_the_difference_of_two_pictures_is_told_in_numbers(tmp_path: Path) -> None:
    one, other = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", change=51)
    found = compare([one], [other])
    assert found is not None
    assert found.most == pytest.approx(0.2)
    assert found.mean_square == pytest.approx(0.04 / (8 * 8 * 3))
    assert found.psnr == pytest.approx(36.8, abs=0.1)
    same = compare([one], [one])
    assert same is not None
    assert (same.same, same.psnr) == (True, inf)


def test_pictures_of_two_sizes_cannot_be_compared(tmp_path: Path) -> None:
    one, other = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", (4, 4), change=1)
    assert compare([one], [other]) is None
    assert compare([one], []) is None


def test_a_plot_is_well_formed_whatever_a_setting_is_called() -> None:
    drawn = plot("a & b", [("<exact>", 1.0, 10**9), ("fast", 0.0, 0)])
    assert "&lt;exact&gt;" in drawn
    ElementTree.fromstring(drawn)
