"""The catalog: what ships, overlays, names, and the choice of listed tools."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import TOOL_NAME, tool_name
from media_mcp.catalog.sources import shipped_folder
from media_mcp.errors import BadCard, NotFound


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


def test_the_shipped_catalog_holds_sketch_and_a_rehearsal_of_every_kind(catalog: Catalog) -> None:
    assert catalog.get("sketch").featured
    kinds = {output.kind for model in catalog for output in model.outputs}
    assert {"image", "video", "audio", "text"} <= kinds


def test_models_come_in_a_fixed_order(catalog: Catalog) -> None:
    ids = [model.id for model in catalog]
    assert ids == sorted(ids)
    assert len(catalog) == len(ids)


def test_a_model_is_found_by_id_and_by_tool_name(catalog: Catalog) -> None:
    assert catalog.get("rehearsal/image") is catalog.get("rehearsal_image")


def test_an_unknown_model_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(NotFound) as caught:
        catalog.get("skecth")
    assert caught.value.message == "There is no model called 'skecth'."
    assert caught.value.hint == "Did you mean sketch?"


def test_a_name_like_no_other_points_at_find_models(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="find_models lists what there is"):
        catalog.get("zzzzzzzz")


def test_a_users_card_replaces_ours_by_id(tmp_path: Path) -> None:
    text = (shipped_folder() / "sketch.yaml").read_text().replace("title: Sketch", "title: Mine")
    (tmp_path / "mine.yaml").write_text(text)
    catalog = Catalog.load([tmp_path])
    assert catalog.get("sketch").title == "Mine"
    assert len(catalog) == len(Catalog.load())


def test_our_own_folder_given_as_an_overlay_is_read_once() -> None:
    assert len(Catalog.load([shipped_folder()])) == len(Catalog.load())


def test_two_models_cannot_share_a_tool_name(catalog: Catalog) -> None:
    sketch = catalog.get("sketch")
    with pytest.raises(BadCard, match="share the tool name sketch"):
        Catalog([sketch, replace(sketch, id="other")])


@pytest.mark.parametrize(
    ("tools", "ids"),
    [
        ("sketch, rehearsal/video", ["rehearsal/video", "sketch"]),
        ("rehearsal_music", ["rehearsal/music"]),
        ("", []),
    ],
)
def test_listed_tools_are_chosen_by_word(catalog: Catalog, tools: str, ids: list[str]) -> None:
    assert [model.id for model in catalog.select(tools)] == ids


def test_tasks_and_names_can_be_mixed(catalog: Catalog) -> None:
    chosen = catalog.select("text-to-video,sketch")
    assert {head.task for head in chosen if head.id != "sketch"} == {"text-to-video"}
    assert "sketch" in {head.id for head in chosen}


def test_the_featured_are_few_and_for_many_tasks(catalog: Catalog) -> None:
    featured = catalog.select("featured")
    assert "sketch" in {head.id for head in featured}
    assert len(featured) <= 11  # with the general tools: 20
    assert len({head.task for head in featured}) >= 8


def test_all_tools_can_be_listed(catalog: Catalog) -> None:
    assert len(catalog.select("all")) == len(catalog) >= 1575


def test_a_wrong_word_in_the_choice_is_an_error(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="no model called 'sketsh'"):
        catalog.select("sketsh")


@pytest.mark.parametrize(
    ("model_id", "name"),
    [
        ("fal-ai/flux/dev", "flux_dev"),
        ("3d/thing", "m_3d_thing"),
        ("Äpfel", "pfel"),
        ("a" * 60, "a" * 40 + "_8d8f"),
        ("x" * 44 + "/y", "x" * 40 + "_ad6c"),
    ],
)
def test_tool_names_are_safe_for_every_client(model_id: str, name: str) -> None:
    assert tool_name(model_id) == name
    assert TOOL_NAME.match(name)


def test_a_name_that_gives_way_is_numbered() -> None:
    assert tool_name("fal-ai/flux/dev", numbered=True).startswith("flux_dev_")


def test_every_description_says_what_it_is_in_at_most_50_words(catalog: Catalog) -> None:
    for model in catalog:
        assert len(model.description.split()) <= 50, model.id
        assert re.search(r"[a-z]", model.description)
