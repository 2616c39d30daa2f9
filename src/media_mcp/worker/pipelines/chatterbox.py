"""Runs Chatterbox by its own package (chatterbox-tts 0.1.7): a voice copied, a voice changed.

A card's spec says `class` (ChatterboxTTS, ChatterboxMultilingualTTS or ChatterboxVC) and `weights`
(an absolute folder or a hub id). What is made carries the package's inaudible watermark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

from media_mcp.errors import BadCard, BadInput, InvalidArguments, Problem, did_you_mean
from media_mcp.worker import sentences, sound
from media_mcp.worker.encode import save_sound
from media_mcp.worker.pipelines.faults import readable_faults
from media_mcp.worker.pipelines.fetching import bytes_of, fetched
from media_mcp.worker.pipelines.watching import Steps, set_to, watched
from media_mcp.worker.residency import Plan
from media_mcp.worker.work import Product, Work

MOST = 280  # characters of a part: a thousand tokens, forty seconds, are all it says at once
TOKENS = 1000
LISTENING = 16_000  # hertz at which it hears recordings
VOICE_SECONDS = 60.0
SPOKEN = ("exaggeration", "temperature", "cfg_weight", "repetition_penalty", "min_p", "top_p")


@dataclass(frozen=True, slots=True)
class Kind:
    """One class of the package: where it is, what it loads, what of a run would stay behind."""

    module: str
    must: str
    files: tuple[str, ...]
    state: str


_ENGLISH = ("ve.safetensors", "t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json")
_MANY = ("ve.pt", "t3_mtl23ls_v2.safetensors", "s3gen.pt", "grapheme_mtl_merged_expanded_v1.json")
KINDS: Mapping[str, Kind] = {
    "ChatterboxTTS": Kind("tts", "t3_cfg.safetensors", (*_ENGLISH, "conds.pt"), "conds"),
    "ChatterboxMultilingualTTS": Kind(
        "mtl_tts",
        "t3_mtl23ls_v2.safetensors",
        (*_MANY, "conds.pt", "Cangjie5_TC.json"),
        "conds",
    ),
    "ChatterboxVC": Kind("vc", "s3gen.safetensors", ("s3gen.safetensors", "conds.pt"), "ref_dict"),
}


def run(work: Work) -> Product:
    """Speak `text` in the voice of `audio_prompt_path`, or `audio` in that of
    `target_voice_path`."""
    import torch

    spec = work.run.spec
    weights, kind = str(spec.get("weights", "")), _kind(spec)
    with (
        readable_faults(weights, work.device, work.residency),
        work.residency.hold(
            f"chatterbox {weights} {spec['class']}",
            lambda: _plan(work, weights, kind),
            model=work.run.model,
        ) as held,
    ):
        torch.manual_seed(work.run.seed)
        started = perf_counter()
        model = held.value
        act = _change if kind.module == "vc" else _speak
        with set_to(model, {kind.state: getattr(model, kind.state)}):
            samples = act(work, model)
        facts = {
            "seconds": round(len(samples) / model.sr, 2),
            "sample_rate": int(model.sr),
            "watermark": "PerTh",
            "seed": work.run.seed,
            "load_seconds": round(held.load_seconds, 3),
            "run_seconds": round(perf_counter() - started, 3),
            "device": work.device.name,
        }
        return Product((save_sound(work, samples, int(model.sr)),), facts)


def _kind(spec: Mapping[str, Any]) -> Kind:
    name = str(spec.get("class") or "")
    if name not in KINDS:
        hint = did_you_mean(name, list(KINDS)) or f"Known: {', '.join(KINDS)}."
        raise BadCard(f"class: {name[:80]!r} is none of chatterbox's.", hint)
    return KINDS[name]


def _plan(work: Work, weights: str, kind: Kind) -> Plan:
    folder = fetched(work, weights, kind.files, kind.must)
    return Plan(bytes_of(folder, kind.files), lambda: load(work, folder, kind), movable=False)


def load(work: Work, folder: Path, kind: Kind) -> Any:
    """Load the class from `folder` onto the device."""
    module = import_module(f"chatterbox.{kind.module}")
    work.log(f"Loading {work.run.spec['weights']} on {work.device.name}.")
    made = getattr(module, str(work.run.spec["class"]))
    return made.from_local(folder, work.device.name)


def _speak(work: Work, model: Any) -> Any:
    call = dict(work.run.call)
    text = str(call.get("text") or "").strip()
    if not text:
        raise _wrong("text", "it is empty")
    options = {name: call[name] for name in SPOKEN if call.get(name) is not None}
    options |= _language(model, call)
    prompt = _recording(work, "audio_prompt_path", VOICE_SECONDS)
    if prompt is None and model.conds is None:
        raise _wrong("audio_url", "these weights have no voice of their own", "Give a recording.")
    parts = sentences.parts(text, MOST)
    steps = Steps(work, len(parts) * TOKENS)
    pieces = []
    for number, part in enumerate(parts, 1):
        first = {"audio_prompt_path": prompt} if prompt and number == 1 else {}
        with watched(steps, model.t3.tfmr):
            pieces.append(_samples(model.generate(part, **first, **options)))
        steps.reach(number * TOKENS)
    return sound.joined(pieces, model.sr)


def _language(model: Any, call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the language where the class speaks several. Raises `InvalidArguments`."""
    supported: Callable[[], Mapping[str, str]] | None = getattr(
        model, "get_supported_languages", None
    )
    if supported is None:
        return {}
    known, given = supported(), str(call.get("language_id") or call.get("language") or "en")
    if given.lower() not in known:
        hint = f"Known: {', '.join(sorted(known))}."
        raise _wrong("language", f"{given[:40]!r} is not spoken by this model", hint)
    return {"language_id": given.lower()}


def _change(work: Work, model: Any) -> Any:
    recording = _recording(work, "audio", sound.LONGEST / 6)
    if recording is None:
        raise _wrong("audio", "no recording is given")
    target = _recording(work, "target_voice_path", VOICE_SECONDS)
    if target is None and model.ref_dict is None:
        raise _wrong("target_voice_path", "no recording of the voice is given")
    steps = Steps(work, 10)  # of its decoder, twice where it is guided
    with watched(steps, model.s3gen.flow.decoder.estimator.final_proj):
        made = model.generate(recording, target_voice_path=target)
    steps.end()
    return _samples(made)


def _recording(work: Work, name: str, most: float) -> str | None:
    """Return the path of a recording as WAV, which the package can read whatever it was."""
    import soundfile

    uri = work.run.call.get(name)
    if uri is None:
        return None
    path = work.run.inputs.get(str(uri))
    if path is None:
        raise BadInput(f"{name}: {str(uri)[:80]!r} is no file that came with the call.", "Send it.")
    heard = sound.read(path, LISTENING * 3 // 2, most=most, name=name)
    made = work.folder / f"{name}.heard.wav"
    soundfile.write(made, heard.samples, heard.rate)
    return str(made)


def _samples(made: Any) -> Any:
    return made.detach().float().cpu().numpy().reshape(-1)


def _wrong(name: str, fault: str, hint: str = "") -> InvalidArguments:
    return InvalidArguments([Problem(name, f"{fault}.")], hint)
