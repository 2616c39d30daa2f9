"""Runs Kokoro by its own package (kokoro 0.9.4): preset voices in eight languages, on any CPU.

A card's spec says `weights` (an absolute folder or a hub id). They are pickles, which the package
reads as numbers alone (`weights_only`); voices are files of the same folder, never paths of a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from media_mcp.errors import BadOutput, InvalidArguments, Problem, did_you_mean
from media_mcp.worker import sentences, sound
from media_mcp.worker.encode import save_sound
from media_mcp.worker.pipelines.faults import readable_faults
from media_mcp.worker.pipelines.fetching import bytes_of, fetched
from media_mcp.worker.residency import Plan
from media_mcp.worker.work import Product, Work

RATE = 24_000
VOICE = "af_heart"
MOST = 300  # characters of a part: its 510 phonemes are never cut
FILES = ("config.json", "*.pth", "voices/*.pt")
LANGUAGES = "abefhijpz"  # the first letter of a voice


@dataclass(slots=True)
class Loaded:
    """The model, the folder of its voices, and a pipeline for each language that was spoken."""

    model: Any
    folder: Path
    repository: str
    languages: dict[str, Any] = field(default_factory=dict)

    def to(self, device: str) -> Loaded:
        self.model.to(device)
        return self

    def voices(self) -> list[str]:
        return sorted(file.stem for file in (self.folder / "voices").glob("*.pt"))

    def speaker(self, language: str) -> Any:
        """Return what speaks a language, made when it is first spoken."""
        from kokoro import KPipeline

        if language not in self.languages:
            self.languages[language] = KPipeline(
                lang_code=language, repo_id=self.repository, model=self.model
            )
        return self.languages[language]


def run(work: Work) -> Product:
    """Speak `text` with `voice` at `speed`, sentence by sentence."""
    import torch

    weights = str(work.run.spec.get("weights", ""))
    with (
        readable_faults(weights, work.device, work.residency),
        work.residency.hold(
            f"kokoro {weights}", lambda: _plan(work, weights), model=work.run.model
        ) as held,
        torch.inference_mode(),
    ):
        torch.manual_seed(work.run.seed)
        started = perf_counter()
        samples, parts = _spoken(work, held.value)
        facts = {
            "seconds": round(len(samples) / RATE, 2),
            "sample_rate": RATE,
            "parts": parts,
            "load_seconds": round(held.load_seconds, 3),
            "run_seconds": round(perf_counter() - started, 3),
            "device": work.device.name,
        }
        return Product((save_sound(work, samples, RATE),), facts)


def _plan(work: Work, weights: str) -> Plan:
    folder = fetched(work, weights, FILES, "config.json")
    files = ("*.pth", "voices/*.pt")
    return Plan(bytes_of(folder, files), lambda: load(work, folder, weights))


def load(work: Work, folder: Path, weights: str) -> Loaded:
    """Load the model in `folder` onto the device."""
    from kokoro import KModel

    work.log(f"Loading {weights} on {work.device.name}.")
    weights_file = next(iter(sorted(folder.glob("*.pth"))), None)
    if weights_file is None:
        raise OSError(f"there is no .pth file in {folder}")
    repository = weights if not Path(weights).is_absolute() else "hexgrad/Kokoro-82M"
    model = KModel(repo_id=repository, config=str(folder / "config.json"), model=str(weights_file))
    return Loaded(model.eval(), folder, repository).to(work.device.name)


def _spoken(work: Work, loaded: Loaded) -> tuple[Any, int]:
    call = work.run.call
    text = str(call.get("text") or call.get("prompt") or "").strip()
    voice, speed = _voice(call.get("voice") or VOICE, loaded), float(call.get("speed") or 1.0)
    if not text:
        raise _wrong("text", "it is empty")
    if not speed > 0:
        raise _wrong("speed", f"{speed:g} is not above 0")
    parts = sentences.parts(text, MOST)
    pieces = []
    for number, part in enumerate(parts, 1):
        work.check()
        pieces += list(_said(loaded, voice, part, speed))
        work.step(number, len(parts))
    if not pieces:
        raise BadOutput(f"Kokoro said nothing to {text[:60]!r}.", "Use the voice's language.")
    return sound.joined(pieces, RATE), len(parts)


def _voice(given: Any, loaded: Loaded) -> Path:
    """Return the file of a voice. Raises `InvalidArguments` for one that is not there."""
    name, known = str(given), loaded.voices()
    if name not in known or name[0] not in LANGUAGES:
        hint = did_you_mean(name, known) or f"Known: {', '.join(known[:12]) or 'none'}."
        raise _wrong("voice", f"{name[:40]!r} is none of this model's {len(known)} voices", hint)
    return loaded.folder / "voices" / f"{name}.pt"


def _said(loaded: Loaded, voice: Path, part: str, speed: float) -> Iterator[Any]:
    speaker = loaded.speaker(voice.stem[0])
    for result in speaker(part, voice=str(voice), speed=speed):
        if result.audio is not None:
            yield result.audio.detach().float().cpu().numpy().reshape(-1)


def _wrong(name: str, fault: str, hint: str = "") -> InvalidArguments:
    return InvalidArguments([Problem(name, f"{fault}.")], hint)
