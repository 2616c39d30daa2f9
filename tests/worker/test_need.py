"""What weights take on a device, with the speed settings of a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from media_mcp.worker import speed
from media_mcp.worker.device import Device
from media_mcp.worker.work import Work

SIZES = {"transformer": 24_000, "text_encoder": 9_000, "vae": 200}


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({}, 33_200),
        ({"fp8_storage": True}, 21_200),
        ({"offload": "model"}, 24_000),
        ({"offload": "model", "fp8_storage": True}, 12_000),
        ({"offload": "group"}, 1_200),
    ],
)
def test_settings_that_save_memory_are_reckoned_with(
    work_of: Callable[..., Work], settings: dict[str, Any], size: int
) -> None:
    work = work_of({"speed": {"bundle": "exact", "keys": settings}})
    card = replace(work, device=Device("cuda:0", 10**6))
    plan = speed.planned(card, SIZES, 2, object)
    assert plan.size == size
    assert plan.movable == ("offload" not in settings)


def test_on_a_cpu_there_is_nowhere_to_offload_to(work_of: Callable[..., Work]) -> None:
    work = work_of({"speed": {"bundle": "exact", "keys": {"offload": "model"}}})
    assert speed.planned(work, SIZES, 2, object).size == 33_200
