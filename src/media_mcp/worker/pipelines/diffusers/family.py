"""One set of weights and the pipelines that share it: text-to-image, image-to-image and so on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured
from media_mcp.worker import speed
from media_mcp.worker.pipelines.diffusers.classes import find_class, is_modular, named_in
from media_mcp.worker.pipelines.spec import components_of
from media_mcp.worker.work import Work


class Family:
    """The pipelines made so far on the weights in `folder`, by class or, if modular, workflow.

    The first loads them; each other takes over what is loaded, in milliseconds, and loads no more
    than it needs besides. `to(device)` moves all of them.
    """

    def __init__(self, folder: Path, dtype: str, device: str) -> None:
        self.folder = folder
        self._named = named_in(folder)
        self._dtype = dtype
        self._device = device
        self._made: dict[str, Any] = {}

    @property
    def components(self) -> dict[str, Any]:
        """What is loaded, by name."""
        found: dict[str, Any] = {}
        for pipe in self._made.values():
            found |= {name: one for name, one in pipe.components.items() if one is not None}
        return found

    def pipeline(self, work: Work) -> Any:
        """Return the pipeline that runs this work, made when it is first asked for."""
        spec = work.run.spec
        kind = find_class(spec, self._named)
        modular = is_modular(kind)
        name = f"{kind.__name__} {spec.get('workflow') or ''}" if modular else kind.__name__
        if name not in self._made:
            make = self._modular if modular else self._ordinary
            self._made[name] = make(kind, work)
        return self._made[name]

    def to(self, device: str) -> Family:
        """Move every part to `device`."""
        for pipe in self._made.values():
            pipe.to(device)
        return self

    def _ordinary(self, kind: Any, work: Work) -> Any:
        """Make a pipeline of `kind`. `from_pipe` would not do: it casts what is shared."""
        shared = self._shared(_types(kind))
        extra = {
            name: self._component(name, str(place), _types(kind).get(name, ()), work)
            for name, place in components_of(work.run.spec).items()
            if name not in shared
        }
        loader = speed.Loader(work)
        pipe = kind.from_pretrained(
            str(self.folder),
            **shared,
            **extra,
            **self._arguments(),
            **({} if shared else loader.arguments(self.folder)),
            variant=work.run.spec.get("variant"),
            trust_remote_code=False,
        )
        return self._placed(pipe, shared) if shared else loader.finish(pipe)

    def _modular(self, kind: Any, work: Work) -> Any:
        """Make a modular pipeline. What only another workflow uses makes room for what is new."""
        workflow = work.run.spec.get("workflow")
        try:
            pipe = kind.from_pretrained(str(self.folder), workflow=workflow, local_files_only=True)
        except (ValueError, NotImplementedError) as error:
            raise BadCard(
                f"workflow: {str(workflow)[:80]!r} cannot be had: {error}", "Mend the model's card."
            ) from None
        shared = self._shared(pipe.component_names)
        if set(pipe.pretrained_component_names) - shared.keys():
            self._made.clear()
        pipe.update_components(**shared)
        pipe.load_components(**self._arguments())
        _check_whole(pipe, self.folder)
        return self._placed(pipe, shared) if shared else speed.Loader(work).finish(pipe)

    def _arguments(self) -> dict[str, Any]:
        import torch

        dtype = getattr(torch, self._dtype)
        return {"dtype": dtype, "use_safetensors": True, "local_files_only": True}

    def _shared(self, wanted: Iterable[str]) -> dict[str, Any]:
        names = set(wanted)
        return {name: one for name, one in self.components.items() if name in names}

    def _component(self, name: str, place: str, kinds: Iterable[Any], work: Work) -> Any:
        """Load a part that the weights do not hold, as HiDream's Llama or a ControlNet."""
        kind = next((one for one in kinds if hasattr(one, "from_pretrained")), None)
        if kind is None:
            raise BadCard(f"components: {name!r} is no part of this class.", "Mend the card.")
        work.log(f"Loading {name} from {place}.")
        arguments = self._arguments() if hasattr(kind, "parameters") else {}
        return kind.from_pretrained(place, **arguments | {"local_files_only": True})

    def _placed(self, pipe: Any, shared: Mapping[str, Any]) -> Any:
        """Return `pipe` with what was loaded just now on the device; the rest is where it was."""
        for name, one in pipe.components.items():
            if name not in shared and hasattr(one, "parameters"):
                one.to(self._device)
        return pipe


def _types(kind: Any) -> dict[str, Any]:
    types: dict[str, Any] = kind._get_signature_types()
    return types


def _check_whole(pipe: Any, folder: Path) -> None:
    """Raise what `load_components` only logs: that a part could not be loaded."""
    absent = [name for name in pipe.pretrained_component_names if getattr(pipe, name) is None]
    if absent:
        raise NotConfigured(
            f"The weights at {folder} lack {', '.join(absent)}.",
            "Fetch them again; only safetensors files are read, never pickles.",
        )
