"""Search: the right model first, for names, wants, near spellings and filters."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.head import Head, Wish
from media_mcp.job import MediaKind, Price, Route


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


def found(catalog: Catalog, query: str, **filters: object) -> list[Head]:
    return [one.head for one in catalog.find(Wish(query, **filters))]  # type: ignore[arg-type]


def ids(heads: Sequence[Head]) -> list[str]:
    return [head.id for head in heads]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("sketch", "sketch"),
        ("sketh", "sketch"),
        ("draw a picture with shapes", "sketch"),
        ("rehearsal transcript", "rehearsal/transcript"),
        ("stand-in picture", "rehearsal/image"),
        ("rehearse a clip", "rehearsal/video"),
        ("placeholder voice", "rehearsal/speech"),
        ("a dummy edit", "rehearsal/edit"),
        ("FLUX.1 [schnell]", "fal-ai/flux/schnell"),
        ("fal-ai/kling-video/v3/pro/image-to-video", "fal-ai/kling-video/v3/pro/image-to-video"),
        ("nanobanana pro", "fal-ai/nano-banana-pro"),
        ("veo3.1 fast", "fal-ai/veo3.1/fast"),
        ("Wan 2.5 text to video", "fal-ai/wan-25-preview/text-to-video"),
    ],
)
def test_what_is_named_or_wanted_comes_first(catalog: Catalog, query: str, first: str) -> None:
    assert found(catalog, query)[0].id == first


@pytest.mark.parametrize(
    ("query", "right"),
    [
        ("elevnlabs", "elevenlabs"),
        ("bannana", "nano-banana"),
        ("huyuan", "hunyuan"),
        ("sedance", "seedance"),
        ("stabel difusion", "stable-diffusion"),
        ("quen image", "qwen-image"),
    ],
)
def test_a_slip_of_the_pen_finds_what_was_meant(catalog: Catalog, query: str, right: str) -> None:
    assert right in found(catalog, query)[0].id


@pytest.mark.parametrize(
    ("query", "task"),
    [
        ("turn a picture into a video", "image-to-video"),
        ("turn a video into text", "video-to-text"),
        ("vidoe from text", "text-to-video"),
        ("bild generieren", "text-to-image"),
        ("transcribe a recording", "speech-to-text"),
        ("train on my pictures", "training"),
        ("a voice that reads my text", "text-to-speech"),
    ],
)
def test_phrases_ask_for_tasks(catalog: Catalog, query: str, task: str) -> None:
    assert found(catalog, query)[0].task in (task, "vision" if "text" in task else task)


def test_versions_count_for_what_is_named(catalog: Catalog) -> None:
    assert "v2.6" in found(catalog, "kling 2.6")[0].id
    assert "v1.6" in found(catalog, "kling 1.6")[0].id
    assert all("kling" in head.id for head in found(catalog, "kling, 10 seconds, 16:9", limit=5))


def test_a_general_query_shows_several_families(catalog: Catalog) -> None:
    families = {head.family for head in found(catalog, "make a video", limit=5)}
    assert len(families) == 5


def test_a_named_family_may_fill_all_rows(catalog: Catalog) -> None:
    assert all("seedream" in head.id for head in found(catalog, "seedream", limit=5))


def test_retired_models_stand_behind_their_successors(catalog: Catalog) -> None:
    rows = found(catalog, "veo", limit=20)
    assert not rows[0].retired
    assert any(head.retired for head in rows)


def test_a_retired_model_is_still_found_by_its_name(catalog: Catalog) -> None:
    assert found(catalog, "sora 2")[0].id.startswith("fal-ai/sora-2")


def test_no_words_list_everything_with_a_featured_model_first(catalog: Catalog) -> None:
    rows = found(catalog, "", limit=5000)
    assert rows[0].featured
    assert len(rows) == len(catalog)
    assert "rehearsal" in rows[-1].backends


def test_words_that_fit_nothing_find_nothing(catalog: Catalog) -> None:
    assert found(catalog, "qqqq xxxx") == []
    assert found(catalog, "of the and") == []


def test_a_filter_that_leaves_only_other_models_gives_those(catalog: Catalog) -> None:
    rows = found(catalog, "nano banana", task="training", limit=3)
    assert [head.task for head in rows] == ["training"] * 3


def test_nonsense_finds_nothing_in_a_filter_either(catalog: Catalog) -> None:
    assert found(catalog, "qqqq xxxx", task="training") == []


def test_the_limit_holds(catalog: Catalog) -> None:
    assert len(found(catalog, "", limit=2)) == 2
    assert len(found(catalog, "make a picture", limit=3)) == 3


def test_a_long_hostile_query_is_answered(catalog: Catalog) -> None:
    assert found(catalog, "video " * 20_000 + "1" * 50_000)[0].task == "text-to-video"


def test_the_same_query_gives_the_same_rows(catalog: Catalog) -> None:
    wish = Wish("fast image with text on it", limit=20)
    assert catalog.find(wish) == catalog.find(wish)


def test_scores_never_rise_down_the_rows(catalog: Catalog) -> None:
    scores = [one.score for one in catalog.find(Wish("kling", limit=30))]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"task": "text-to-video"}, lambda h: h.task == "text-to-video"),
        ({"provider": "google"}, lambda h: h.provider == "Google"),
        ({"provider": "black forest"}, lambda h: h.provider == "Black Forest Labs"),
        ({"licence": "hosted commercial"}, lambda h: h.licence.startswith("hosted, commercial")),
        ({"licence": "MIT"}, lambda h: "MIT" in h.licence),
        ({"max_price": 0.01}, lambda h: h.low is not None and h.low <= 0.01),
        ({"backends": frozenset({"local"})}, lambda h: "local" in h.backends),
        ({"media_in": MediaKind.VIDEO}, lambda h: MediaKind.VIDEO in h.media_in),
        ({"media_out": MediaKind.AUDIO}, lambda h: MediaKind.AUDIO in h.media_out),
    ],
)
def test_filters_hold(catalog: Catalog, filters: dict[str, object], fits: object) -> None:
    rows = found(catalog, "", limit=5000, **filters)
    assert rows and all(map(fits, rows))  # type: ignore[arg-type]
    assert len(rows) == sum(map(fits, catalog.heads))  # type: ignore[arg-type]


def test_a_licence_that_is_not_commercial_does_not_pass_for_one(catalog: Catalog) -> None:
    model = replace(catalog.get("sketch"), licence="FLUX non-commercial", id="x/one", tool="one")
    small = Catalog([model])
    assert found(small, "", licence="commercial") == []
    assert ids(found(small, "", licence="non-commercial")) == ["x/one"]


def test_a_price_that_is_unknown_passes_no_ceiling(catalog: Catalog) -> None:
    model = replace(catalog.get("sketch"), id="x/one", tool="one", routes=(Route("fal"),))
    priced = replace(model, id="x/two", tool="two", routes=(Route("fal", {}, Price(0.5, "call")),))
    small = Catalog([model, priced])
    assert ids(found(small, "", max_price=0.6)) == ["x/two"]
    assert found(small, "", max_price=0.4) == []


def test_a_users_own_model_is_found_by_its_words(catalog: Catalog) -> None:
    model = replace(
        catalog.get("sketch"),
        id="my-qr",
        tool="my_qr",
        title="QR code",
        description="Draws a barcode.",
        search_hint="link",
    )
    small = Catalog([model, catalog.get("sketch")])
    assert ids(found(small, "barcode")) == ["my-qr"]
    assert found(small, "qr")[0].id == "my-qr"


def test_a_catalog_of_one_model_finds_it(catalog: Catalog) -> None:
    assert ids(found(Catalog([catalog.get("sketch")]), "sketch")) == ["sketch"]


def test_a_model_of_the_users_own_comes_first_for_its_words(tmp_path: Path) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text(
        "id: me/ink-style\nextends: local/sdxl\ntitle: My ink style\n"
        "description: Draws anything as an ink drawing.\nprompt: 'ink drawing, {prompt}'\n"
    )
    catalog = Catalog.load([tmp_path])
    for query in ("my ink drawing", "ink style", "draw a fern in ink"):
        assert catalog.find(Wish(query))[0].head.id == "me/ink-style", query
    assert catalog.find(Wish("make my photo talk"))[0].head.id != "me/ink-style"
