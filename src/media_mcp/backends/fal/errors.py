"""What a place answers when something is wrong, in words that an agent can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from media_mcp.backends.fal.configuration import Configuration
from media_mcp.backends.fal.wire import Answer
from media_mcp.errors import (
    BackendFailed,
    BadMedia,
    BadOutput,
    ContentRefused,
    InvalidArguments,
    MaybeSpent,
    MediaError,
    NotConfigured,
    Problem,
)
from media_mcp.job import JSON, Route
from media_mcp.media.names import shown

LONGEST = 400  # characters of a place's own words
MOST_PROBLEMS = 10
LATER = "Try again later, or use another model."
FRESH = "Run it again with fresh: true if that risk is fine."
_BALANCE = ("balance", "exhausted", "locked", "credit", "payment", "billing")
_REFUSALS = ("content_policy_violation",)
_UNREAD = ("file_download_error",)  # the place could not fetch a file that it was given
_FOR_GOOD = ("generation_timeout", "client_cancelled")
_NO_OUTPUT = ("no_media_generated",)


@dataclass(frozen=True, slots=True)
class Place:
    """Whom the words are about: a place, one endpoint there and perhaps one request."""

    configuration: Configuration
    endpoint: str = ""
    request_id: str = ""
    route: Route | None = None
    secret: str = ""

    @property
    def name(self) -> str:
        return self.configuration.shown

    @property
    def request(self) -> str:
        return f" Its request id there is {self.request_id}." if self.request_id else ""

    def clean(self, text: str) -> str:
        """Return the place's own words: short, printable and without the key."""
        hidden = text.replace(self.secret, "***") if self.secret else text
        return shown(" ".join(hidden.split()), LONGEST).rstrip(".")


def failure_of(answer: Answer, place: Place) -> MediaError:
    """Return the error for an answer that is none of the 2xx."""
    match answer.status:
        case 401 | 402 | 403:
            return _key_refused(answer, place)
        case 404 | 410:
            return BackendFailed(
                f"{place.name} has no endpoint {place.endpoint!r} (any more).",
                "Use another model; media-mcp catalog sync brings the list up to date.",
            )
        case 413:
            return BadMedia(
                f"The call is larger than {place.name} takes.", "Pass smaller or fewer inputs."
            )
        case 429:
            return unreachable("answers that it is too busy", place)
        case status if 300 <= status < 400:
            return NotConfigured(
                f"{place.name} redirects ({status}), and a key is sent to no other address.",
                f"Correct the addresses in backends/{place.configuration.name}/backend.toml.",
            )
    return _model_failure(answer, place)


def unreachable(why: str, place: Place) -> BackendFailed:
    """Return the error for a place that nothing came through to; another try is free."""
    return BackendFailed(f"{place.name} {place.clean(why)}.", LATER, retryable=True)


def unanswered(why: str, place: Place) -> MaybeSpent:
    """Return the error for a submit whose answer got lost."""
    return MaybeSpent(
        f"The call was sent to {place.name}, but its answer got lost ({place.clean(why)}): it may "
        "run there and be billed, and nobody can tell.",
        f"It is not sent twice. Look at your requests at {place.name}. {FRESH}",
    )


def out_of_sight(why: str, place: Place, *, retryable: bool) -> MaybeSpent:
    """Return the error for a request that was taken, and can be asked about no more."""
    return MaybeSpent(
        f"{place.name} took the call, which may be billed, but its result cannot be had "
        f"({place.clean(why)}).{place.request}",
        f"Look it up there by that id. {FRESH}",
        retryable=retryable,
    )


def said(answer: Answer) -> str:
    """Return a place's own words for what is wrong, in one piece."""
    told = answer.json()
    if not isinstance(told, dict):
        return f"HTTP {answer.status}"
    detail = told.get("detail") or told.get("message") or told.get("error")
    if isinstance(detail, list):
        return "; ".join(_message(one) for one in detail[:MOST_PROBLEMS])
    return detail if isinstance(detail, str) else f"HTTP {answer.status}"


def kinds_of(answer: Answer) -> list[str]:
    """Return the machine-readable types of what is wrong, the platform's own first."""
    told = answer.json()
    told = told if isinstance(told, dict) else {}
    named = [answer.headers.get("x-fal-error-type"), told.get("error_type")]
    named += [one.get("type") for one in _details(told)]
    return list(dict.fromkeys(kind for kind in named if isinstance(kind, str) and kind))


def file_gone(answer: Answer) -> bool:
    """Tell whether a place could not fetch a file that the call named."""
    return any(kind in _UNREAD for kind in kinds_of(answer))


def _key_refused(answer: Answer, place: Place) -> NotConfigured:
    words = place.clean(said(answer))
    page = place.configuration.key_page
    where = place.configuration.key_env or "its key"
    if "forbidden" in kinds_of(answer):  # what a peer of ours says
        return NotConfigured(
            f"{place.name} may not run {place.endpoint or 'this'} by its own rules: {words}.",
            "Its operator can allow it; or use another model or backend.",
        )
    if answer.status != 401 and any(word in words.lower() for word in _BALANCE):
        return NotConfigured(
            f"The account at {place.name} cannot pay: {words}.", "Top it up, then call again."
        )
    if answer.status == 401:
        return NotConfigured(
            f"{place.name} does not take the key: {words}.",
            f"Set {where} to a valid key{f' (from {page})' if page else ''}, then start again.",
        )
    return NotConfigured(
        f"The key may not use {place.endpoint or 'this'} at {place.name}: {words}.",
        "Use a key that may, or another model.",
    )


def _model_failure(answer: Answer, place: Place) -> MediaError:
    kinds, words = kinds_of(answer), place.clean(said(answer))
    if any(kind in _REFUSALS for kind in kinds):
        return ContentRefused(
            f"{place.name} refused this as against its content policy: {words}.",
            "Change the prompt or the input media; the same call would be refused again.",
        )
    if any(kind in _NO_OUTPUT for kind in kinds):
        return BadOutput(
            f"{place.name} made nothing: {words}.", "Change the prompt, the seed or the model."
        )
    if "client_cancelled" in kinds:
        return BackendFailed(
            f"Somebody cancelled the request at {place.name}.{place.request}",
            "Run it again with fresh: true if it is still wanted.",
        )
    if answer.status in (400, 422) and (problems := _problems(answer, place)):
        return InvalidArguments(problems, "Correct the arguments and call again.")
    retryable = _may_retry(answer, kinds)
    hint = LATER if retryable or answer.status >= 500 else "Change the call, or use another model."
    kind = f" ({kinds[0]})" if kinds else ""
    return BackendFailed(
        f"{place.name} failed{kind}: {words}.{place.request}", hint, retryable=retryable
    )


def _may_retry(answer: Answer, kinds: Sequence[str]) -> bool:
    flag = answer.flag("x-fal-retryable", "x-fal-needs-retry")
    if flag is not None:
        return flag
    return answer.status >= 500 and not any(kind in _FOR_GOOD for kind in kinds)


def _problems(answer: Answer, place: Place) -> list[Problem]:
    """Return what is wrong with which argument; nothing where that is not told."""
    told = answer.json()
    details = list(_details(told)) if isinstance(told, dict) else []
    kinds = {detail.get("type") for detail in details}
    if not details or kinds & {"downstream_service_error", "internal_server_error"}:
        return []
    return [
        Problem(_field(detail.get("loc"), place.route), f"{place.clean(_message(detail))}.")
        for detail in details[:MOST_PROBLEMS]
    ]


def _field(loc: JSON, route: Route | None) -> str:
    """Write `["body", "image_urls", 2]` as `image_urls[2]`, in the model's own words."""
    parts = [p for p in loc if isinstance(p, str | int)] if isinstance(loc, list) else []
    parts = parts[1:] if parts[:1] == ["body"] else parts
    if not parts:
        return "arguments"
    first = _canonical(str(parts[0]), route)
    rest = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts[1:])
    return shown(f"{first}{rest}", 80)


def _canonical(wire: str, route: Route | None) -> str:
    """Return which of our arguments a route writes as `wire`."""
    rules = route.spec.get("map") if route else None
    for name, rule in (rules or {}).items():
        to = rule.get("to") if isinstance(rule, Mapping) else rule
        if wire == to or (isinstance(to, list | tuple) and wire in to):
            return str(name)
    return wire


def _details(told: Mapping[str, JSON]) -> Iterator[Mapping[str, JSON]]:
    detail = told.get("detail")
    yield from (
        one for one in (detail if isinstance(detail, list) else ()) if isinstance(one, dict)
    )


def _message(detail: JSON) -> str:
    said = detail.get("msg") if isinstance(detail, dict) else detail
    return said if isinstance(said, str) else "is not as it should be"
