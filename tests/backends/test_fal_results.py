"""What comes back: media in every shape, values, and results that hold too little or too much."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from falplace import KEY, Place, open_place, picture
from faultproxy import faulty, planned
from media_mcp.backends.base import Run
from media_mcp.backends.fal import Fal, client
from media_mcp.catalog.model import Model, OutputSpec, Shape, ValueSpec
from media_mcp.errors import BackendFailed, BadOutput, MaybeSpent
from media_mcp.job import MediaKind

pytestmark = pytest.mark.anyio
Runs = Callable[..., Run]
Fals = Callable[..., Fal]
DATA = f"data:image/png;base64,{base64.b64encode(picture('blue')).decode()}"


@pytest.fixture
def one(model_of: Callable[..., Model]) -> Callable[..., Model]:
    """Make models with one output called `out`."""

    def make(
        shape: Shape, kind: MediaKind = MediaKind.IMAGE, mime_type: str = "image/png"
    ) -> Model:
        return model_of(outputs=(OutputSpec("out", kind, mime_type, shape),), values=())

    return make


def gives(place: Place, body: Any, status: int = 200) -> None:
    place.outcome = lambda _: JSONResponse(body, status)


@pytest.mark.parametrize(
    ("shape", "value", "count"),
    [
        ("file", {"url": "URL", "content_type": "image/png"}, 1),
        ("files", [{"url": "URL"}, {"url": DATA}], 2),
        ("url", "URL", 1),
        ("urls", ["URL", "URL"], 2),
        ("url", DATA, 1),
        ("url", "DATA:text/plain,a%20b", 1),
        ("file", {"glb": {"url": "URL"}, "fbx": {"url": "URL"}, "size": 3}, 2),
        ("files", {"url": "URL"}, 1),
        ("file", [["URL"]], 1),
        ("url", ["no address", "https://[/", "ftp://host/x", "URL", None, 7], 1),
    ],
)
async def test_media_are_found_in_whatever_shape(
    place: Place,
    fal_of: Fals,
    fal_run: Runs,
    one: Callable[..., Model],
    shape: Shape,
    value: Any,
    count: int,
) -> None:
    url = f"{place.base}/files/picture.png"
    gives(place, {"out": json.loads(json.dumps(value).replace("URL", url))})

    result = await fal_of().run(fal_run(one(shape)))

    assert len(result.outputs) == count
    assert {output.role for output in result.outputs} == {"out"}
    assert all(output.path.stat().st_size for output in result.outputs)
    assert len({output.path for output in result.outputs}) == count


async def test_texts_and_data_in_the_result_become_files(
    place: Place, fal_of: Fals, fal_run: Runs, model_of: Callable[..., Model]
) -> None:
    text = OutputSpec("transcript", MediaKind.TEXT, "text/plain", "value")
    data = OutputSpec("words", MediaKind.TEXT, "application/json", "value")
    absent = OutputSpec("absent", MediaKind.TEXT, "text/plain", "value")
    gives(place, {"transcript": "héllo", "words": [{"word": "héllo"}]})

    result = await fal_of().run(fal_run(model_of(outputs=(text, data, absent))))

    written = {output.role: output.path.read_text("utf-8") for output in result.outputs}
    assert written == {"transcript": "héllo", "words": '[{"word": "héllo"}]'}


async def test_a_whole_answer_can_be_the_output_and_its_values_are_facts_too(
    place: Place, fal_of: Fals, fal_run: Runs, model_of: Callable[..., Model]
) -> None:
    whole = OutputSpec("result", MediaKind.TEXT, "application/json", "value")
    model = model_of(
        outputs=(whole,), values=(ValueSpec("text", "string"), ValueSpec("long", "string"))
    )
    gives(place, {"text": "a cat", "long": "x" * 5000})

    result = await fal_of().run(fal_run(model))

    assert result.facts == {"text": "a cat", "run_seconds": 1.5}
    assert json.loads(result.outputs[0].path.read_text()) == {"text": "a cat", "long": "x" * 5000}


async def test_a_value_that_is_too_long_for_a_fact_becomes_a_file(
    place: Place, fal_of: Fals, fal_run: Runs, one: Callable[..., Model]
) -> None:
    model = replace(one("url"), values=(ValueSpec("words", "array"), ValueSpec("empty", "array")))
    gives(place, {"out": DATA, "words": ["word"] * 2000, "empty": [], "stranger": 1})

    result = await fal_of().run(fal_run(model))

    assert result.facts == {"run_seconds": 1.5}
    assert [output.role for output in result.outputs] == ["out", "words"]
    assert json.loads(result.outputs[1].path.read_text()) == ["word"] * 2000


async def test_a_model_that_only_answers_values_needs_no_file(
    place: Place, fal_of: Fals, fal_run: Runs, model_of: Callable[..., Model]
) -> None:
    gives(place, {"score": 0.5})
    place.metrics = {"inference_time": "soon"}
    model = model_of(outputs=(), values=(ValueSpec("score", "number"),))

    result = await fal_of().run(fal_run(model))

    assert (result.outputs, result.facts) == ((), {"score": 0.5})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"video": 1}, "answered without out; its result holds video"),
        ({}, "answered without out; its result holds nothing"),
        (["out"], "answered with no JSON object"),
        ({"out": ["https://127.0.0.1/x"] * 65}, "made 65 files; 64 are read"),
        ({"out": "data:image/png;base64,%%%"}, "a broken data: URI"),
        ({"out": "data:image/png"}, "a broken data: URI"),
        ({"out": "data:,"}, "a broken data: URI"),
    ],
)
async def test_results_that_hold_nothing_usable_are_told_with_the_request(
    place: Place,
    fal_of: Fals,
    fal_run: Runs,
    one: Callable[..., Model],
    body: Any,
    message: str,
) -> None:
    gives(place, body)

    with pytest.raises(BadOutput, match=message) as caught:
        await fal_of().run(fal_run(one("url")))

    assert caught.value.hint == "Try again, or use another model."
    assert not caught.value.retryable


async def test_a_result_that_is_no_json_is_told(
    place: Place, fal_of: Fals, fal_run: Runs, one: Callable[..., Model]
) -> None:
    place.outcome = lambda _: Response("[" * 100_000)

    with pytest.raises(BadOutput, match="no JSON object"):
        await fal_of().run(fal_run(one("url")))


async def test_an_address_that_is_none_is_told(
    place: Place, fal_of: Fals, fal_run: Runs, one: Callable[..., Model]
) -> None:
    gives(place, {"out": f"{place.base}/files/\x00"})

    with pytest.raises(MaybeSpent, match="a file of it cannot be fetched"):
        await fal_of(patience_seconds=0.3).run(fal_run(one("url")))


@pytest.mark.parametrize("scheme", ["http://127.0.0.1:9", "http://169.254.169.254"])
async def test_files_of_private_addresses_are_not_fetched(
    place: Place, fal_of: Fals, fal_run: Runs, one: Callable[..., Model], scheme: str
) -> None:
    gives(place, {"out": f"{scheme}/secret.png"})

    with pytest.raises(MaybeSpent, match="is not a public address") as caught:
        await fal_of(patience_seconds=0.3).run(fal_run(one("url")))

    assert caught.value.retryable
    assert place.only.id in caught.value.message


async def test_files_of_the_own_network_are_fetched_without_the_key_where_that_is_allowed(
    place: Place, fal_of: Fals, fal_run: Runs, one: Callable[..., Model]
) -> None:
    async with open_place() as other:
        gives(place, {"out": f"{other.base}/files/picture.png"})
        result = await fal_of(allow_private=True).run(fal_run(one("url")))

        assert result.outputs[0].path.read_bytes() == other.files["picture.png"]
        assert "authorization" not in other.last("file").headers


async def test_a_place_that_asks_for_its_key_with_its_own_files_gets_it(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["file"] = [Response(status_code=401)]

    assert (await fal_of().run(fal_run())).outputs
    assert place.last("file").headers["authorization"] == f"Key {KEY}"


async def test_a_file_that_leads_elsewhere_takes_no_key_along(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    place.instead["file"] = [RedirectResponse(f"{place.base}/files/stolen")] * 20

    with pytest.raises(MaybeSpent, match="answers 307"):
        await fal_of(patience_seconds=0.3).run(fal_run())

    assert not any(call.path.endswith("stolen") for call in place.calls)


async def test_a_file_that_breaks_off_is_fetched_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    plan = planned("cut", "reset before", "gateway", on=b"GET /files")
    async with faulty(place.base, plan) as proxy:
        place.base = proxy.url
        result = await fal_of(proxy.url).run(fal_run())

    assert result.outputs[0].path.read_bytes() == place.files["picture.png"]


async def test_a_file_that_drips_is_fetched_again(
    place: Place, fal_of: Fals, fal_run: Runs
) -> None:
    plan = planned("slow", "slow", on=b"GET /files")
    async with faulty(place.base, plan, drip=0.01) as proxy:
        place.base = proxy.url
        result = await fal_of(proxy.url, timeout_seconds=0.4).run(fal_run())

    assert result.outputs[0].path.read_bytes() == place.files["picture.png"]
    assert proxy.met["slow"] == 2


@pytest.mark.parametrize("body", [{"out": "URL"}, {"out": DATA}])
async def test_a_file_that_is_too_large_is_not_kept_nor_asked_for_again(
    place: Place, fal_of: Fals, fal_run: Runs, one: Callable[..., Model], body: dict[str, str]
) -> None:
    gives(place, {"out": body["out"].replace("URL", f"{place.base}/files/picture.png")})
    run = fal_run(one("url"))

    with pytest.raises(MaybeSpent, match="larger than max_output_bytes, which is 10") as caught:
        await fal_of(max_output_bytes=10).run(run)

    assert not caught.value.retryable
    assert list(run.folder.iterdir()) == []


async def test_an_answer_without_end_is_cut(
    place: Place, fal_of: Fals, fal_run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    fal = fal_of(patience_seconds=0.4)
    monkeypatch.setattr(
        client.Client.once,
        "__kwdefaults__",
        {
            **client.Client.once.__kwdefaults__,
            "limit": 1000,
        },
    )
    gives(place, {"images": [], "padding": "x" * 2000})

    with pytest.raises(BackendFailed, match="its answer is too long"):
        await fal.run(fal_run())


async def test_roles_that_are_no_file_names_stay_in_the_folder(
    place: Place, fal_of: Fals, fal_run: Runs, model_of: Callable[..., Model]
) -> None:
    specs = (
        OutputSpec("../a", MediaKind.IMAGE, "image/png", "url"),
        OutputSpec("..-a", MediaKind.IMAGE, "image/png", "url"),
    )
    gives(place, {"../a": DATA, "..-a": DATA})
    run = fal_run(model_of(outputs=specs))

    result = await fal_of().run(run)

    assert len({output.path for output in result.outputs}) == 2
    assert {output.path.parent for output in result.outputs} == {run.folder}
