"""A user's consent to what a job may cost, as an argument of the call.

Every model's tool and endpoint takes it, for clients that cannot ask their users. No schema lists
it: the answer to a call that needs it says what to add, so that only those who were refused pay for
its words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from media_mcp.catalog.model import Model
from media_mcp.errors import InvalidArguments, Problem
from media_mcp.job import JSON
from media_mcp.queue.agreement import CONSENT, UNKNOWN


def part_consent(
    model: Model, arguments: Mapping[str, JSON]
) -> tuple[Mapping[str, JSON], JSON | None]:
    """Take the consent out of a call's arguments, unless the model has an input of that name.

    Raises `InvalidArguments` for one that is neither an amount nor `unknown`.
    """
    if CONSENT not in arguments or model.param(CONSENT):
        return arguments, None
    given = arguments[CONSENT]
    if given is not None and given != UNKNOWN and not _amount(given):
        words = f"is {json.dumps(given)[:40]}; it is the most that may be spent, in US dollars"
        raise InvalidArguments([Problem(CONSENT, f'{words}, or "{UNKNOWN}".')])
    return {name: value for name, value in arguments.items() if name != CONSENT}, given


def _amount(given: JSON) -> bool:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    return number and math.isfinite(given) and given >= 0
