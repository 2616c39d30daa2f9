"""What every class that speaks has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from media_mcp.errors import InvalidArguments, did_you_mean
from media_mcp.worker import sentences, sound
from media_mcp.worker.pipelines.transformers.calling import Call, wrong

LONGEST_VOICE = 60.0  # seconds of a recording that a voice is copied from


class Speaker(ABC):
    """Speaks parts of at most `most` characters, each in about `steps` steps.

    `modules` are those whose passes are steps; none where a part is one step.
    """

    most = 300
    steps = 1

    def __init__(self, call: Call) -> None:
        self.call = call

    @property
    def rate(self) -> int:
        """The samples a second of what is spoken."""
        return self.call.loaded.rate

    @property
    def modules(self) -> Sequence[Any]:
        return ()

    def parts(self, text: str) -> list[str]:
        """Return the parts in which a text is spoken."""
        return sentences.parts(text, self.most)

    @abstractmethod
    def speak(self, part: str) -> Any:
        """Return the samples of one part, a tensor of any shape that is one sound."""

    def recordings(self, *names: str) -> list[Any]:
        """Return the samples of recordings of voices, at the rate of the class."""
        return [
            sound.read(path, self.rate, most=LONGEST_VOICE, name=names[0]).samples
            for path in self.call.files(*names)
        ]


class Writing(Speaker):
    """A class that writes sound token by token: `steps` is how many a part may take."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.options = call.options("num_diffusion_steps", "depth_decoder_temperature")
        given = self.options.pop("max_new_tokens", None)
        self.steps = int(given or self.longest)

    @property
    def longest(self) -> int:
        """Return how many tokens a part may take where the call does not say."""
        config = self.call.loaded.model.generation_config
        told = getattr(config, "max_new_tokens", None) or getattr(config, "max_length", None)
        return int(told or 2048)

    @property
    def modules(self) -> Sequence[Any]:
        return (self.call.loaded.model,)

    def sampling(self) -> dict[str, Any]:
        """Return what `generate` is told; a temperature means that tokens are drawn."""
        drawn = {"do_sample": True} if {"temperature", "top_p", "top_k"} & set(self.options) else {}
        return drawn | self.options | {"max_new_tokens": self.steps}


def unknown_voice(given: Any, known: Sequence[str]) -> InvalidArguments:
    """Return the error for a voice that is not there."""
    hint = did_you_mean(str(given), known) or f"Known: {', '.join(known[:12]) or 'none'}."
    return wrong("voice", f"{str(given)[:40]!r} is none of this model's {len(known)} voices", hint)
