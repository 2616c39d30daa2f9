"""Reads cards, lays them over what stands below them, and makes `Model` values of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from media_mcp.catalog.extend import EXTENSION, extend
from media_mcp.catalog.format import CardFault, Where, parse
from media_mcp.catalog.laying import Raw, filled, kept, laid, stacked
from media_mcp.catalog.model import Model
from media_mcp.catalog.yamltext import Loader, OddYaml, loaded
from media_mcp.errors import BadCard, did_you_mean

HINT = "Mend the card; CONTRIBUTING.md shows the format."


def models_of(endpoints: Mapping[str, Raw], folders: Sequence[Path]) -> list[Model]:
    """Make the models of `endpoints` (id → raw mapping) with the cards of `folders` laid over.

    Raises `BadCard` with the file, the line and what is wrong there.
    """
    layers = Layers(endpoints)
    for folder in folders:
        for path in card_files(folder):
            layers.add(path)
    return [layers.model(model_id) for model_id in layers.ids()]


def model_of(raw: Mapping[str, Any], source: str) -> Model:
    """Turn one whole mapping into a model. Raises `BadCard` with the source and what is wrong."""
    try:
        return parse(raw, source)
    except CardFault as fault:
        raise BadCard(f"{source}: {fault}.", fault.hint or HINT) from None


def load_card(path: Path) -> list[Model]:
    """Make the models of one card with nothing below it. Raises `BadCard`."""
    layers = Layers({})
    return [layers.model(model_id) for model_id in layers.add(path)]


def card_files(folder: Path) -> list[Path]:
    """Return the cards of a folder in the order in which they count; none if it is not there."""
    return sorted(folder.glob("*.y*ml"))


def doubled_keys(path: Path) -> list[BadCard]:
    """Return a fault for each key that a mapping of a card holds twice: YAML takes the last."""
    root = yaml.compose(_text(path), Loader=Loader)
    words = "is given twice; only the last counts"
    return [_bad(path, line, f"{key} {words}") for line, key in _doubled(root, set())]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card stands: a file, its text, and the keys that lead to the variant in it."""

    path: Path
    text: str
    keys: Where

    def line(self, where: Where) -> tuple[int, int]:
        """Return how many keys of `where` are found here, and the line (from 1) of the last."""
        node = yaml.compose(self.text, Loader=Loader)
        own = _descend(node, (*self.keys, *where))
        shared = _descend(node, where)
        return max((own[0] - len(self.keys), own[1]), shared, key=lambda found: found[0])


@dataclass(frozen=True, slots=True)
class _Layer:
    """What is known of one model so far, and the cards that said it, the last one first."""

    raw: Raw
    places: tuple[Place, ...] = ()


class Layers:
    """Endpoints and the cards above them, by model id.

    A card whose id is known is laid over what is there: mappings are merged, null takes a key away,
    all else replaces. One that extends another model starts from that instead.
    """

    def __init__(self, endpoints: Mapping[str, Raw]) -> None:
        self._layers = {model_id: _Layer(raw) for model_id, raw in endpoints.items()}

    def ids(self) -> Iterator[str]:
        """Return the id of every model."""
        return iter(self._layers)

    def add(self, path: Path) -> list[str]:
        """Lay a card over what there is and return the ids of its models. Raises `BadCard`."""
        text = _text(path)
        found = [self._add(Place(path, text, keys), raw) for keys, raw in _variants(path, text)]
        return found

    def model(self, model_id: str) -> Model:
        """Make one model. Raises `BadCard`."""
        layer = self._layers[model_id]
        source = str(layer.places[0].path if layer.places else layer.raw.get("source", model_id))
        try:
            return parse(self._whole(model_id), source)
        except CardFault as fault:
            raise self.located(model_id, fault) from None

    def located(self, model_id: str, fault: CardFault) -> BadCard:
        """Say what is wrong with a model, with the card and line where it stands."""
        layer = self._layers[model_id]
        if not layer.places:
            return BadCard(f"{layer.raw.get('source', model_id)}: {fault}.", fault.hint or HINT)
        found = [(place, *place.line(fault.where)) for place in layer.places]
        place, _, line = max(found, key=lambda one: one[1])
        return _bad(place.path, line, str(fault), fault.hint)

    def _add(self, place: Place, raw: Raw) -> str:
        model_id = raw.get("id")
        if not isinstance(model_id, str):
            raise _bad(place.path, place.line(("id",))[1], "id: Field required")
        if "source" in raw:
            raise _bad(place.path, place.line(("source",))[1], "source: a card has no such key")
        below = self._layers.get(model_id, _Layer({}))
        if any(one.path.parent == place.path.parent for one in below.places):
            others = ", ".join(str(one.path) for one in below.places)
            line = place.line(("id",))[1]
            raise _bad(place.path, line, f"id: {model_id} is declared twice, also in {others}")
        places = (place, *below.places)
        if "extends" in raw and "extends" not in below.raw:
            below = _Layer({})  # it starts from the model that it extends
        raw = _beside(place.path, raw)
        extends = "extends" in raw or "extends" in below.raw  # nulls are for what it extends
        if "routes" in raw and not extends:
            known = below.raw.get("routes")
            raw["routes"] = filled(raw["routes"], known, model_id)
            if not below.places and isinstance(raw["routes"], list):
                raw["routes"] += kept(raw["routes"], known)
        merged = stacked(below.raw, raw) if extends else laid(below.raw, raw)
        self._layers[model_id] = _Layer(merged, places)
        return model_id

    def _whole(self, model_id: str, chain: tuple[str, ...] = ()) -> Raw:
        """Return a model's mapping with all that it inherits from the model that it extends."""
        raw = self._layers[model_id].raw
        said = [key for key in EXTENSION if raw.get(key) is not None]
        if not said:
            return raw
        base = raw.get("extends")
        if base is None:
            raise CardFault((said[0],), "it needs `extends`, the id of a model")
        if base in (*chain, model_id):
            raise CardFault(("extends",), f"{model_id} extends itself")
        if not isinstance(base, str) or base not in self._layers:
            near = did_you_mean(str(base), list(self._layers))
            raise CardFault(("extends",), f"there is no model called {str(base)[:80]!r}", near)
        return extend(raw, self._whole(base, (*chain, model_id)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadCard(f"{path} cannot be read: {error}.", "Mend or remove the file.") from None


def _variants(path: Path, text: str) -> list[tuple[Where, Raw]]:
    """Return each variant over what the family shares, nulls kept, with where it stands."""
    try:
        raw = loaded(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _bad(path, line, str(error.problem)) from None
    except OddYaml as error:
        raise _bad(path, 1, str(error)) from None
    except yaml.YAMLError as error:
        raise _bad(path, 1, f"it is no YAML ({type(error).__name__})") from None
    if not isinstance(raw, dict):
        raise _bad(path, 1, "a card is a mapping with id, title, task, inputs, outputs and routes")
    variants = raw.pop("variants", None)
    if variants is None:
        return [((), raw)]
    if not isinstance(variants, list) or not all(isinstance(v, dict) for v in variants):
        raise _bad(path, 1, "`variants` is a list of mappings")
    return [(("variants", i), stacked(raw, variant)) for i, variant in enumerate(variants)]


def _beside(path: Path, raw: Raw) -> Raw:
    """Make the paths of LoRA files, which are relative to the card, absolute."""
    loras = raw.get("loras")
    if not isinstance(loras, list):
        return dict(raw)
    return raw | {"loras": [_absolute(path.parent, lora) for lora in loras]}


def _absolute(folder: Path, lora: Any) -> Any:
    given = lora.get("path") if isinstance(lora, dict) else None
    if not isinstance(given, str) or not given.startswith((".", "~", "/")):
        return lora
    return lora | {"path": str((folder.absolute() / Path(given).expanduser()).resolve())}


def _doubled(node: Any, seen: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in seen:  # an alias stands for a node that was looked at
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _doubled(item, seen)
    if isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for name, value in node.value:
            if str(name.value) in names:
                yield name.start_mark.line + 1, str(name.value)
            names.add(str(name.value))
            yield from _doubled(value, seen)


def _bad(path: Path, line: int, what: str, hint: str = "") -> BadCard:
    return BadCard(f"{path}:{line}: {what}.", hint or HINT)


def _descend(node: Any, keys: Where) -> tuple[int, int]:
    """Follow `keys` as far as they are there; return how many those are and the last one's line."""
    line = 1
    for depth, key in enumerate(keys):
        found = _child(node, key)
        if found is None:
            return depth, line
        line, node = found
    return len(keys), line


def _child(node: Any, key: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        item = node.value[key]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line + 1, value
    return None
