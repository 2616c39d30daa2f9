"""What server and worker say to each other: one JSON object a line, at most `MAX_LINE` bytes.

The server writes `Run`, `Batch`, `Cancel` and `Shutdown` to the worker's stdin; the worker writes
the others to its stdout. Only the standard library is imported, so that both sides can, whatever
else their environments hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

VERSION = 3
# The names that a card's `pipeline` may hold, and the kinds of media that each makes.
PIPELINES: Mapping[str, frozenset[str]] = {
    "chatterbox": frozenset({"audio"}),
    "diffusers": frozenset({"image", "video", "audio"}),
    "kokoro": frozenset({"audio"}),
    "tools": frozenset({"image", "video", "audio", "text"}),
    "transformers": frozenset({"audio", "text", "image"}),
}
MAX_LINE = 2**20


class ProtocolError(ValueError):
    """A line that is no message: too long, no JSON, of no known type, a field missing or wrong."""


@dataclass(frozen=True, slots=True)
class Run:
    """Do this job, or, with `load_only`, load what it needs and no more.

    `call` is what the pipeline is called with; of `arguments`, the model's own, a worker reads what
    it does itself: how many, how large. `inputs` maps each `media://` URI in `call` to a path;
    files that are made go into `folder`; `roles` are the model's outputs, in order. `request` is
    the id of the call that the job is of.
    """

    job_id: str
    attempt: int
    model: str
    pipeline: str
    spec: Mapping[str, Any]
    arguments: Mapping[str, Any]
    call: Mapping[str, Any]
    seed: int
    folder: str
    roles: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    load_only: bool = False
    request: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Do these jobs as one, if the pipeline can: they differ in prompts and seeds alone. Each has
    its own progress and end, and may be cancelled by itself."""

    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop this job at its next step."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop the job that runs and leave."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The worker is ready. `device_memory` in bytes; `packages` maps names to versions."""

    protocol: int
    pid: int
    python: str
    packages: Mapping[str, str]
    device: str
    device_memory: int


@dataclass(frozen=True, slots=True)
class Held:
    """A loaded pipeline: the models that it ran, its weights' bytes, where they are (`device`, or
    `host` where they wait in the host's memory), and whether it is to stay or in use."""

    models: tuple[str, ...]
    size: int
    place: str
    pinned: bool = False
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker lives. `rss` in bytes; `resident` are the ids of the models that are on the
    device, `held` is all that is loaded, the least recently used first."""

    rss: int
    resident: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """Step `step` of `total` is done."""

    job_id: str
    step: int
    total: int


@dataclass(frozen=True, slots=True)
class Log:
    """A line for people."""

    job_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Made:
    """A file the job made; `path` is relative to the job's folder."""

    path: str
    role: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class Done:
    """The job succeeded."""

    job_id: str
    outputs: tuple[Made, ...]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The job failed; `code` is one of `errors` or `cancelled`."""

    job_id: str
    code: str
    message: str
    hint: str = ""
    retryable: bool = False


ToWorker = Run | Batch | Cancel | Shutdown
FromWorker = Hello | Beat | Progress | Log | Done | Failed
TO_WORKER: Mapping[str, type] = {c.__name__.lower(): c for c in get_args(ToWorker)}
FROM_WORKER: Mapping[str, type] = {c.__name__.lower(): c for c in get_args(FromWorker)}


def encode(message: Any) -> bytes:
    """Return the line of `message`, newline included.

    Raises `ProtocolError` when it would be longer than `MAX_LINE` or holds what JSON cannot.
    """
    told = {"type": type(message).__name__.lower(), **_fields(message)}
    try:
        line = _JSON.encode(told).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"{type(message).__name__} cannot be written: {error}.") from None
    if len(line) > MAX_LINE:
        raise ProtocolError(f"A {told['type']} has {len(line)} bytes of at most {MAX_LINE}.")
    return line


def _fields(message: Any) -> dict[str, Any]:
    """Return a message's fields as they are; what is nested in it is told likewise.

    `asdict` would copy all of it, of a job that is sent with its whole card.
    """
    if not is_dataclass(message):
        raise TypeError(f"a {type(message).__name__} is no message")
    return {one.name: getattr(message, one.name) for one in fields(message)}


_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_fields)


def to_worker(line: bytes) -> ToWorker:
    """Read a line that the server wrote. Raises `ProtocolError`."""
    message: ToWorker = decode(line, TO_WORKER)
    return message


def from_worker(line: bytes) -> FromWorker:
    """Read a line that the worker wrote. Raises `ProtocolError`."""
    message: FromWorker = decode(line, FROM_WORKER)
    return message


def decode(line: bytes, known: Mapping[str, type]) -> Any:
    """Read a line as one of the `known` messages, by its type. Raises `ProtocolError`."""
    if len(line) > MAX_LINE:
        raise ProtocolError(f"A line has more than {MAX_LINE} bytes.")
    try:
        told = _PLAIN.decode(line.decode())
        if b"\\ud" in line or b"\\uD" in line:  # half a pair is no text, and would break an answer
            json.dumps(told, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ProtocolError("A line is not JSON.") from None
    if not isinstance(told, dict):
        raise ProtocolError("A line is not a JSON object.")
    name = told.pop("type", None)
    kind = known.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProtocolError(f"A message has the unknown type {str(name)[:40]!r}.")
    return _build(kind, told)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


_PLAIN = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _build(kind: Any, told: Mapping[str, Any]) -> Any:
    """Make the dataclass `kind`; keys it does not know are ignored, so that it may grow."""
    values = {
        name: _read(f"{kind.__name__}.{name}", hint, told[name])
        for name, hint in _hints(kind).items()
        if name in told
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise ProtocolError(f"{kind.__name__} is not whole: {error}.") from None


@lru_cache
def _hints(kind: Any) -> Mapping[str, Any]:
    """Return the types of a message's fields: worked out once, for a step comes every few ms."""
    return get_type_hints(kind)


def _read(where: str, hint: Any, value: Any) -> Any:
    """Return `value` as the type `hint` says: a plain one, a tuple, a mapping or a dataclass."""
    if hint is Any:
        return value
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if is_dataclass(hint):
        return _build(hint, _of_type(where, dict, value))
    if origin is tuple:
        return tuple(_read(where, inner[0], item) for item in _of_type(where, list, value))
    if origin is Mapping:
        found = _of_type(where, dict, value)
        return {key: _read(where, inner[1], item) for key, item in found.items()}
    return _of_type(where, hint, value)


def _of_type(where: str, kind: type, value: Any) -> Any:
    if type(value) is not kind:  # and not isinstance: True is no number here
        raise ProtocolError(f"{where} is no {kind.__name__}.")
    return value


class Lines:
    """Cuts a stream of bytes into lines, holding `MAX_LINE` bytes and one read at most.

    Of a longer line only the first `MAX_LINE + 1` bytes come out, which is enough to refuse it.
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what was read and give the lines that are whole, without their newline."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._add(line)
            yield bytes(self._rest)
            self._rest.clear()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._rest += part[: MAX_LINE + 1 - len(self._rest)]
