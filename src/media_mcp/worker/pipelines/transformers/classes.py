"""Which class of transformers a card names, and which code of ours runs its kind."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from media_mcp.errors import BadCard, did_you_mean

# What a class does is where transformers lists it; the first list that holds it counts.
LISTS: Mapping[str, str] = {
    "MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES": "speech",
    "MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES": "speech",
    "MODEL_FOR_CTC_MAPPING_NAMES": "transcript",
    "MODEL_FOR_TDT_MAPPING_NAMES": "transcript",
    "MODEL_FOR_RNNT_MAPPING_NAMES": "transcript",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES": "transcript",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES": "caption",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES": "transcript",
}
# Classes that stand in no list, or in one of another task.
TASKS: Mapping[str, str] = {
    "AutoModelForCausalLM": "vectors",
    "DiaForConditionalGeneration": "speech",
    "MossTranscribeDiarizeForConditionalGeneration": "transcript",
    "MusicgenForConditionalGeneration": "music",
    "MusicgenMelodyForConditionalGeneration": "music",
    "VisionEncoderDecoderModel": "caption",
}


def find_class(spec: Mapping[str, Any]) -> Any:
    """Return the class that a card's `class` names.

    Raises `BadCard` for one that is no model of the transformers installed here.
    """
    import transformers

    name = str(spec.get("class") or "")
    kind = getattr(transformers, name, None) if name.isidentifier() else None
    if isinstance(kind, type) and hasattr(kind, "from_pretrained") and task_of(name):
        return kind
    raise BadCard(
        f"class: {name[:80]!r} is no model for speech, music or captions of transformers "
        f"{transformers.__version__}.",
        did_you_mean(name, sorted(known())) or "Mend the model's card, or install a newer one.",
    )


def task_of(name: str) -> str:
    """Return what a class does: speech, transcript, music, caption, vectors, or nothing known."""
    return TASKS.get(name) or next((t for names, t in _lists() if name in names), "")


def known() -> set[str]:
    """Return the names of all classes that can be run."""
    return {*TASKS, *(name for names, _ in _lists() for name in names)}


def _lists() -> list[tuple[set[str], str]]:
    auto = import_module("transformers.models.auto.modeling_auto")
    found = ((getattr(auto, name, {}), task) for name, task in LISTS.items())
    return [({str(one) for one in names.values()}, task) for names, task in found]
