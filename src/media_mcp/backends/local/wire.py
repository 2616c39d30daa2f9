"""Between the port's words and the worker's: runs go out, results and errors come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from stat import S_ISREG

from media_mcp import trail
from media_mcp.backends.base import Run
from media_mcp.backends.local.speeds import quickened
from media_mcp.catalog.requests import request_for
from media_mcp.errors import BackendFailed, BadOutput, InvalidArguments, MediaError, Problem
from media_mcp.job import JSON, Output, Result
from media_mcp.media.jsontext import MOST_DEEP, deeper
from media_mcp.media.names import printable, shown
from media_mcp.speed import Choice
from media_mcp.worker import protocol

EXACTLY = Choice()
# Read by the worker itself, as is what `enlarge` names.
_WORKERS = ("seed", "num_images", "loras")
LONGEST = 1000  # characters of a worker's own words
LONGEST_WORD = 100  # characters of a role or MIME type
MOST_OUTPUTS = 1000
MOST_SECONDS = 1e6
FAULT = "This is a fault of the pipeline: report it."


def to_wire(run: Run, speed: Choice = EXACTLY, *, hub_loras: bool = False) -> protocol.Run:
    """Say `run` in the worker's words, with the speed settings of its project.

    `hub_loras` lets the call name a LoRA by its hub repository.

    Raises `BadCard` for a spec that cannot be done and `BadSettings` for settings that cannot.
    """
    spec = run.route.spec
    call, quick = _call(run), quickened(spec, speed)
    arguments = dict(run.arguments) | spec.get("fixed", {})
    return protocol.Run(
        job_id=run.job_id,
        attempt=run.attempt,
        model=run.model.id,
        pipeline=str(spec.get("pipeline", "")),
        spec=quick.spec | {"allow_hub_loras": hub_loras},
        arguments=arguments,
        call={**call, **quick.call},
        seed=_seed(run, arguments),
        folder=str(run.folder.resolve()),
        roles=tuple(output.role for output in run.model.outputs),
        inputs={uri: str(asset.path) for uri, asset in run.inputs.items()},
        request=trail.here().request,
    )


def _call(run: Run) -> dict[str, JSON]:
    """Return what the pipeline is called with, in its own words."""
    spec = run.route.spec
    hidden = dict.fromkeys([*_WORKERS, *filter(None, [spec.get("enlarge")])])
    names = spec.get("map", {})
    if isinstance(names, dict):  # else `request_for` says what is wrong
        spec = {**spec, "map": _sizes(run) | names | hidden}
    return request_for(run.model, replace(run.route, spec=spec), run.arguments)


def _sizes(run: Run) -> dict[str, JSON]:
    """Return rules that say sizes as diffusers take them, for those that a card has none for."""
    if run.route.spec.get("pipeline") != "diffusers":
        return {}
    sizes = (param.name for param in run.model.inputs if param.form == "size")
    return {name: {"to": ["width", "height"]} for name in sizes}


def _seed(run: Run, arguments: Mapping[str, JSON]) -> int:
    """Return the seed: the one that a card has fixed, or else the run's."""
    fixed = arguments.get("seed") if "seed" in run.route.spec.get("fixed", {}) else None
    return run.seed if fixed is None else int(fixed)


def to_result(done: protocol.Done, run: Run) -> Result:
    """Read what the worker made, which may be any program's word.

    Raises `BadOutput` for a file that is absent, elsewhere or a link, and for facts that nobody
    could keep or read.
    """
    facts = dict(done.facts)
    if deeper(facts, MOST_DEEP) or not _is_seconds(facts.get("load_seconds", 0.0)):
        raise BadOutput("The worker told facts that cannot be kept.", FAULT)
    if len(done.outputs) > MOST_OUTPUTS:
        raise BadOutput(f"The worker named {len(done.outputs)} outputs.", FAULT)
    folder = run.folder.parent.resolve() / run.folder.name  # no link itself, or it was swapped
    return Result(tuple(_output(made, folder) for made in done.outputs), facts, cost=0.0)


def _output(made: protocol.Made, folder: Path) -> Output:
    if not _is_file(folder, made.path):
        raise BadOutput(
            f"The worker named {shown(made.path, 100)!r} as an output, which is no file in the "
            "job's folder.",
            FAULT,
        )
    words = made.role, made.mime_type
    if not all(len(word) <= LONGEST_WORD and word.isprintable() for word in words):
        raise BadOutput("The worker named an output as nobody would.", FAULT)
    return Output(folder / made.path, made.role, made.mime_type)


def _is_file(folder: Path, name: str) -> bool:
    """Tell whether a folder, itself no link, has a file of this name that is no link either."""
    try:
        plain = PurePath(name).name == name and not folder.is_symlink()
        return plain and S_ISREG((folder / name).lstat().st_mode)
    except (OSError, ValueError):  # not there, too long, or NUL in it
        return False


def _is_seconds(told: JSON) -> bool:
    return type(told) in (int, float) and 0 <= told < MOST_SECONDS


def said(text: str, most: int = LONGEST) -> str:
    """Return a worker's own words: so many at most, on one line, with nothing that hides."""
    return shown(" ".join(printable(text[: 2 * most]).split()), most)


def to_error(failed: protocol.Failed) -> MediaError:
    """Make the error that the worker met; a code we do not know becomes `BackendFailed`."""
    kind = _by_code().get(failed.code, BackendFailed)
    error = kind.__new__(kind)  # the words are made already, and constructors differ
    MediaError.__init__(error, said(failed.message), said(failed.hint))
    if isinstance(error, BackendFailed):
        error.retryable = failed.retryable
    if isinstance(error, InvalidArguments):
        error.problems = (Problem("", error.message),)
    return error


def _by_code() -> Mapping[str, type[MediaError]]:
    return {kind.code: kind for kind in _family(MediaError)}


def _family(kind: type[MediaError]) -> Iterator[type[MediaError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)
