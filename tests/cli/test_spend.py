"""`media-mcp spend`, over jobs that were paid for."""

import json
import xml.etree.ElementTree as ET

import pytest

from media_mcp.cli.spend import svg


@pytest.fixture
def made(cli):
    """One job that ran, on the data folder of the commands."""
    cli("run", "rehearsal/image", "prompt=x", "width=64", "height=64", "--json")


def test_what_was_spent_is_shown_by_day_model_and_route(cli, made):
    said = cli("spend").out
    assert "spent  $0.00" in said
    for word in ("DAY", "MODEL", "ROUTE", "rehearsal/image"):
        assert word in said


def test_as_json_it_is_what_the_queue_knows(cli, made):
    told = json.loads(cli("spend", "--json").out)
    assert told["by_model"]["rehearsal/image"]["jobs"] == 1
    assert told["left"] == {}


def test_the_plot_is_a_picture(cli, made, tmp_path):
    cli("spend", "--plot", str(tmp_path / "spend.svg"))
    root = ET.parse(tmp_path / "spend.svg").getroot()
    assert "rehearsal/image" in [
        text.text for text in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def test_a_plot_that_cannot_be_written_is_told(cli, made, tmp_path):
    answer = cli("spend", "--plot", str(tmp_path / "no" / "spend.svg"))
    assert answer.code == 3
    assert "The plot cannot be written to" in answer.err
    assert "Name another file." in answer.err


def test_bars_are_as_long_as_what_they_stand_for():
    rows = {"a": {"cost": 2.0}, "b": {"cost": 1.0}}
    drawn = svg({"by_day": {}, "by_model": rows, "by_route": {}})
    bars = [
        float(rect.get("width"))
        for rect in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}rect")
        if rect.get("fill") == "#2f6fdf"
    ]
    assert bars[0] == pytest.approx(2 * bars[1], abs=0.1)


def test_names_cannot_add_to_the_picture():
    rows = {"<script>alert(1)</script>": {"cost": 1.0}}
    assert "<script>" not in svg({"by_day": {}, "by_model": rows, "by_route": {}})


def test_names_that_are_too_long_keep_the_end_that_tells_them_apart():
    row = {"cost": 1.0, "gpu_seconds": 0.0, "seconds": 1.0, "jobs": 1}
    names = [f"fal-ai/a-family/with/a-long-name/v3/pro/{end}" for end in ("image", "text")]
    drawn = svg({"by_day": {}, "by_model": dict.fromkeys(names, row), "by_route": {}})
    assert "/v3/pro/image</text>" in drawn and "/v3/pro/text</text>" in drawn
    assert "Day" not in drawn


def test_a_plot_of_nothing_says_so():
    assert "there are no jobs" in svg({"by_day": {}, "by_model": {}, "by_route": {}})
