"""LoRA files that are pickles in disguise, headers that lie, and cards that name remote code."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media_mcp.backends.local import Local
from media_mcp.catalog.catalog import Catalog
from media_mcp.errors import MediaError, NotConfigured, Refused
from media_mcp.job import Route
from media_mcp.worker.headers import header_of, loaded_bytes
from media_mcp.worker.pipelines.lorafiles import Lora, checked

MARK = "MEDIA_MCP_RAN_A_PICKLE"


class Bomb:
    """Sets a mark in our environment when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.putenv, (MARK, "1")


def torch_archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("archive/version", "3\n")
    return data.getvalue()


def tensors(header: Any, data: bytes = bytes(64), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(**more: Any) -> dict[str, Any]:
    return {"a.lora_A.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]} | more}


DISGUISED = {
    **{f"pickle of protocol {n}": pickle.dumps(Bomb(), n) for n in range(6)},
    "torch archive": torch_archive(),
    "archive behind a header": tensors(one())[:8] + torch_archive(),
    "nothing": b"",
    "seven bytes": bytes(7),
    "page": b"<!doctype html><title>Sign in</title>",
    "pointer to large storage": b"version https://example.org/spec/v1\noid sha256:0\nsize 1\n",
    "header longer than the file": tensors(one(), length=10_000),
    "header of 2^63 bytes": tensors(one(), length=2**63),
    "header of no bytes": tensors(b""),
    "header that is a list": tensors([1, 2]),
    "header that is a number": tensors(7),
    "header that is no JSON": tensors(b"{'a': 1}"),
    "header that nests": tensors(b'{"a":' * 10_000),
    "header of NaN": tensors(b'{"a": NaN}'),
    "header that is no UTF-8": tensors(b'{"\xff\xfe": 1}'),
    "tensor that is a text": tensors({"a": "b"}),
    "tensor without a shape": tensors({"a": {"dtype": "F32", "data_offsets": [0, 4]}}),
    "shape that is a text": tensors(one(shape="4x4")),
    "shape of lists": tensors(one(shape=[[4], 4])),
    "shape of nothing and of objects": tensors(one(shape=[None, {}])),
    "shape of texts": tensors(one(shape=["4", "4"])),
    "shape of fractions": tensors(one(shape=[4.0, 4.0])),
    "offsets that are no numbers": tensors(one(data_offsets=[float("nan"), float("inf")])),
    "offsets that are fractions": tensors(one(data_offsets=[0.0, 64.0])),
    "offsets that are booleans": tensors(one(data_offsets=[False, True])),
    "offsets below nothing": tensors(one(data_offsets=[-64, 0])),
    "two million lists": tensors(b'{"a":[' + b"[]," * 2_000_000 + b"[]]}"),
    "data type that is a list": tensors(one(dtype=["F32"], shape=[-1])),
}
LYING = {
    "outside the file": one(data_offsets=[0, 6_400]),
    "negative": one(data_offsets=[-64, 64]),
    "backwards": one(data_offsets=[64, 0]),
    "of huge numbers": one(data_offsets=[0, 10**400]),
    "that are texts": one(data_offsets=["0", "64"]),
    "that are missing": {"a": {"dtype": "F32", "shape": [1]}},
    "of one number": one(data_offsets=[0]),
    "of another size than the shape": one(shape=[1000, 1000]),
    "of a negative shape": one(shape=[-4, 4]),
    "of a shape of booleans": one(shape=[True, 16]),
    "of a huge shape": one(shape=[10**200, 10**200]),
}


@pytest.mark.parametrize("kind", DISGUISED)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_disguised_file_is_told_and_never_unpickled(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / f"lora{suffix}"
    path.write_bytes(DISGUISED[kind])
    with pytest.raises(MediaError) as caught:
        checked(Lora("x", 1.0, "loras[0]"), path, "The LoRA")
    assert "pickles" in str(caught.value) or "safetensors" in str(caught.value)
    with pytest.raises(ValueError, match="no such header"):
        header_of(path)
    assert os.environ.get(MARK) is None


@pytest.mark.parametrize("kind", LYING)
def test_offsets_that_lie_are_told_before_anything_is_loaded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(tensors(LYING[kind]))
    with pytest.raises(NotConfigured) as caught:
        loaded_bytes(path, 4)
    assert caught.value.hint


def test_no_card_runs_code_of_its_own_unless_the_operator_lets_it() -> None:
    """Of the catalog's models, too, those that need it do not run here as it comes."""
    asking = [
        (model, route)
        for model in Catalog.load([])
        for route in model.routes
        if route.spec.get("remote_code")
    ]
    assert asking
    for model, route in asking:
        quote = Local().quote(model, route, {})
        assert not quote.ready
        assert "allow_remote_code" in quote.reason
        assert "allow_remote_code" not in Local(remote_code=True).quote(model, route, {}).reason


@pytest.mark.anyio
async def test_a_job_whose_card_asks_for_code_is_refused_where_it_would_run(
    run_of_a_card: Any,
) -> None:
    run = run_of_a_card(Route("local", {"pipeline": "transformers", "remote_code": True}))
    with pytest.raises(Refused, match="Python code of their own"):
        await Local().run(run)


@pytest.fixture
def run_of_a_card(tmp_path: Path) -> Any:
    from media_mcp.backends.base import Run

    async def report(_: Any) -> None:
        raise AssertionError("nothing runs")

    model = next(iter(Catalog.load([])))

    def make(route: Route) -> Run:
        return Run("j", 1, replace(model), route, {}, 0, lambda: tmp_path, report)

    return make
