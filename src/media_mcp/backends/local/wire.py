"""Between the port's words and the worker's: runs go out, results and errors come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from media_mcp import trail
from media_mcp.backends.base import Run
from media_mcp.backends.local.speeds import quickened
from media_mcp.catalog.requests import request_for
from media_mcp.errors import BackendFailed, BadOutput, InvalidArguments, MediaError, Problem
from media_mcp.job import JSON, Output, Result
from media_mcp.speed import Choice
from media_mcp.worker import protocol

EXACTLY = Choice()
# Read by the worker itself, as is what `enlarge` names.
_WORKERS = ("seed", "num_images", "loras")


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


def to_result(done: protocol.Done, folder: Path) -> Result:
    """Read what the worker made. Raises `BadOutput` for a file that is absent or elsewhere."""
    outputs = tuple(_output(made, folder.resolve()) for made in done.outputs)
    return Result(outputs, dict(done.facts), cost=0.0)


def _output(made: protocol.Made, folder: Path) -> Output:
    path = (folder / made.path).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise BadOutput(
            f"The worker named {made.path!r} as an output, which is no file in the job's folder.",
            "This is a fault of the pipeline: report it.",
        )
    return Output(path, made.role, made.mime_type)


def to_error(failed: protocol.Failed) -> MediaError:
    """Make the error that the worker met; a code we do not know becomes `BackendFailed`."""
    kind = _by_code().get(failed.code, BackendFailed)
    error = kind.__new__(kind)  # the words are made already, and constructors differ
    MediaError.__init__(error, failed.message, failed.hint)
    if isinstance(error, BackendFailed):
        error.retryable = failed.retryable
    if isinstance(error, InvalidArguments):
        error.problems = (Problem("", failed.message),)
    return error


def _by_code() -> Mapping[str, type[MediaError]]:
    return {kind.code: kind for kind in _family(MediaError)}


def _family(kind: type[MediaError]) -> Iterator[type[MediaError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)
