"""Faults of an input: where they are, of which type, with which bound, in the words of the wire."""

from __future__ import annotations

import pytest

from media_mcp.catalog.model import Model, Param
from media_mcp.catalog.validate import complete
from media_mcp.errors import InvalidArguments, Problem
from media_mcp.job import JSON, MediaKind, Route
from media_mcp.server.queue_api.faults import of_media, of_problems, shortened

MODEL = Model(
    id="a/b",
    tool="b",
    title="B",
    description="Draws.",
    task="text-to-image",
    licence="MIT",
    inputs=(
        Param("prompt", "string", required=True, min_length=2, max_length=5),
        Param("steps", "integer", minimum=1, maximum=50),
        Param("guidance", "number", exclusive_minimum=0, exclusive_maximum=20),
        Param("width", "integer", multiple_of=8),
        Param("format", "string", enum=("png", "jpeg")),
        Param("safe", "boolean"),
        Param("image_url", "string", media=MediaKind.IMAGE),
        Param("clip_url", "string", media=MediaKind.VIDEO),
        Param("archive_url", "string", media=MediaKind.FILE),
        Param("size", "string", form="size", enum=("square",), maximum=2000, minimum=1),
        Param("tags", "array", items=Param("", "string"), min_items=1, max_items=2),
        Param(
            "loras",
            "array",
            items=Param(
                "", "object", properties=(Param("path", "string", required=True, min_length=1),)
            ),
        ),
    ),
    outputs=(),
    routes=(),
)
PLAIN = Route("fal")


def entries(given: dict[str, JSON], route: Route = PLAIN) -> list[dict[str, JSON]]:
    """Return what is told of arguments, which must be wrong."""
    with pytest.raises(InvalidArguments) as caught:
        complete(MODEL, given)
    return of_problems(caught.value.problems, MODEL, route, given)


@pytest.mark.parametrize(
    ("given", "place", "kind", "ctx"),
    [
        ({"prompt": 3}, ["prompt"], "string_type", None),
        ({"prompt": "a"}, ["prompt"], "sequence_too_short", {"min_length": 2}),
        ({"prompt": "abcdef"}, ["prompt"], "sequence_too_long", {"max_length": 5}),
        ({"steps": "x"}, ["steps"], "int_type", None),
        ({"steps": True}, ["steps"], "int_type", None),
        ({"steps": 0}, ["steps"], "greater_than_equal", {"ge": 1}),
        ({"steps": 51}, ["steps"], "less_than_equal", {"le": 50}),
        ({"guidance": "x"}, ["guidance"], "float_type", None),
        ({"guidance": 0}, ["guidance"], "greater_than", {"gt": 0}),
        ({"guidance": 20.0}, ["guidance"], "less_than", {"lt": 20}),
        ({"width": 9}, ["width"], "multiple_of", {"multiple_of": 8}),
        ({"format": "gif"}, ["format"], "one_of", {"expected": ["png", "jpeg"]}),
        ({"safe": 1}, ["safe"], "bool_type", None),
        ({"size": "9999x1"}, ["size"], "value_error", None),
        ({"tags": "x"}, ["tags"], "list_type", None),
        ({"tags": []}, ["tags"], "sequence_too_short", {"min_length": 1}),
        ({"tags": ["a", "b", "c"]}, ["tags"], "sequence_too_long", {"max_length": 2}),
        ({"tags": ["a", 4]}, ["tags", 1], "string_type", None),
        ({"loras": [3]}, ["loras", 0], "dict_type", None),
        ({"loras": [{"path": ""}]}, ["loras", 0, "path"], "sequence_too_short", {"min_length": 1}),
        ({"colour": "red"}, ["colour"], "extra_forbidden", None),
    ],
)
def test_a_fault_has_its_place_type_and_bound(
    given: dict[str, JSON], place: list[str | int], kind: str, ctx: dict[str, JSON] | None
) -> None:
    (entry,) = entries({"prompt": "abc"} | given)
    assert (entry["loc"], entry["type"], entry.get("ctx")) == (["body", *place], kind, ctx)
    assert entry["url"] == f"https://docs.fal.ai/errors/#{kind}"
    assert entry["msg"]


def test_a_missing_member_shows_the_object_that_lacks_it() -> None:
    (whole,) = entries({"steps": 3})
    assert (whole["loc"], whole["type"], whole["input"]) == (
        ["body", "prompt"],
        "missing",
        {"steps": 3},
    )
    (part,) = entries({"prompt": "abc", "loras": [{}]})
    assert (part["loc"], part["input"]) == (["body", "loras", 0, "path"], {})


def test_a_fault_of_the_body_as_a_whole_stands_at_the_body() -> None:
    (entry,) = entries({"prompt": float("nan")})
    assert (entry["loc"], entry["type"], entry["input"]) == (["body"], "value_error", None)
    assert entry["msg"].startswith("arguments are not plain JSON")
    (nameless,) = of_problems([Problem("", "is odd.")], MODEL, PLAIN, {"": 1})
    assert nameless["loc"] == ["body"]


def test_a_fault_stands_where_the_route_has_it_in_the_body() -> None:
    route = Route("fal", {"map": {"steps": "num_steps", "guidance": {"to": "cfg"}, "width": None}})
    given = {"prompt": "abc", "steps": 0, "guidance": 30, "width": 9}
    places = [entry["loc"][1] for entry in entries(given, route)]
    assert sorted(places) == ["cfg", "num_steps", "width"]


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("image_url", "data:,x", "image_load_error"),
        ("clip_url", "data:,x", "unsupported_video_format"),
        ("archive_url", "data:,x", "file_download_error"),
        ("image_url", "https://example.com/gone.png", "file_download_error"),
    ],
)
def test_media_that_cannot_be_used_are_told_by_their_kind(name: str, value: str, kind: str) -> None:
    (entry,) = of_media(f"{name}: It is broken.", MODEL, PLAIN, {name: value})
    assert (entry["loc"], entry["msg"], entry["type"]) == (["body", name], "It is broken.", kind)


def test_media_of_no_known_place_are_told_all_the_same() -> None:
    (entry,) = of_media("The media could not be fetched.", MODEL, PLAIN, {})
    assert (entry["loc"], entry["type"]) == (["body"], "file_download_error")


def test_what_is_sent_back_is_cut_short() -> None:
    deep: JSON = "x"
    for _ in range(50):
        deep = [deep]
    given = {"prompt": "y" * 5000, "tags": ["z"] * 90, "deep": deep, "n": 1.5, "k" * 300: None}
    cut = shortened(given)
    assert (len(cut["prompt"]), len(cut["tags"]), cut["n"]) == (300, 20, 1.5)
    assert "…" in str(cut["deep"]) and max(len(name) for name in cut) == 100
