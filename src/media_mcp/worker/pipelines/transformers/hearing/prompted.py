"""Classes that write a transcript as a language model does, each asked in its processor's way.

Canary, Moonshine, Voxtral, Granite Speech, Qwen3 ASR, GLM ASR, Fun ASR, Cohere, Kyutai and those
that come: a processor that has `apply_transcription_request` is asked through it, one with a chat
template is asked in words, and one that takes sound alone gets just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from media_mcp.worker.pipelines.transformers.calling import Call, accepts, wrong
from media_mcp.worker.pipelines.transformers.hearing.hearer import Hearer, whole
from media_mcp.worker.pipelines.watching import Steps, watched
from media_mcp.worker.sound import Window
from media_mcp.worker.transcript import Segment

ASK = "can you transcribe the speech into a written format?"  # what Granite Speech was taught
_MOONSHINE = 6.5  # tokens a second: its authors' bound against endless repetition
TOKENS_A_SECOND = 15
LEAST = 16  # tokens, however short a recording


class Prompted(Hearer):
    def __init__(self, call: Call, times: str) -> None:
        super().__init__(call, times)
        self.told = self._request()
        self._options = call.options()
        self._given = self._options.pop("max_new_tokens", None)

    def _request(self) -> dict[str, Any]:
        """Return what the processor is told besides the sound: language and whatever it takes."""
        call, asked = self.call, self._asked
        language = call.take("language")
        target = "en" if call.take("task") == "translate" else None
        if target and not accepts(asked, "target_language"):
            raise wrong("task", f"{call.loaded.name} does not translate", "Leave it out.")
        given = {
            "language": language,
            "source_language": language,
            "target_language": target,
            "prompt": call.take("prompt"),
            "keywords": call.take("keywords"),
            "model_id": call.work.run.spec.get("weights"),
            "format": "wav",
        }
        if language and not (accepts(asked, "language") or accepts(asked, "source_language")):
            call.left["language"] = language  # which is told as ignored
        else:
            self.language = str(language or "")
        return {k: v for k, v in given.items() if v is not None and accepts(asked, k)}

    @property
    def _asked(self) -> Any:
        processor = self.call.loaded.processor
        return getattr(processor, "apply_transcription_request", processor.__call__)

    def hear(self, window: Window, steps: Steps) -> Sequence[Segment]:
        return whole(window, self.read(self.written(window, steps)))

    def written(self, window: Window, steps: Steps) -> Any:
        """Return the tokens that the model writes for a window, without those it was given."""
        loaded, inputs = self.call.loaded, self._inputs(window)
        most = self.tokens(window.seconds)
        with watched(steps, loaded.model):
            told = loaded.model.generate(**inputs, **self._options, max_new_tokens=most)
        told = getattr(told, "sequences", told)
        given = inputs.get("decoder_input_ids" if _encodes(loaded.model) else "input_ids")
        return told if given is None else told[:, given.shape[1] :]

    def tokens(self, seconds: float) -> int:
        pace = _MOONSHINE if "Moonshine" in self.call.loaded.name else TOKENS_A_SECOND
        return int(self._given or max(LEAST, round(seconds * pace)))

    def _inputs(self, window: Window) -> dict[str, Any]:
        processor, rate = self.call.loaded.processor, {"sampling_rate": window.rate}
        try:
            if hasattr(processor, "apply_transcription_request"):
                more = rate if accepts(self._asked, "sampling_rate") else {}
                made = self._asked(window.samples, **self.told, **more, return_tensors="pt")
            elif accepts(processor.__call__, "text") and self._chats:
                made = processor(text=self._question(), audio=window.samples, return_tensors="pt")
            else:
                made = processor(audio=window.samples, return_tensors="pt", **rate, **self.told)
        except ValueError as error:
            if "anguage" not in str(error):
                raise
            said = str(error).strip().splitlines()[0][:200]
            raise wrong("language", said.rstrip(".")) from error
        return self.call.loaded.put(made)

    @property
    def _chats(self) -> bool:
        processor = self.call.loaded.processor
        return bool(
            getattr(processor, "chat_template", None)
            or getattr(getattr(processor, "tokenizer", None), "chat_template", None)
        )

    def _question(self) -> str:
        """Return the request in the form of a chat: the sound, then what is wanted."""
        processor = self.call.loaded.processor
        holder = processor if getattr(processor, "chat_template", None) else processor.tokenizer
        said = [{"role": "user", "content": f"{processor.audio_token}{ASK}"}]
        return str(holder.apply_chat_template(said, tokenize=False, add_generation_prompt=True))

    def read(self, tokens: Any) -> str:
        processor = self.call.loaded.processor
        if accepts(processor.decode, "return_format"):
            return str(processor.decode(tokens[0], return_format="transcription_only"))
        return str(processor.batch_decode(tokens, skip_special_tokens=True)[0])


def _encodes(model: Any) -> bool:
    return bool(getattr(model.config, "is_encoder_decoder", False))


def hearer(call: Call, times: str) -> Hearer:
    return Prompted(call, times)
