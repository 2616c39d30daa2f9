"""`key=value` words become arguments by the types of the card."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from media_mcp.catalog.model import Model, OutputSpec, Param
from media_mcp.cli.values import arguments_of
from media_mcp.errors import BadInput, InvalidArguments
from media_mcp.job import MediaKind, Route

MODEL = Model(
    id="m",
    tool="m",
    title="M",
    description="",
    task="text-to-image",
    licence="MIT",
    inputs=(
        Param("prompt", "string", ""),
        Param("steps", "integer", ""),
        Param("guidance", "number", ""),
        Param("loud", "boolean", ""),
        Param("tags", "array", "", items=Param("", "string")),
        Param("more", "object", ""),
        Param("image", "string", "", media=MediaKind.IMAGE),
        Param("images", "array", items=Param("", "string"), media=MediaKind.IMAGE),
    ),
    outputs=(OutputSpec("images", MediaKind.IMAGE, "image/png"),),
    routes=(Route("rehearsal"),),
)


def read(*pairs: str) -> dict[str, object]:
    return arguments_of(MODEL, pairs)


def test_text_stays_text_even_if_it_looks_like_a_number():
    assert read("prompt=12", 'prompt2={"a": 1}') == {"prompt": "12", "prompt2": '{"a": 1}'}


def test_a_value_may_hold_equals_signs_and_be_empty():
    assert read("prompt=a=b=c") == {"prompt": "a=b=c"}
    assert read("prompt=") == {"prompt": ""}


def test_typed_values_are_read_as_json():
    assert read("steps=4", "guidance=2.5", "loud=true", 'more={"a": [1]}') == {
        "steps": 4,
        "guidance": 2.5,
        "loud": True,
        "more": {"a": [1]},
    }


def test_what_is_not_json_stays_text_for_the_schema_to_judge():
    assert read("steps=many", f"guidance={'[' * 100_000}")["steps"] == "many"


def test_an_array_is_json_or_its_items_one_by_one():
    assert read('tags=["a", "b"]') == {"tags": ["a", "b"]}
    assert read("tags=a", "tags=b", 'tags=["c"]') == {"tags": ["a", "b", "c"]}


def test_a_path_of_media_is_relative_to_the_working_folder(place: Path):
    path = str(place / "photos" / "a.png")
    assert read("image=photos/a.png") == {"image": path}
    assert read("images=photos/a.png", "images=b.png") == {"images": [path, str(place / "b.png")]}
    assert read("images=[5]") == {"images": [5]}


@pytest.mark.parametrize(
    "address", ["https://example.org/a.png", "media://ab.png", "data:image/png;base64,AA==", ""]
)
def test_an_address_of_media_is_left_as_it_is(address: str):
    assert read(f"image={address}") == {"image": address}


def test_an_at_sign_reads_a_file(place: Path):
    (place / "prompt.txt").write_text("a red boat\n")
    assert read("prompt=@prompt.txt") == {"prompt": "a red boat"}


def test_a_file_may_hold_json(place: Path):
    (place / "steps.json").write_text("7\n")
    assert read("steps=@steps.json") == {"steps": 7}


def test_two_at_signs_mean_one():
    assert read("prompt=@@home") == {"prompt": "@home"}


def test_an_at_sign_and_a_dash_read_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("from the pipe\n"))
    assert read("prompt=@-") == {"prompt": "from the pipe"}


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(BadInput, match=r"prompt: nowhere.txt cannot be read: No such file") as told:
        read("prompt=@nowhere.txt")
    assert "@@ begins a value that starts with @" in told.value.hint


def test_a_file_that_is_not_text_is_named(place: Path):
    (place / "noise").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(BadInput, match=r"prompt: noise cannot be read: it is not UTF-8 text"):
        read("prompt=@noise")


@pytest.mark.parametrize("word", ["red", "=red", ""])
def test_a_word_without_a_key_says_how_to_write_one(word: str):
    with pytest.raises(BadInput, match="is not an argument of a model") as told:
        read(word)
    assert 'prompt="a red boat" seed=11' in told.value.hint


def test_a_key_given_twice_is_refused():
    with pytest.raises(InvalidArguments, match="prompt: is given twice"):
        read("prompt=a", "prompt=b")
    with pytest.raises(InvalidArguments, match="unknown: is given twice"):
        read("unknown=a", "unknown=b")
