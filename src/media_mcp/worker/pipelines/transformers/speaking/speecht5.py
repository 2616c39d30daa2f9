"""SpeechT5: a spectrum step by step, a vocoder, and a voice given as 512 numbers in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from media_mcp.errors import BadCard
from media_mcp.worker.pipelines.transformers.calling import Call
from media_mcp.worker.pipelines.transformers.speaking.speaker import Speaker, unknown_voice

VOCODER = "vocoder"
_SPECTRA = 20  # what the class itself takes a token for at most, in steps of its reduction


class SpeechT5(Speaker):
    """Without a file of voices, its voice is the one of no speaker: all zeros."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        config = call.loaded.model.config
        if VOCODER not in call.loaded.companions:
            raise BadCard(
                "companions: SpeechT5ForTextToSpeech speaks through a vocoder, and none is named.",
                "Add companions: {vocoder: microsoft/speecht5_hifigan} to the card's spec.",
            )
        self.most = min(self.most, int(config.max_text_positions) - 2)
        self.steps = int(self.most * _SPECTRA / config.reduction_factor)
        self._threshold = float(call.take("threshold", default=0.5))
        self._longest = float(call.take("maxlenratio", default=_SPECTRA))
        self._voice = self._embedding(call.take("voice"))

    @property
    def rate(self) -> int:
        return int(self.call.loaded.companions[VOCODER].config.sampling_rate)

    @property
    def modules(self) -> Sequence[Any]:
        return (self.call.loaded.model.speecht5.decoder.wrapped_decoder,)

    def _embedding(self, given: Any) -> Any:
        import torch

        size = int(self.call.loaded.model.config.speaker_embedding_dim)
        voices = self.call.work.run.spec.get("voices") or {}
        if given is None and not voices:
            return self._put(torch.zeros(1, size))
        name = given if given is not None else next(iter(voices))
        if name not in voices:
            raise unknown_voice(name, sorted(voices))
        return self._put(torch.from_numpy(_vector(Path(str(voices[name])), size))[None])

    def _put(self, vector: Any) -> Any:
        return vector.to(self.call.loaded.device, self.call.loaded.model.dtype)

    def speak(self, part: str) -> Any:
        loaded = self.call.loaded
        inputs = loaded.put(loaded.processor(text=part, return_tensors="pt"))
        return loaded.model.generate_speech(
            inputs["input_ids"],
            self._voice,
            vocoder=loaded.companions[VOCODER],
            threshold=self._threshold,
            maxlenratio=self._longest,
        )


def _vector(path: Path, size: int) -> Any:
    """Read a voice from an .npy file. Raises `BadCard`."""
    import numpy

    try:
        vector = numpy.load(path.expanduser(), allow_pickle=False).astype("float32").reshape(-1)
    except (OSError, ValueError) as error:
        raise BadCard(f"voices: {path} cannot be read: {error}", "Mend the card.") from None
    if len(vector) != size:
        raise BadCard(f"voices: {path} holds {len(vector)} numbers, not {size}.", "Mend the card.")
    return vector


def speaker(call: Call) -> Speaker:
    return SpeechT5(call)
