"""`media-mcp run`: from words to files."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

SMALL = ("prompt=a red boat", "width=64", "height=48", "seed=11")


def size_of(path: str | Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_the_result_is_one_json_object_when_piped(cli):
    ended = cli("run", "rehearsal/image", *SMALL)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["state"] == "succeeded"
    assert ended.json["seed"] == 11
    asset = ended.json["assets"][0]
    assert (asset["width"], asset["height"]) == (64, 48)
    assert size_of(asset["path"]) == (64, 48)


def test_facts_for_agents_only_are_left_out(cli):
    ended = cli("run", "rehearsal/image", *SMALL, "num_images=8", "--json")
    assert "next" not in ended.json and "assets_left_out" not in ended.json
    assert len(ended.json["assets"]) == 8


def test_a_tool_name_does_as_well_as_an_id(cli):
    assert cli("run", "rehearsal_image", *SMALL).json["model"] == "rehearsal/image"


def test_outputs_are_copied_under_readable_names(cli, place: Path):
    ended = cli("run", "rehearsal/image", *SMALL, "--out", "pictures")
    path = Path(ended.json["assets"][0]["path"])
    assert path.parent == place / "pictures"
    assert path.name.startswith("rehearsal-image-a-red-boat") and path.suffix == ".png"
    assert size_of(path) == (64, 48)


def test_the_same_file_is_not_copied_twice_and_no_other_is_overwritten(cli, place: Path):
    first = Path(cli("run", "rehearsal/image", *SMALL, "--out", "o").json["assets"][0]["path"])
    again = Path(cli("run", "rehearsal/image", *SMALL, "--out", "o").json["assets"][0]["path"])
    assert again == first
    first.write_bytes(b"mine")
    third = Path(cli("run", "rehearsal/image", *SMALL, "--out", "o").json["assets"][0]["path"])
    assert third.name == f"{first.stem}-2.png"
    assert first.read_bytes() == b"mine"


def test_a_folder_that_cannot_be_made_loses_nothing(cli, place: Path):
    (place / "file").touch()
    ended = cli("run", "rehearsal/image", *SMALL, "--out", "file/below")
    assert ended.code == 1
    assert "error: The outputs cannot be copied to file/below: Not a directory." in ended.err
    kept = Path(ended.err.partition("hint: They are kept: ")[2].strip())
    assert kept.is_file()


def test_a_media_argument_is_a_path_as_typed(cli, place: Path):
    Image.new("RGB", (32, 32), "red").save(place / "photo.png")
    ended = cli("run", "rehearsal/edit", "prompt=at night", "image_url=photo.png")
    assert (ended.code, ended.json["state"]) == (0, "succeeded")


def test_a_transcript_is_shown_in_full(cli, place: Path):
    voice = cli("run", "rehearsal/speech", "prompt=" + "many words " * 60, "--out", ".")
    ended = cli("run", "rehearsal/transcript", f"audio_url={voice.json['assets'][0]['path']}")
    assert ended.code == 0
    assert ended.json["text"]


def test_lines_for_each_step_are_on_stderr_when_asked_for(cli, monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_SECONDS", "0.2")
    ended = cli("run", "rehearsal/image", *SMALL, "--verbose")
    assert "rehearsal/image: running, step 1 of 10\n" in ended.err
    assert ended.err.count("step 10 of 10") <= 2
    assert ended.json["state"] == "succeeded"


def test_any_model_can_be_rehearsed(cli):
    ended = cli("run", "sketch", "prompt=a red boat", "--rehearse")
    assert (ended.code, ended.json["route"]) == (0, "rehearsal")


def test_a_job_that_fails_ends_with_1_and_its_words(cli, monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_REHEARSE_FAILURE", "out_of_memory")
    ended = cli("run", "rehearsal/image", *SMALL)
    assert ended.code == 1
    assert ended.json["error"]["code"] == "out_of_memory"
    assert "error: The device ran out of memory" in ended.err and "hint: " in ended.err


def test_a_job_over_its_time_is_cancelled(cli, slow):
    ended = cli("run", *slow, "--timeout", "0.1")
    assert (ended.code, ended.json["state"]) == (1, "cancelled")
    assert f"error: Job {ended.json['job_id']} was cancelled: it took longer than" in ended.err


def test_ctrl_c_cancels_the_job_and_says_so(cli, child, slow):
    running = child("run", *slow, "--verbose")
    running.line_of_stderr("running")
    ended = running.end(signal.SIGINT)
    assert ended.code == 130
    job = json.loads(ended.out)
    assert f"Job {job['job_id']} was cancelled: interrupted" in ended.err
    assert cli("jobs", job["job_id"], "--json").json["state"] == "cancelled"


def test_a_call_that_is_under_way_is_joined_and_left_running(cli, child, slow):
    first = child("run", *slow, "--verbose")
    first.line_of_stderr("running")
    second = cli("run", *slow, "--timeout", "0.2")
    assert (second.code, second.json["joined"]) == (1, True)
    assert f"this is its job {second.json['job_id']}" in second.err
    assert "error: Stopped waiting: it took longer than --timeout." in second.err
    assert cli("jobs", second.json["job_id"], "--json").json["state"] == "running"
    assert first.end(signal.SIGTERM).code == 130


def test_fresh_makes_another_job(cli):
    one, two = (cli("run", "rehearsal/image", *SMALL, "--fresh") for _ in range(2))
    assert one.json["job_id"] != two.json["job_id"]


def test_an_unknown_model_gets_the_nearest_names(cli):
    ended = cli("run", "skech", "prompt=x")
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("error: There is no model called 'skech'.\nhint: Did you mean")
    assert "sketch" in ended.err


def test_a_wrong_argument_is_named_with_its_bound(cli):
    ended = cli("run", "rehearsal/image", "prompt=x", "width=9999", "hight=3")
    assert ended.code == 2
    assert "width" in ended.err and "4096" in ended.err
    assert "hight: is not an argument here. Did you mean height" in ended.err


def test_an_input_that_is_not_there_is_named(cli, place: Path):
    ended = cli("run", "rehearsal/edit", "prompt=x", "image_url=gone.png")
    assert ended.code == 2
    assert f"image_url: {place / 'gone.png'} cannot be opened" in ended.err


def test_a_backend_that_the_model_does_not_know_is_refused(cli):
    ended = cli("run", "rehearsal/image", *SMALL, "--backend", "moon")
    assert ended.code == 2
    assert "rehearsal/image has no route to 'moon'" in ended.err


def test_a_model_without_a_ready_route_says_what_is_missing(cli, card: Callable[..., Path]):
    card(route="{backend: moon}")
    ended = cli("run", "my/model", "prompt=x")
    assert ended.code == 3
    assert "my/model cannot run now (moon: not set up on this server)" in ended.err
    assert "hint: Run: media-mcp doctor" in ended.err


def test_a_bad_setting_is_named(cli, monkeypatch):
    monkeypatch.setenv("MEDIA_MCP_ATTEMPTS", "99")
    ended = cli("run", "rehearsal/image", *SMALL)
    assert ended.code == 3
    assert "error: Setting attempts" in ended.err and "MEDIA_MCP_ATTEMPTS" in ended.err


@pytest.mark.parametrize("words", [("run",), ("run", "sketch", "--timeout", "-1"), ("run", "--x")])
def test_wrong_use_ends_with_2_and_points_at_the_help(cli, words):
    ended = cli(*words)
    assert ended.code == 2
    assert ended.err.startswith("error: ") and "hint: See media-mcp run --help." in ended.err


def test_the_job_of_a_command_has_a_request_id_by_which_the_log_can_be_searched(cli) -> None:
    job = cli("run", "rehearsal/image", "prompt=x", "--json").json["job_id"]
    assert len(cli("jobs", job, "--json").json["request"]) == 32


DEAR = ("run", "sketch", "prompt=a red circle", "steps=2", "size=64")


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that costs so much that a picture by `sketch` needs consent."""
    monkeypatch.setenv("MEDIA_MCP_GPU_RATE", "100000")
    monkeypatch.setenv("MEDIA_MCP_CONFIRM_ABOVE", "0.001")


@pytest.mark.usefixtures("dear")
def test_a_dear_call_is_refused_with_the_words_to_add_where_nobody_sits(cli):
    ended = cli(*DEAR)
    assert ended.code == 4 and ended.out == ""
    assert "which confirm_above = 0.001 lets nobody spend unasked." in ended.err
    words = re.search(r"add (confirm_cost=[\w.]+) to the command", ended.err)
    assert words is not None
    assert cli(*DEAR, "confirm_cost=0.0001").code == 4
    assert cli(*DEAR, words[1]).code == 0


@pytest.mark.usefixtures("dear")
@pytest.mark.parametrize(("said", "code"), [(True, 0), (False, 4)])
def test_whoever_sits_at_the_terminal_is_asked(cli, monkeypatch, said: bool, code: int):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda words, **_: asked.append(words) or said)
    ended = cli(*DEAR)
    assert ended.code == code
    assert len(asked) == 1 and asked[0].endswith("lets nobody spend unasked. Go on?")
    assert ("Nothing was agreed to" in ended.err) is not said
