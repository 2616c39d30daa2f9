"""Loads a model and what prepares its inputs: safetensors only, no code but transformers' own."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard, NotConfigured, Refused
from media_mcp.worker.pipelines.fetching import from_hub
from media_mcp.worker.pipelines.spec import DTYPES
from media_mcp.worker.pipelines.transformers.classes import find_class
from media_mcp.worker.residency import Plan
from media_mcp.worker.weights import estimate, local_folder
from media_mcp.worker.work import Work

AUDIO_TOKENIZER = "audio_tokenizer"  # the role of the model that turns codes into sound
_PROCESSOR_FILE = "processor_config.json"
_AUDIO_TOKENIZER_FILE = "audio_tokenizer_config.json"
FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.npy")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device and its processor; `companions` are further models, by their roles."""

    model: Any
    processor: Any
    device: str
    companions: Mapping[str, Any] = field(default_factory=dict)

    def to(self, device: str) -> Loaded:
        """Move all that holds weights, as a model is moved."""
        tokenizer = getattr(self.processor, AUDIO_TOKENIZER, None)
        for one in (self.model, *self.companions.values(), tokenizer):
            if one is not None:
                one.to(device)
        return self

    @property
    def name(self) -> str:
        return type(self.model).__name__

    @property
    def rate(self) -> int:
        """The samples a second that the processor wants to hear."""
        return sampling_rate(self.processor)

    def put(self, inputs: Any) -> dict[str, Any]:
        """Return inputs on the device, numbers with a point in the model's own format."""
        return {name: self._put(value) for name, value in inputs.items()}

    def _put(self, value: Any) -> Any:
        if not hasattr(value, "is_floating_point"):
            return value
        return value.to(self.device, self.model.dtype if value.is_floating_point() else None)


def sampling_rate(processor: Any) -> int:
    """Return the rate in hertz that a processor, or what in it hears, is made for."""
    for part in ("feature_extractor", "audio_processor", ""):
        holder = getattr(processor, part, None) if part else processor
        if rate := getattr(holder, "sampling_rate", None):
            return int(rate)
    return 16_000


def plan(work: Work, dtype: str) -> Plan:
    """Look for the weights and say how large they are and what loads them."""
    spec = work.run.spec
    kind = find_class(spec)
    folder = find_weights(work, str(spec.get("weights", "")), spec.get("revision"))
    _check_code(spec, folder)
    _check_kind(kind, folder)
    wanted = companions(spec) | _audio_tokenizer_of(folder, companions(spec))
    others = {role: find_weights(work, weights) for role, weights in wanted.items()}
    size = sum(estimate(one, DTYPES[dtype]) for one in (folder, *others.values()))
    return Plan(size, lambda: load(work, folder, others, dtype))


def _check_code(spec: Mapping[str, Any], folder: Path) -> None:
    """Raise `Refused` where weights come with code that the card does not ask for."""
    told = _json(folder / "config.json")
    if spec.get("remote_code") or not told.get("auto_map") or _is_known(told.get("model_type")):
        return
    raise Refused(
        f"The weights in {folder} come with Python code of their own, which is not run.",
        "Where you trust it, say `remote_code: true` in the card and set allow_remote_code = true.",
    )


def _is_known(model_type: Any) -> bool:
    """Whether transformers has a class of its own for weights that bring code, too."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return model_type in CONFIG_MAPPING


def _check_kind(kind: Any, folder: Path) -> None:
    """Raise `BadCard` where the weights are of another class: it would load them as noise."""
    wanted = getattr(getattr(kind, "config_class", None), "model_type", None)
    told = _json(folder / "config.json")
    found = told.get("model_type")
    if wanted and found and wanted != found:
        names = ", ".join(map(str, told.get("architectures") or [found]))
        raise BadCard(
            f"class: the weights in {folder} are of {names}, not {kind.__name__}.",
            "Mend the model's card.",
        )


def companions(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the further weights that a card names, as a vocoder: their roles and places."""
    return {str(role): str(weights) for role, weights in (spec.get("companions") or {}).items()}


def find_weights(work: Work, weights: str, revision: Any = None) -> Path:
    """Return the folder of `weights`, fetching it from the hub if it is a repository there."""
    code = ("*.py",) if work.run.spec.get("remote_code") else ()
    return local_folder(weights) or from_hub(work, weights, (*FILES, *code), revision)


def load(work: Work, folder: Path, others: Mapping[str, Path], dtype: str) -> Loaded:
    """Load model, processor and companions onto the device."""
    import torch

    _quieten()
    spec = work.run.spec
    work.log(f"Loading {spec['weights']} on {work.device.name}.")
    kept = {role: path for role, path in others.items() if role != AUDIO_TOKENIZER}
    remote_code = bool(spec.get("remote_code"))
    model = _model(find_class(spec), folder, getattr(torch, dtype), remote_code)
    work.check()
    processor = _processor(folder, others.get(AUDIO_TOKENIZER), remote_code)
    own = {role: _companion(role, path, getattr(torch, dtype)) for role, path in kept.items()}
    return Loaded(model, processor, work.device.name, own).to(work.device.name)


def _model(kind: Any, folder: Path, dtype: Any, remote_code: bool = False) -> Any:
    return kind.from_pretrained(
        str(folder),
        dtype=dtype,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=remote_code,
    )


def _companion(role: str, folder: Path, dtype: Any) -> Any:
    """Load what goes with a model: a vocoder has a class of its own, all else says which it is."""
    import transformers

    kind = transformers.SpeechT5HifiGan if role == "vocoder" else transformers.AutoModel
    return _model(kind, folder, dtype)


def _processor(folder: Path, audio_tokenizer: Path | None, remote_code: bool) -> Any:
    """Return what prepares the inputs: a processor, or the tokenizer where there is no more.

    Weights with code may bring it within their model; then there is none.
    """
    from transformers import AutoProcessor

    lacking = (ValueError, OSError) if remote_code else ()
    with suppress(*lacking), _pointing_to(folder, audio_tokenizer) as place:
        return AutoProcessor.from_pretrained(
            str(place), local_files_only=True, trust_remote_code=remote_code
        )
    return None


def _audio_tokenizer_of(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the audio tokenizer that the processor in `folder` names, if the card does not."""
    named = _audio_tokenizer_entry(folder).get("audio_tokenizer_name_or_path")
    return {AUDIO_TOKENIZER: str(named)} if named and AUDIO_TOKENIZER not in given else {}


def _audio_tokenizer_entry(folder: Path) -> Mapping[str, Any]:
    try:
        told = _json(folder / _PROCESSOR_FILE).get(AUDIO_TOKENIZER)
        return told or _json(folder / _AUDIO_TOKENIZER_FILE)
    except (ValueError, AttributeError) as error:
        raise NotConfigured(
            f"The processor in {folder} cannot be read: {error}", "Fetch it again."
        ) from None


def _json(path: Path) -> Mapping[str, Any]:
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


@contextmanager
def _pointing_to(folder: Path, audio_tokenizer: Path | None) -> Iterator[Path]:
    """Give a folder whose processor finds its audio tokenizer on this machine.

    The processor loads it from wherever its file says, a pickle if there is no more; here that is
    a folder in which there is nothing but safetensors.
    """
    entry = _audio_tokenizer_entry(folder)
    if audio_tokenizer is None or not entry:
        yield folder
        return
    if not any(audio_tokenizer.glob("*.safetensors")):
        raise OSError(f"there are no safetensors in {audio_tokenizer}")
    with tempfile.TemporaryDirectory() as made:
        for file in folder.iterdir():
            if file.name not in (_AUDIO_TOKENIZER_FILE, _PROCESSOR_FILE):
                os.symlink(file.resolve(), Path(made) / file.name)  # noqa: PTH211
        told = {**entry, "audio_tokenizer_name_or_path": str(audio_tokenizer)}
        whole = {**_json(folder / _PROCESSOR_FILE), AUDIO_TOKENIZER: told}
        (Path(made) / _PROCESSOR_FILE).write_text(json.dumps(whole))
        yield Path(made)


def _quieten() -> None:
    """Keep the library's notices and bars out of the log."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
