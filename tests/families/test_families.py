"""Every family's own card, on a tiny pipeline of its class, through the MCP door to an asset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Any as Door

import pytest

from tiny.families import CASES, Case

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def arguments_of(case: Case, media: Callable[[Any], Any], seed: int = 7) -> dict[str, Any]:
    given = {name: media(value) for name, value in case.call.items() if value is not None}
    return {"prompt": "a red cube.", "seed": seed} | given


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
async def test_a_card_makes_what_it_says(
    door: Door, media: Callable[[Any], Any], case: Case
) -> None:
    facts = await door.call(case.model, arguments_of(case, media))
    print(facts)
    assert facts["state"] == "succeeded", facts
