"""Facts about an endpoint, as a line of the catalog. All normalisation is here and in `returns`.

A record is what `fal_endpoints.json` holds of an endpoint and what `openapi.record` reads from an
OpenAPI document. A line is compact JSON whose inputs are `Param` values: one type each, bounds
inclusive where they can be, defaults that satisfy their own schema, no nulls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from media_mcp.catalog.fitting import LARGEST, fits
from media_mcp.catalog.forms import size_text, text_of
from media_mcp.catalog.kinds import input_word, media_kind
from media_mcp.catalog.makers import maker_of
from media_mcp.catalog.returns import returned
from media_mcp.catalog.stories import title_of
from media_mcp.catalog.tariffs import price_of
from media_mcp.job import JSON, MediaKind

Json = dict[str, Any]
Facts = Mapping[str, Any]

_SCALARS = frozenset({"string", "integer", "number", "boolean"})
_NUMERIC = frozenset({"integer", "number"})
_LENGTHS = ("min_length", "max_length")
_BOUNDS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum", "multiple_of")
# Arrays whose facts do not say of what: of numbers by these names, else of texts.
_NUMBERS = re.compile(r"(colou?r|box|point|crop|range|coordinate|size|sigma|timestep)")
_OBJECTS = frozenset({"text_render"})
# Numbers that are whole by these names, where facts come from type definitions that cannot say so.
_WHOLE = re.compile(
    r"^(seed|rank|steps|crf|top_k.*|num_.*|number_of_.*|.*_number_of_frames|.*frame_rate|.*_steps"
    r"|max_(tokens|images)|.*_frames|((.*_)?(width|height|size))|target_long_side|.*_target)$"
)
_REPLACED = {"text_prompt": "prompt", "enable_audio": "generate_audio", "avatar": "avatar_id"}
_ODD_TASKS = frozenset({"", "unknown", "other", "json", "workflow"})
_NAMED_TASKS = {"speech-to-speech": "audio-to-audio"}
_LIVE = re.compile(r"/realtime$")
_DAY = re.compile(r"\d{4}-\d{2}(-\d{2})?")


class Normaliser:
    """Turns records into lines; `dropped` lists the defaults that do not fit their own schema."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self._typed_loosely = False

    def line(self, record: Facts) -> Json:
        """Return the line of one record."""
        endpoint_id = record["endpoint_id"]
        self._typed_loosely = _of_types(record)
        task = task_of(record)
        outputs, values = returned(record, task)
        provider = record.get("provider") or maker_of(endpoint_id)
        line = {
            "id": endpoint_id,
            "name": title_of(record.get("name") or "", endpoint_id, provider),
            "task": task,
            "provider": provider,
            "licence": record.get("license_type") or "",
            "family": _family(record),
            "inputs": self._inputs(record),
            "outputs": outputs,
            "values": values,
        }
        return _told(line | _standing(record), keep={"inputs", "outputs"})

    def _inputs(self, record: Facts) -> list[Json]:
        told = record.get("inputs") or []
        gone = _gone(record)
        names = {p["name"] for p in told}
        return [_aged(self.param(p, record["endpoint_id"]), p["name"] in gone, names) for p in told]

    def param(self, raw: Facts, where: str) -> Json:
        """Return one argument as a `Param` in JSON; `where` leads to it, for `dropped`."""
        where = f"{where} {raw['name']}".strip()
        made = {"name": raw["name"]} | self._typed(raw, where)
        made |= _media(raw, made)
        if raw.get("deprecated"):
            made |= _told({"deprecated": True, "replaced_by": raw.get("replaced_by")})
        default = _default(raw.get("default"), made)
        if default is not None and not fits(made, default):
            self.dropped.append(f"{where}={default!r}")
            default = None
        if default is not None:
            made["default"] = default
        elif raw.get("required") and raw.get("default") is None:
            made["required"] = True
        return made

    def _typed(self, raw: Facts, where: str) -> Json:
        """Return type, choices, bounds and members."""
        if options := [o for o in raw.get("any_of") or () if o.get("type") != "null"]:
            return self._union(raw, options, where)
        kind = raw.get("type", "any")
        if kind == "array":
            return {"type": "array"} | self._array(raw, where)
        if kind == "object":
            return self._object(raw, where)
        if kind == "number" and self._typed_loosely and _is_whole(raw):
            return _scalar(raw, "integer")
        return _scalar(raw, kind if kind in _SCALARS else "string")

    def _union(self, raw: Facts, options: list[Facts], where: str) -> Json:
        kinds = {str(option.get("type")) for option in options}
        if size := _size(options):
            return size
        if kinds <= _NUMERIC or kinds == {"object", "number"}:
            return _scalar(raw, "number")
        if kinds == {"string"}:
            return _scalar({**raw, "enum": None}, "string")
        if "string" in kinds and kinds - {"string"} <= _NUMERIC:
            return {"type": "string", "form": "number"}
        if "object" in kinds:
            return {"type": "object"}
        arrays = [o for o in options if o.get("type") == "array" and _of_texts(o)]
        return {"type": "array"} | self._array(arrays[0], where) if arrays else {"type": "string"}

    def _array(self, raw: Facts, where: str) -> Json:
        items = self._item(raw, where)
        bounds = {"min_items": raw.get("min_items") or None, "max_items": raw.get("max_items")}
        return {"items": items} | _told(bounds)

    def _item(self, raw: Facts, where: str) -> Json:
        items = raw.get("items") or {}
        if items.get("type", "any") == "any" and not items.get("any_of"):
            return {"type": _unknown_item(raw, items)}
        named = {"name": raw.get("name", ""), **items, "media_kind": None, "media_limits": None}
        item = self.param(named | {"required": False, "default": None}, where)
        return {key: value for key, value in item.items() if key != "name"}

    def _object(self, raw: Facts, where: str) -> Json:
        members = [_member(raw, member) for member in raw.get("properties") or ()]
        properties = [self.param(member, where) for member in members]
        return {"type": "object"} | ({"properties": properties} if properties else {})


def task_of(record: Facts) -> str:
    """Return the task: the place's category, or, where that says nothing, what goes in and out."""
    told = re.sub(r"[^a-z0-9]+", "-", str(record.get("category") or "").lower()).strip("-")
    if told not in _ODD_TASKS:
        return _NAMED_TASKS.get(told, told)
    if _LIVE.search(record["endpoint_id"]):
        return "audio-to-audio" if _has(record, "audio") else "video-to-video"
    source, made = _source(record), _product(record, told)
    return "llm" if (source, made) == ("text", "text") else f"{source}-to-{made}"


def _has(record: Facts, name: str) -> bool:
    return any(p["name"] == name for p in record.get("inputs") or ())


def _source(record: Facts) -> str:
    """Return the kind of media that is asked for, the one that moves most first."""
    words = {input_word(p["name"]) for p in record.get("inputs") or ()}
    kinds = {"media": "video", "video": "video", "audio": "audio", "image": "image"}
    return next((kind for word, kind in kinds.items() if word in words), "text")


def _product(record: Facts, told: str) -> str:
    """Return the kind of media that is made, else whether the answer is a text or data."""
    outputs, _ = returned(record, "")
    kind = outputs[0]["kind"]
    if kind not in (MediaKind.TEXT, MediaKind.FILE):
        return "3d" if kind == MediaKind.MODEL3D else str(kind)
    texts = [o for o in record.get("outputs") or () if o["type"] == "string"]
    return "text" if texts and told != "json" else "json"


def _standing(record: Facts) -> Json:
    """Return what is known of an endpoint beside what goes in and out, and how surely."""
    source = str(record.get("source") or "")
    as_of = record.get("as_of") or _newest([source]) or _newest(record.get("seen_in") or ())
    missing = _missing(record)
    minutes = record.get("duration_estimate")
    return {
        "price": price_of(record, as_of),
        "published": record.get("published") or "",
        "seconds": round(minutes * 60) if minutes else None,
        "streams": bool(record.get("stream_url")),
        "retired": bool(missing) or record.get("status") == "deprecated",
        "missing": missing,
        "blind": not record.get("outputs"),
        "sure": _sure(record),
        "origin": "types" if _of_types(record) else "",
        "as_of": as_of,
    }


def _family(record: Facts) -> str:
    """Return the place's own name for a group of siblings, where their ids do not share one."""
    key = str((record.get("group") or {}).get("key") or "").strip()
    return "" if key == family_of(record["endpoint_id"]) else key


def family_of(endpoint_id: str) -> str:
    """Return what an endpoint's siblings share by their ids: `flux` of `fal-ai/flux/dev`."""
    parts = endpoint_id.split("/")
    return parts[min(1, len(parts) - 1)].lower()


def _of_types(record: Facts) -> bool:
    """Whether the facts come from TypeScript, which knows neither ranges nor whole numbers."""
    return str(record.get("source") or "").endswith(".ts")


def _is_whole(raw: Facts) -> bool:
    told = [raw.get("default"), *_choices(raw)]
    fractions = [number for number in told if number is not None and number != int(number)]
    return not fractions and bool(_WHOLE.match(raw["name"]))


def _sure(record: Facts) -> str:
    sure = str(record.get("confidence") or "high").partition(" ")[0]
    return "" if sure == "high" else sure


def _newest(told: Iterable[str]) -> str:
    found = (_DAY.search(text) for text in told)
    return max((day.group() for day in found if day), default="")


def _missing(record: Facts) -> str:
    """Return the month of the newest list of endpoints, if this one is not on it."""
    lists = sorted(key for key in record if key.startswith("listed_"))
    gone = bool(lists) and not record[lists[-1]]
    return lists[-1].removeprefix("listed_").replace("_", "-") if gone else ""


def _gone(record: Facts) -> set[str]:
    """Return the names of the arguments that newer facts no longer know."""
    keys = (key for key in record if key.startswith("inputs_absent_in_"))
    return {name for key in keys for name in record[key]}


def _aged(param: Json, gone: bool, names: set[str]) -> Json:
    if not gone and not param.get("deprecated"):
        return param
    heir = param.get("replaced_by") or _REPLACED.get(param["name"], "")
    made = {k: v for k, v in param.items() if k not in ("required", "replaced_by")}
    return made | {"deprecated": True} | ({"replaced_by": heir} if heir in names else {})


def _size(options: list[Facts]) -> Json | None:
    """Return the Param of a size, given as a preset or as `{width, height}`; None if it is none."""
    for option in options:
        sides = {side["name"]: side for side in option.get("properties") or ()}
        if sides.keys() == {"width", "height"}:
            texts = (other for other in options if other.get("type") == "string")
            presets = [str(choice) for text in texts for choice in _choices(text)]
            bounds = _scalar(sides["width"], "integer")
            kept = {key: bounds[key] for key in ("minimum", "maximum") if key in bounds}
            return {"type": "string", "form": "size"} | _told({"enum": presets}) | kept
    return None


def _of_texts(option: Facts) -> bool:
    return bool((option.get("items") or {}).get("type", "string") == "string")


def _unknown_item(raw: Facts, items: Facts) -> str:
    name = raw.get("name", "")
    if items.get("ref") or name in _OBJECTS:
        return "object"
    default = raw.get("default") or ()
    if default:
        return "number" if all(_is_number(value) for value in default) else "string"
    return "number" if _NUMBERS.search(name) else "string"


def _scalar(raw: Facts, kind: str) -> Json:
    """Return type, choices and bounds of a text, a number or a truth."""
    choices = _choices(raw)
    if kind in _NUMERIC and any(_number(choice) is None for choice in choices):
        kind = "string"
    made: Json = {"type": kind}
    if choices and kind != "boolean":
        made["enum"] = [_text(c) if kind == "string" else _number(c) for c in choices]
    names = _LENGTHS if kind == "string" else _BOUNDS if kind in _NUMERIC else ()
    bounds = {n: raw[n] for n in names if _is_number(raw.get(n)) and abs(raw[n]) < LARGEST}
    if kind == "integer":
        bounds = _inclusive(bounds)
    if bounds.get("min_length") == 0:
        del bounds["min_length"]
    return made | {name: _plain(value) for name, value in bounds.items()}


def _choices(raw: Facts) -> list[JSON]:
    choices = [raw["const"]] if raw.get("const") is not None else raw.get("enum") or []
    return [choice for choice in choices if choice is not None]


def _inclusive(bounds: Json) -> Json:
    """Write the bounds of a whole number as those that it may reach."""
    made = {k: v for k, v in bounds.items() if not k.startswith("exclusive")}
    if (low := bounds.get("exclusive_minimum")) is not None:
        made["minimum"] = max(low + 1, made.get("minimum", low + 1))
    if (high := bounds.get("exclusive_maximum")) is not None:
        made["maximum"] = min(high - 1, made.get("maximum", high - 1))
    return made


def _media(raw: Facts, made: Facts) -> Json:
    """Return the kind of media that a text, or each of an array of texts, points at."""
    inner = made.get("items") or made
    items = raw.get("items") or {}
    word = raw.get("media_kind") or items.get("media_kind")
    if not word or inner["type"] != "string" or made.get("form"):
        return {}
    if raw.get("media_how") not in ("ui", "example", "name+example"):
        word = input_word(raw["name"])
    kind = media_kind(word)
    if kind is None:
        return {}
    role = raw.get("media_role") or items.get("media_role") or ""
    role = "" if kind is MediaKind.AUDIO and role.endswith("_frame") else role
    limits = raw.get("media_limits") or items.get("media_limits")
    return {"media": kind.value} | _told({"role": role, "limits": limits})


def _member(raw: Facts, member: Facts) -> Facts:
    """Let the bare `url` of a nested thing be what the thing's own name says it is."""
    word = input_word(raw.get("name", ""))
    if member["name"] != "url" or word in ("", "file"):
        return member
    return {**member, "media_kind": word, "media_how": "ui"}


def _default(value: JSON, made: Facts) -> JSON:
    """Write a default in the type of its argument; an empty one says no more than none."""
    if value is None or value in ("", [], {}):
        return None
    if made.get("form") == "size" and isinstance(value, dict):
        return size_text(value) or value
    if made["type"] == "string":
        return _text(value)
    if made["type"] in _NUMERIC:
        return value if _number(value) is None else _number(value)
    return value


def _text(value: JSON) -> JSON:
    return text_of(value) if _is_number(value) and abs(value) < LARGEST else value


def _number(value: JSON) -> JSON:
    """Return a number, or the number that a text is; None for all else."""
    if isinstance(value, str):
        try:
            return _plain(float(value))
        except ValueError:
            return None
    return _plain(value) if _is_number(value) else None


def _plain(value: float) -> float:
    """Write a whole number without its point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _told(made: Facts, keep: Iterable[str] = ()) -> Json:
    """Leave out what says nothing."""
    return {k: v for k, v in made.items() if k in keep or v not in (None, "", False, [], {})}
