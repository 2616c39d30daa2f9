"""Search: the right model first, for words, beginnings of words and near spellings."""

import pytest

from media_mcp.catalog.catalog import Catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("draw a picture with shapes", "sketch"),
        ("sketh", "sketch"),
        ("transcribe a recording", "rehearsal/transcript"),
        ("transcription", "rehearsal/transcript"),
        ("a moving clip", "rehearsal/video"),
        ("voice", "rehearsal/speech"),
        ("edit", "rehearsal/edit"),
    ],
)
def test_what_one_wants_comes_first(catalog: Catalog, query: str, first: str) -> None:
    assert catalog.find(query)[0].model.id == first


def test_no_words_list_everything_with_the_featured_first(catalog: Catalog) -> None:
    found = catalog.find("", limit=50)
    assert found[0].model.id == "sketch"
    assert len(found) == len(catalog)


def test_words_that_fit_nothing_find_nothing(catalog: Catalog) -> None:
    assert catalog.find("qqqq xxxx") == []


def test_a_task_narrows_the_search(catalog: Catalog) -> None:
    assert {one.model.task for one in catalog.find("stand-in", task="text-to-video")} == {
        "text-to-video"
    }


def test_the_limit_holds(catalog: Catalog) -> None:
    assert len(catalog.find("", limit=2)) == 2
