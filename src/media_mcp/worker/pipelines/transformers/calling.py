"""What a call asks for, taken apart: what we do ourselves, and what a model's `generate` takes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

from media_mcp.errors import BadInput, InvalidArguments, Problem
from media_mcp.worker.pipelines.transformers.loading import Loaded
from media_mcp.worker.work import Work

# Written by the files' encoder, whatever the model.
_ENCODERS = frozenset({"output_format", "output_quality", "seed"})


@dataclass(slots=True)
class Call:
    """One job on a loaded model. `take` removes an argument, so that what is left at the end is
    what nothing had a use for."""

    work: Work
    loaded: Loaded
    left: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Work, loaded: Loaded) -> Call:
        given = {k: v for k, v in work.run.call.items() if k not in _ENCODERS and v is not None}
        return cls(work, loaded, given)

    def take(self, *names: str, default: Any = None) -> Any:
        """Return the first of the arguments that is given."""
        found = [self.left.pop(name) for name in names if name in self.left]
        return found[0] if found else default

    def text(self, *names: str) -> str:
        """Return an argument that must hold words. Raises `InvalidArguments`."""
        text = str(self.take(*names, default="")).strip()
        if not text:
            raise wrong(names[0], "it is empty", "Say what there is to do.")
        return text

    def files(self, *names: str) -> list[str]:
        """Return the paths of the files that an argument, or each of a list, stands for."""
        given = self.take(*names, default=[])
        uris = given if isinstance(given, list) else [given]
        return [self._path(names[0], str(uri)) for uri in uris]

    def _path(self, name: str, uri: str) -> str:
        path = self.work.run.inputs.get(uri)
        if path is None:
            raise BadInput(f"{name}: {uri[:80]!r} is no file that came with the call.", "Send it.")
        return path

    def options(self, *more: str) -> dict[str, Any]:
        """Take what `generate` has a use for: how to sample, how long, and `more`."""
        names = [name for name in self.left if name in more or name in _sampling()]
        return {name: self.left.pop(name) for name in names}

    def ignored(self) -> list[str]:
        """Return what nothing had a use for, and say so."""
        if self.left:
            names = ", ".join(sorted(self.left))
            self.work.log(f"Ignored, as {self.loaded.name} has no use for it: {names}.")
        return sorted(self.left)

    def seeded(self) -> None:
        """Draw the same numbers as every run with this seed, on the device too."""
        import torch

        torch.manual_seed(self.work.run.seed)


def _sampling() -> frozenset[str]:
    from transformers import GenerationConfig

    return frozenset(GenerationConfig().to_dict()) - {"transformers_version"}


def accepts(function: Any, name: str) -> bool:
    """Whether a function has a parameter called `name`."""
    return name in inspect.signature(function).parameters


def wrong(field_name: str, fault: str, hint: str = "") -> InvalidArguments:
    """Return the error for one argument."""
    return InvalidArguments([Problem(field_name, f"{fault}.")], hint)
