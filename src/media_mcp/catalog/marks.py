"""What a model shows of itself: its words with weights, its marks, and how likely it is meant."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from media_mcp.catalog.head import Head
from media_mcp.catalog.intents import KIND, TASK
from media_mcp.catalog.model import Model, every_param
from media_mcp.catalog.pricing import STAND_IN
from media_mcp.catalog.search_words import is_version, joined, words
from media_mcp.job import MediaKind

TRAINING = "training"
_HELPFUL = 0.35  # what a trait is worth that only helps
_CHEAP = 0.3  # the share of models of a task that count as cheap
_KINDS = (MediaKind.VIDEO, MediaKind.IMAGE, MediaKind.AUDIO)
_HOSTS = frozenset(("fal", "ai", "local"))
_USUAL = {"text-to-image": 0.2, "text-to-video": 0.2, "text-to-speech": 0.15, TRAINING: -1.0}
_USUAL |= dict.fromkeys(("image-to-video", "image-to-3d", "text-to-audio", "speech-to-text"), 0.1)
_NAME, _SIDE, _MAKER, _HINT, _GOOD, _PROSE, _INPUT = 1.0, 0.8, 0.8, 0.7, 0.5, 0.3, 0.25
_ALTERED = frozenset(
    words("lora stream realtime trainer enterprise openai finetuned embed rle bbox mask")
)
_LESSER = frozenset(
    words("fast lite mini turbo flash distilled small base distill 480p preview tiling")
)


@dataclass(frozen=True)
class Shown:
    """A model with its head, as words."""

    number: int
    model: Model
    head: Head

    @cached_property
    def path(self) -> list[list[str]]:
        """The segments of the id as words, without the host's own name."""
        segments = [words(segment) for segment in self.model.id.split("/")]
        return segments[1:] if self.hosted else segments

    @cached_property
    def hosted(self) -> bool:
        """Whether the id begins with who offers the model, and not with its family."""
        rest = self.model.id.partition("/")[2]
        return bool(rest) and not re.match(r"(v|h|p)?\d|(text|image|audio|video)-to-", rest)

    @cached_property
    def name(self) -> list[str]:
        return [word for segment in self.path for word in segment]

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """The id and the title as texts in which runs of words can be found."""
        turned = [_dotted(word) for word in self.name]
        parted = [word for segment in self.path for word in (*segment, "/")]
        texts = ([*self.owner, *self.name], turned, parted, words(self.model.title))
        return tuple(f" {' '.join(text)} " for text in texts)

    @cached_property
    def owner(self) -> list[str]:
        """The words of who offers the model, if the id begins with them."""
        return words(self.model.id.partition("/")[0]) if self.hosted else []

    @cached_property
    def inputs(self) -> frozenset[str]:
        params = list(every_param(self.model.inputs))
        names = {f"input:{param.name}" for param in params}
        return frozenset(names | {f"role:{param.role}" for param in params if param.role})

    @cached_property
    def backends(self) -> set[str]:
        return {route.backend for route in self.model.routes}

    @cached_property
    def version(self) -> float:
        """The greatest version that its name and title speak of; 0 if none."""
        text = [_dotted(word) for word in (*self.name, *words(self.model.title))]
        return max((float(w) for w in text if re.fullmatch(r"\d(\.\d)?", w)), default=0.0)

    def has(self, run: str) -> bool:
        """Whether words stand together in the id or the title; `/` ends a segment of the id."""
        return any(run in text for text in self.runs)


def weights_of(shown: Shown) -> dict[str, float]:
    """Return every word by which a model can be found, with the weight of the best place."""
    found: dict[str, float] = defaultdict(float)
    for word, weight in _weighted(shown):
        found[word] = max(found[word], weight)
    return found


def _weighted(shown: Shown) -> Iterator[tuple[str, float]]:
    model = shown.model
    yield from ((word, _MAKER) for word in shown.owner if word not in _HOSTS)
    share = 0.55 + 0.45 / max(1, len([w for w in shown.path[0] if not is_version(w)]))
    for depth, segment in enumerate(shown.path):
        weight = _NAME * share if depth == 0 else _SIDE
        yield from ((word, weight) for word in segment)
        yield from ((word, weight) for word in joined(segment) if depth == 0 or not word.isalpha())
    yield from ((word, _SIDE) for word in words(model.title))
    yield from ((word, _MAKER) for word in (*words(model.provider), *words(model.family)))
    yield from ((word, _HINT) for word in words(model.search_hint))
    yield from ((word, _GOOD) for text in model.good_at for word in words(text))
    yield from ((word, _GOOD) for word in words(f"{model.licence} {model.task}"))
    yield from ((word, _PROSE) for word in words(model.description))
    yield from ((word, _INPUT) for param in model.inputs for word in words(param.name))


class Marks:
    """Gives models the marks that wants ask for: `:task:…`, `:in:…` and `:<trait>`."""

    def __init__(self, raw: Mapping[str, Any], shown: Sequence[Shown]) -> None:
        self._traits: Mapping[str, Mapping[str, Any]] = raw["traits"]
        self._shown = shown
        self._holding = _holding(shown)
        self._open = self._with(raw["open"])
        self._leading = self._with(raw["leading"])
        self._cheap = _cheap(shown)
        self._newest = _newest(shown)

    def postings(self) -> dict[str, dict[int, float]]:
        """Return mark → model number → weight."""
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for one in self._shown:
            found[f"{TASK}{one.model.task}"][one.number] = 1.0
            if kind := next((k for k in _KINDS if k in one.head.media_in), None):
                found[f"{KIND}{kind}"][one.number] = 1.0
        for trait, rule in self._traits.items():
            found[f":{trait}"] = self._having(rule)
        for trait, rule in self._traits.items():
            for helpful in rule.get("also", ()):
                for number in found.get(f":{helpful}") or found.get(f"{TASK}{helpful}") or ():
                    found[f":{trait}"].setdefault(number, _HELPFUL)
        return found

    def likely(self, one: Shown) -> float:
        """Return how likely a model is meant, before anything is asked: about -5 to 2."""
        model = one.model
        if STAND_IN in one.backends:
            return -5.0
        name = set(one.name)
        known = 0.7 * (one.number in self._leading) + 0.5 * self._newest.get(one.number, 0.5)
        cared = 0.5 * model.featured + 0.3 * bool(model.good_at) + _USUAL.get(model.task, 0.0)
        worse = 0.6 * bool(name & _ALTERED) + 0.15 * bool(name & _LESSER) + 0.03 * len(name)
        depth = 0.08 * len(one.path) + 0.2 * bool(model.uncertain) + 0.7 * model.retired
        return known + cared - worse - depth

    def _having(self, rule: Mapping[str, Any]) -> dict[int, float]:
        tasks = rule.get("tasks")
        shown = dict.fromkeys(self._with(p for p in rule["is"] if ":" not in p), 1.0)
        for proof in (p for p in rule["is"] if ":" in p):
            for one in self._shown:
                if weight := self._proves(one, proof):
                    shown[one.number] = max(weight, shown.get(one.number, 0.0))
        task_of = {n: self._shown[n].model.task for n in shown}
        return {
            n: weight
            for n, weight in shown.items()
            if (task_of[n] in tasks if tasks else task_of[n] != TRAINING)
        }

    def _with(self, runs: Iterable[str]) -> set[int]:
        """Return the models whose id or title holds one of the runs of words."""
        found: set[int] = set()
        for run in map(_run, runs):
            holding = min((self._holding.get(word, []) for word in run.split()), key=len)
            found.update(one.number for one in holding if one.has(run))
        return found

    def _proves(self, one: Shown, proof: str) -> float:
        place, _, value = proof.partition(":")
        known = {
            "input": float(proof in one.inputs),
            "role": float(proof in one.inputs),
            "speed": float(one.model.speed == value),
            "backend": float(value in one.backends),
            "open": float(one.number in self._open or any(r.ours for r in one.model.routes)),
            "price": self._cheap.get(one.number, 0.0),
            "newest": float(self._newest.get(one.number, 0.0) == 1.0),
        }
        return known[place]


def _run(text: str) -> str:
    parts = (f"{' '.join(words(part))}" for part in text.split("/"))
    return f" {' / '.join(parts)} ".replace("  ", " ")


def _dotted(word: str) -> str:
    """Return `25` as 2.5: ids leave the point out."""
    return f"{word[0]}.{word[1]}" if re.fullmatch(r"[1-5]\d", word) else word


def _holding(shown: Iterable[Shown]) -> dict[str, list[Shown]]:
    holding: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        for word in {word for text in one.runs for word in text.split()}:
            holding[word].append(one)
    return holding


def _cheap(shown: Iterable[Shown]) -> dict[int, float]:
    """Return the cheaper models of each task; the cheapest weighs 1."""
    tasks: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        if one.head.low is not None and STAND_IN not in one.backends:
            tasks[one.model.task].append(one)
    found: dict[int, float] = {}
    for group in tasks.values():
        group.sort(key=lambda one: one.head.low or 0.0)
        most = max(1, round(_CHEAP * len(group)))
        found |= {one.number: 1 - 0.5 * i / most for i, one in enumerate(group[:most])}
    return found


def _newest(shown: Iterable[Shown]) -> dict[int, float]:
    """Return, for models of a family with versions, how new each is: 1 is the newest."""
    families: dict[tuple[str, str], list[Shown]] = defaultdict(list)
    for one in shown:
        if one.version and not one.model.retired:
            family = next((word for word in one.name if not is_version(word)), "")
            families[family, one.model.task].append(one)
    found: dict[int, float] = {}
    for group in families.values():
        newest = max(one.version for one in group)
        found |= {one.number: one.version / newest for one in group}
    return found
