"""The compiled catalog: what is written is what is read, once for each state of the files."""

import sqlite3
from dataclasses import fields, replace
from pathlib import Path

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.codec import dump_head, dumps, load_head, load_model
from media_mcp.catalog.describe import head_of
from media_mcp.catalog.index import Index
from media_mcp.catalog.model import Model
from media_mcp.catalog.sources import KEPT, fingerprint, open_index, shipped_folder
from media_mcp.errors import BadCard

CARD = """\
id: me/mine
title: Mine
task: text-to-image
licence: MIT
description: For a test.
inputs:
  prompt: {type: string, required: true, description: What to draw.}
outputs:
  images: {kind: image, mime_type: image/png}
routes: [{backend: rehearsal}]
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def same(one: Model, other: Model) -> bool:
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Model))


def test_every_model_and_head_is_read_as_it_was_written(catalog: Catalog) -> None:
    for model in catalog:
        assert same(load_model(dumps(model)), model), model.id
        head = head_of(model)
        assert load_head(dump_head(head)) == head


def test_false_and_zero_are_kept_apart(catalog: Catalog) -> None:
    model = catalog.get("sketch")
    switch = replace(model.inputs[0], name="switch", type="boolean", default=False)
    number = replace(model.inputs[0], name="number", type="integer", default=0)
    read = load_model(dumps(replace(model, inputs=(switch, number))))
    assert [type(param.default) for param in read.inputs] == [bool, int]


def test_a_second_start_reads_what_the_first_compiled(cache: Path) -> None:
    open_index([], cache).close()
    (compiled,) = cache.glob("catalog-*.db")
    written = compiled.stat().st_mtime_ns
    open_index([], cache).close()
    assert compiled.stat().st_mtime_ns == written
    assert list(cache.glob("*")) == [compiled]


def test_a_changed_card_is_compiled_again(tmp_path: Path, cache: Path) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text(CARD)
    first = open_index([tmp_path], cache).model("me/mine")
    card.write_text(CARD.replace("title: Mine", "title: Changed"))
    second = open_index([tmp_path], cache).model("me/mine")
    assert (first and first.title, second and second.title) == ("Mine", "Changed")


def test_old_states_are_removed_from_the_cache(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    for number in range(KEPT + 3):
        (cache / f"catalog-{number}.db").touch()
    open_index([], cache).close()
    assert len(list(cache.glob("catalog-*.db"))) == KEPT


def test_a_damaged_file_is_compiled_again(cache: Path) -> None:
    open_index([], cache).close()
    (compiled,) = cache.glob("catalog-*.db")
    compiled.write_bytes(b"not a database, but long enough to be read as one" * 100)
    assert open_index([], cache).model("sketch")


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    index = open_index([], tmp_path / "file" / "cache")
    assert index.model("sketch")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.db").executescript(
        "CREATE TABLE facts (name TEXT, value TEXT); INSERT INTO facts VALUES ('format', '0')"
    )
    with pytest.raises(sqlite3.DatabaseError, match="another format"):
        Index.open(tmp_path / "other.db")


def test_where_our_own_folder_stands_does_not_count_but_a_users_does(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.yaml").write_text(CARD)
    one, two = tmp_path / "one", tmp_path / "two"
    assert fingerprint([one]) == fingerprint([two])
    ours = shipped_folder()
    assert fingerprint([ours, one]) != fingerprint([ours, two])


def test_a_card_that_cannot_be_read_names_the_file(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(BadCard, match=r"folder\.yaml cannot be read"):
        open_index([tmp_path], cache)


def test_our_own_cards_are_named_by_their_place_in_the_project(catalog: Catalog) -> None:
    assert catalog.get("sketch").source == "catalog/sketch.yaml"
    assert all(model.source.startswith("catalog/") for model in catalog)


def test_a_schema_is_read_without_its_model(catalog: Catalog) -> None:
    assert '"prompt"' in catalog.schema("sketch")
    assert catalog.schema("nothing") == ""


def test_the_backends_of_all_routes_are_known(catalog: Catalog) -> None:
    assert {"local", "fal", "rehearsal"} <= catalog.backends()


def test_an_endpoint_is_told_as_it_declares_itself_also_under_a_card(catalog: Catalog) -> None:
    carded = "fal-ai/kling-video/v2.5-turbo/pro/image-to-video"
    assert {p.name: p.type for p in catalog.get(carded).inputs}["duration"] == "integer"
    assert {p.name: p.type for p in catalog.endpoint(carded).inputs}["duration"] == "string"
    assert catalog.endpoint("sketch") is catalog.get("sketch")


def test_a_generated_model_gives_way_where_a_card_takes_its_tool_name(
    tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(CARD + "tool: aura_flow\n")
    index = open_index([tmp_path], cache)
    mine, theirs = index.model("me/mine"), index.model("fal-ai/aura-flow")
    assert mine and mine.tool == "aura_flow"
    assert theirs and theirs.tool.startswith("aura_flow_")


def test_a_place_that_runs_a_known_model_is_one_more_route(tmp_path: Path, cache: Path) -> None:
    lines = (shipped_folder() / "fal.jsonl").read_text().splitlines()
    known = next(line for line in lines if '"id":"fal-ai/flux/dev"' in line)
    (tmp_path / "gpu-box.jsonl").write_text(known[:-1] + ',"backend":"gpu-box"}\n')
    model = open_index([tmp_path], cache).model("fal-ai/flux/dev")
    assert model
    assert "gpu-box" in [route.backend for route in model.routes]
    assert {"fal", "local"} <= {route.backend for route in model.routes}


CHEAP = "id: fal-ai/flux/dev\nroutes: [{backend: fal, price: {amount: 0, unit: image}}]\n"
OTHER = "id: fal-ai/flux/dev\nroutes: [{backend: fal, spec: {set: {num_images: 4}}}]\n"


@pytest.mark.parametrize("card", [CHEAP, OTHER, "id: fal-ai/flux/dev\nspeed: instant\n"])
def test_what_came_with_a_folder_has_no_word_on_hosted_prices(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, card: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("catalog")
    folder.mkdir()
    (folder / "cheap.yaml").write_text(card)
    trusted = open_index([folder], cache).model("fal-ai/flux/dev")
    doubted = open_index([folder], cache, [folder]).model("fal-ai/flux/dev")
    assert trusted and doubted
    told = {route.backend: route.price for route in doubted.routes}
    assert told["fal"] is not None and told["fal"].certainty == "unknown"
    kept = {route.backend: route.price for route in trusted.routes}
    assert told.get("local") == kept.get("local")
    assert open_index([folder], cache, [folder]).model("fal-ai/flux/schnell").routes[0].price


def test_nor_have_its_lines_of_a_catalog(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("catalog")
    folder.mkdir()
    lines = (shipped_folder() / "fal.jsonl").read_text().splitlines()
    known = next(line for line in lines if '"id":"fal-ai/flux/dev"' in line)
    (folder / "fal.jsonl").write_text(f"{known.replace('fal-ai/flux/dev', 'me/free')}\n")
    assert open_index([folder], cache).model("me/free")
    assert open_index([folder], cache, [folder]).model("me/free") is None
