"""The platform API: models, prices and estimates, in fal's shapes."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette

from media_mcp.catalog.catalog import Catalog
from media_mcp.server.platform_api import platform_routes

pytestmark = pytest.mark.anyio
DEV = "fal-ai/flux/dev"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture
async def client(catalog: Catalog) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=Starlette(routes=platform_routes(catalog)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://here/v1") as opened:
        yield opened


async def got(client: httpx2.AsyncClient, path: str, **query) -> dict:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(client: httpx2.AsyncClient, path: str, code: int, query: dict) -> str:
    answer = await client.get(path, params=query)
    assert answer.status_code == code
    error = answer.json()["error"]
    assert error["request_id"]
    return f"{error['type']}: {error['message']}"


async def test_every_model_is_on_one_of_the_pages_and_on_one_only(client, catalog) -> None:
    ids: list[str] = []
    cursor: dict = {}
    while True:
        page = await got(client, "/models", limit=100, **cursor)
        ids += [row["endpoint_id"] for row in page["models"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert ids == [head.id for head in catalog.heads]
    assert page["next_cursor"] is None


async def test_a_row_tells_what_the_model_is(client) -> None:
    (row,) = (await got(client, "/models", endpoint_id=DEV))["models"]
    assert row["metadata"]["category"] == "text-to-image"
    assert row["metadata"]["status"] == "active"
    assert row["metadata"]["display_name"]
    assert "openapi" not in row


async def test_its_openapi_comes_when_asked_for(client) -> None:
    page = await got(client, "/models", endpoint_id=DEV, expand="openapi-3.0")
    document = page["models"][0]["openapi"]
    assert document["openapi"].startswith("3.0")
    assert f"/{DEV}" in document["paths"]


async def test_words_find_models_best_first(client) -> None:
    page = await got(client, "/models", q="make my photo talk", limit=5)
    assert any("image" in row["metadata"]["category"] for row in page["models"])
    assert len(page["models"]) == 5


async def test_a_category_and_a_status_narrow(client) -> None:
    page = await got(client, "/models", category="text-to-video", status="deprecated")
    assert page["models"]
    assert {row["metadata"]["category"] for row in page["models"]} == {"text-to-video"}
    assert {row["metadata"]["status"] for row in page["models"]} == {"deprecated"}


async def test_prices_are_told_by_id(client) -> None:
    (row,) = (await got(client, "/models/pricing", endpoint_id=DEV))["prices"]
    assert row == {
        "endpoint_id": DEV,
        "unit_price": 0.025,
        "unit": "megapixels",
        "currency": "USD",
    }


async def test_a_model_without_a_known_price_has_no_row(client) -> None:
    page = await got(client, "/models/pricing", endpoint_id=[DEV, "fal-ai/ghiblify"])
    assert [row["endpoint_id"] for row in page["prices"]] == [DEV]


async def test_one_unknown_id_fails_the_whole_call(client) -> None:
    words = await refused(client, "/models/pricing", 404, {"endpoint_id": [DEV, "fal-ai/flux/def"]})
    assert words.startswith("not_found: There is no model called 'fal-ai/flux/def'. Did you mean")


async def test_an_estimate_multiplies_units_and_calls(client) -> None:
    body = {"estimate_type": "unit_price", "endpoints": {DEV: {"unit_quantity": 4}}}
    answer = await client.post("/models/pricing/estimate", json=body)
    assert answer.json() == {"estimate_type": "unit_price", "total_cost": 0.1, "currency": "USD"}
    body = {"estimate_type": "historical_api_price", "endpoints": {DEV: {"call_quantity": 2}}}
    answer = await client.post("/models/pricing/estimate", json=body)
    assert answer.json()["total_cost"] > 0


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/models", {"limit": "0"}, "limit must be a number from 1 to 100, but '0' was given."),
        ("/models", {"limit": "many"}, "limit must be a number"),
        ("/models", {"cursor": "x"}, "cursor is not one that this API gave."),
        ("/models", {"status": "new"}, "'new' is not one of active, deprecated."),
        ("/models", {"expand": "all"}, "'all' is not one of openapi-3.0"),
        ("/models", {"endpoint_id": ["sketch"] * 51}, "endpoint_id may be given 50 times at most."),
    ],
)
async def test_a_wrong_query_is_told_in_words(client, path, query, words) -> None:
    said = await refused(client, path, 422, query)
    assert said.startswith(f"validation_error: {words}")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 422, "The body is not JSON."),
        (b"[" * 5000, 422, "The body is not JSON."),
        (b"[]", 422, "The body must be a JSON object."),
        (b"{}", 422, "'None' is not one of unit_price, historical_api_price."),
        (b'{"estimate_type":"unit_price"}', 422, "`endpoints` must be an object"),
        (
            b'{"estimate_type":"unit_price","endpoints":{"sketch":{"unit_quantity":-1}}}',
            422,
            "endpoints.sketch.unit_quantity must be a number of 0 or more.",
        ),
        (
            b'{"estimate_type":"unit_price","endpoints":{"sketch":{"unit_quantity":1e999}}}',
            422,
            "endpoints.sketch.unit_quantity must be a number of 0 or more.",
        ),
        (
            b'{"estimate_type":"unit_price","endpoints":{"fal-ai/ghiblify":{"unit_quantity":1}}}',
            404,
            "The price of fal-ai/ghiblify is not known.",
        ),
        (b" " * 70_000, 422, "The body is larger than 65536 bytes."),
    ],
)
async def test_a_wrong_estimate_is_told_in_words(client, body, status, words) -> None:
    answer = await client.post("/models/pricing/estimate", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(words)
