"""Reads YAML that strangers may have written: plain values, and no more than one can see."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

MOST_DEEP = 40
MOST_VALUES = 200_000  # once what aliases stand for is counted each time
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("timestamp", "set", "omap", "pairs", "binary")}


class Loader(_BASE):  # type: ignore[misc,valid-type] # whichever there is
    """A safe loader that knows what JSON knows: a date is the text that it is written as."""

    yaml_constructors = {  # noqa: RUF012 (PyYAML's way)
        tag: made for tag, made in _BASE.yaml_constructors.items() if tag not in _TAGS
    }
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [rule for rule in rules if rule[0] not in _TAGS]
        for first, rules in _BASE.yaml_implicit_resolvers.items()
    }


class OddYaml(ValueError):
    """YAML that holds what no card of ours holds; the words say what."""


def loaded(text: str) -> Any:
    """Return what `text` holds. Raises `OddYaml` and `yaml.YAMLError`."""
    try:
        value = yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader
    except (ValueError, RecursionError) as error:
        raise OddYaml(f"it is no YAML ({type(error).__name__})") from None
    _Look().at(value, MOST_DEEP)
    return value


class _Look:
    """Counts values as if no alias were used, so that neither laughs nor circles get further."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def at(self, value: Any, deeper: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise OddYaml(f"it holds more than {MOST_VALUES:,} values, aliases written out")
        if deeper < 0:
            raise OddYaml(f"it nests more than {MOST_DEEP} deep, or an alias stands within itself")
        if isinstance(value, dict):
            for key, inner in value.items():
                self.at(key, deeper - 1)
                self.at(inner, deeper - 1)
        elif isinstance(value, list):
            for inner in value:
                self.at(inner, deeper - 1)
        elif isinstance(value, str) and (found := CONTROLS.search(value)):
            raise OddYaml(f"a text in it holds the character U+{ord(found[0]):04X}, unseen")
        elif isinstance(value, float) and not math.isfinite(value):
            raise OddYaml(f"it holds {value}, which is no number of JSON")
