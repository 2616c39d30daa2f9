"""`catalog sync` against our own platform API, which has fal's shape, and against bad places."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route as Path_

from media_mcp.catalog.catalog import Catalog
from media_mcp.catalog.model import Model
from media_mcp.server.http import listen
from media_mcp.server.platform_api import platform_routes

PRICED = "fal-ai/aura-flow"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@contextmanager
def served(routes: list[Path_]) -> Iterator[str]:
    """Serve on loopback from a thread; yields the address of the API."""
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def peer(catalog: Catalog) -> Iterator[str]:
    with served(platform_routes(catalog)) as address:
        yield address


def answering(rows: list[dict[str, Any]]) -> list[Path_]:
    def models(request: Request) -> JSONResponse:
        return JSONResponse({"models": rows, "has_more": False})

    def prices(request: Request) -> JSONResponse:
        return JSONResponse({"prices": []})

    return [Path_("/v1/models", models), Path_("/v1/models/pricing", prices)]


def facts(model: Model) -> dict[str, Any]:
    """Return what a sync must bring back: all but dates, doubts and where it was read."""
    told = {f.name: getattr(model, f.name) for f in fields(Model)}
    told["routes"] = [replace(route, price=None) for route in model.routes]
    return {k: v for k, v in told.items() if k not in ("source", "as_of", "uncertain")}


def test_every_model_comes_back_as_it_was(cli: Callable, peer: str, catalog: Catalog) -> None:
    ended = cli("catalog", "sync", "--from", peer, "--to", "mine", "--all")
    assert ended.code == 0, ended.err
    again = Catalog.load([Path("mine").resolve()])
    hosted = [model for model in catalog if "fal" in {route.backend for route in model.routes}]
    assert len(hosted) == 1575
    different = [m.id for m in hosted if facts(m) != facts(again.get(m.id))]
    assert different == []
    lock = json.loads(Path("mine/catalog.lock").read_text())["fal.jsonl"]
    assert lock["source"] == peer
    assert lock["models"] == len(catalog)
    assert cli("catalog", "check", "mine").code == 0


def test_a_second_sync_finds_nothing_new(cli: Callable, peer: str) -> None:
    cli("catalog", "sync", "--from", peer, "--to", "mine")
    assert cli("catalog", "sync", "--from", peer, "--to", "mine").out == "Nothing changed.\n"


def test_prices_are_the_ones_that_the_place_bills(
    cli: Callable, peer: str, catalog: Catalog
) -> None:
    cli("catalog", "sync", "--from", peer, "--to", "mine")
    price = Catalog.load([Path("mine").resolve()]).get(PRICED).routes[0].price
    known = catalog.get(PRICED).routes[0].price
    assert price and known
    assert (price.amount, price.unit) == (known.amount, known.unit)
    assert price.certainty == "exact"
    assert price.as_of > known.as_of


def test_a_dry_run_writes_nothing(cli: Callable, peer: str) -> None:
    ended = cli("catalog", "sync", "--from", peer, "--to", "mine", "--dry-run")
    assert ended.code == 0
    assert "prices changed" in ended.out
    assert "more: --all shows them." in ended.out
    assert not Path("mine").exists()


def test_a_peer_is_one_more_route_to_what_is_known(cli: Callable, peer: str) -> None:
    ended = cli("catalog", "sync", "--from", peer, "--to", "mine", "--backend", "gpu-box")
    assert ended.code == 0, ended.err
    model = Catalog.load([Path("mine").resolve()]).get("fal-ai/flux/dev")
    assert [route.backend for route in model.routes][-1] == "gpu-box"
    assert "fal" in [route.backend for route in model.routes]


def test_a_file_changed_by_hand_is_told_by_the_check(cli: Callable, peer: str) -> None:
    cli("catalog", "sync", "--from", peer, "--to", "mine")
    with Path("mine/fal.jsonl").open("a") as lines:
        lines.write("\n")
    assert "was changed by hand since it was synced" in cli("catalog", "check", "mine").err
    Path("mine/fal.jsonl").unlink()
    assert "is in catalog.lock, but not there" in cli("catalog", "check", "mine").err


def test_a_vanished_model_is_told_with_its_successor(
    cli: Callable, peer: str, catalog: Catalog
) -> None:
    cli("catalog", "sync", "--from", peer, "--to", "mine")
    left = Catalog(m for m in catalog if m.id != "fal-ai/flux/krea")
    with served(platform_routes(left)) as smaller:
        ended = cli("catalog", "sync", "--from", smaller, "--to", "mine")
    assert "1 gone" in ended.out
    gone = Catalog.load([Path("mine").resolve()]).get("fal-ai/flux/krea")
    assert gone.retired
    assert gone.successor


def test_what_no_catalog_could_hold_is_left_out_and_named(cli: Callable) -> None:
    rows = [
        {"endpoint_id": "../../etc", "metadata": {}, "openapi": {"paths": {}}},
        {"endpoint_id": "acme/none", "metadata": {}, "openapi": {"error": {"code": "x"}}},
    ]
    with served(answering(rows)) as address:
        ended = cli("catalog", "sync", "--from", address, "--to", "mine")
    assert ended.code == 1
    assert "'acme/none': its schema could not be had; left as it was." in ended.err
    assert "'../../etc': cannot be read" in ended.err
    assert "lists no model. Nothing was changed." in ended.err.replace("\nhint: ", " ")
    assert not Path("mine").exists()


def test_half_an_answer_retires_nothing_unless_told_to(cli: Callable) -> None:
    rows = [{"endpoint_id": "acme/odd", "metadata": 7, "openapi": {"paths": [], "components": 9}}]
    with served(answering(rows)) as address:
        ended = cli("catalog", "sync", "--from", address, "--to", "mine")
        assert ended.code == 4
        assert "1575 of the 1575 models known are not listed there any more" in ended.err
        assert not Path("mine").exists()
        assert cli("catalog", "sync", "--from", address, "--to", "mine", "--retire").code == 0
    assert Catalog.load([Path("mine").resolve()]).get("fal-ai/flux/dev").retired


def test_a_backend_needs_a_name(cli: Callable) -> None:
    ended = cli("catalog", "sync", "--backend", "../x")
    assert ended.code == 2
    assert "'../x' is no name of a backend." in ended.err


def test_an_address_must_be_safe(cli: Callable) -> None:
    ended = cli("catalog", "sync", "--from", "http://example.org/v1")
    assert ended.code == 3
    assert "is not the address of a platform API." in ended.err


@pytest.mark.parametrize(
    ("setting", "rules"),
    [("offline", "offline = true"), ("projects.a.offline", "[projects.a]\noffline = true")],
)
def test_offline_nothing_is_fetched(cli: Callable, setting: str, rules: str) -> None:
    Path("media-mcp.toml").write_text(f'project = "a"\n{rules}\n', encoding="utf-8")
    done = cli("catalog", "sync", "--from", "http://127.0.0.1:9/v1")
    assert done.code == 4
    assert f"{setting} = true forbids what leaves this machine." in done.err
    assert f"hint: Only {setting} in media-mcp.toml can allow it." in done.err
