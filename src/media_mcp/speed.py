"""Speed settings: every key there is, the bundles of them, and how card and project add up.

Data and arithmetic only, so that the server resolves them and the worker obeys the same table;
`worker/speed` does what they say. A key that a bundle brings is left out where the device or the
model's class cannot do it; one that was asked for by name is done or the job fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from media_mcp.errors import BadSettings, did_you_mean

EXACT = "exact"
BUNDLES = (EXACT, "fast", "turbo")
BUNDLE = "bundle"
Value = bool | str


@dataclass(frozen=True, slots=True)
class Key:
    """One speed setting.

    `values` are the words it takes (none: true or false), of which those in `numbered` may be
    followed by a number between two bounds, as in `first_block 0.08`. `lossy` are the values that
    change what comes out by more than rounding. `loads` tells that weights are loaded or changed
    for it, so that models which differ in it are kept apart in memory. `measured` is what it did to
    a tiny FLUX of random weights (float32, 12 steps, on a CPU): the peak signal-to-noise ratio
    against the same run without it.
    """

    name: str
    about: str
    values: tuple[str, ...] = ()
    numbered: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    lossy: frozenset[Value] = frozenset()
    loads: bool = False
    measured: str = ""

    @property
    def off(self) -> Value:
        """The value that changes nothing."""
        return self.values[0] if self.values else False

    def is_lossy(self, value: Value) -> bool:
        """Tell whether a value changes what comes out."""
        return word_of(value) in self.lossy


_ALL = frozenset({True})
CACHES: Mapping[str, tuple[float, float]] = {
    "first_block": (0.001, 1.0),
    "mag": (0.001, 1.0),
    "sea": (0.001, 2.0),
    "taylorseer": (2, 20),
    "faster": (2, 20),
    "pab": (2, 20),
}
KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key(
            "dtype",
            "The number format of the weights; `auto`: the card's, else float32 on a CPU and "
            "bfloat16 beyond.",
            ("auto", "float32", "bfloat16", "float16"),
            loads=True,
            measured="bfloat16 45 dB (rounding)",
        ),
        Key(
            "compile",
            "Compile the blocks that repeat (regional compilation). The first run takes about ten "
            "seconds more, each later one less.",
            loads=True,
            measured="137 dB (rounding)",
        ),
        Key(
            "attention",
            "The code that computes attention. `native` is torch's own choice; flash_3 and flash_4 "
            "are fetched from the hub once; sage computes in eight bits.",
            ("native", "cudnn", "math", "flash", "flash_3", "flash_4", "xformers", "sage"),
            lossy=frozenset({"sage"}),
            measured="math 137 dB (rounding)",
        ),
        Key(
            "channels_last",
            "Lay pictures out in memory as convolutions like it: U-Nets and autoencoders.",
            loads=True,
            measured="rounding",
        ),
        Key(
            "fuse_qkv",
            "Compute the three projections of attention as one. LoRAs cannot be used with it.",
            loads=True,
            measured="rounding",
        ),
        Key(
            "vae_tiling",
            "Decode large pictures tile by tile: less memory, and seams are blended.",
            lossy=_ALL,
            measured="no difference up to one tile",
        ),
        Key(
            "vae_slicing",
            "Decode several pictures one by one: less memory.",
            measured="no difference",
        ),
        Key(
            "offload",
            "Keep on the device only what runs: one `model` (text encoder, transformer, decoder) "
            "or one `group` of layers at a time. Slower, and large models fit.",
            ("none", "model", "group"),
            loads=True,
            measured="no difference",
        ),
        Key(
            "fp8_storage",
            "Keep the denoiser's weights in eight bits and compute as before: half the memory.",
            lossy=_ALL,
            loads=True,
            measured="51 dB",
        ),
        Key(
            "fp8_compute",
            "Multiply in eight bits (torchao; NVIDIA GPUs of compute capability 8.9 or later).",
            lossy=_ALL,
            loads=True,
            measured="needs a GPU",
        ),
        Key(
            "cache",
            "Reuse what hardly changes between steps. The number is the threshold (first_block, "
            "mag, sea: more is faster and rougher) or how many steps share a computation "
            "(taylorseer, faster, pab). `text_kv` reuses what the text gives and changes nothing.",
            ("none", "text_kv", *CACHES),
            CACHES,
            lossy=frozenset(CACHES),
            measured="mag 58 dB, taylorseer 70 dB, pab 75 dB; first_block never hits on random "
            "weights",
        ),
        Key(
            "few_step",
            "Run with the distilled LoRA that the card names (`few_step`), in its few steps.",
            lossy=_ALL,
            measured="another picture",
        ),
    )
}
# What each bundle turns on, by kind of device. A CPU gains by none of it without losing quality.
_GPU: Mapping[str, Value] = {"compile": True, "channels_last": True}
_FAST: Mapping[str, Value] = {"cache": "first_block 0.08", "fp8_compute": True}
_TURBO: Mapping[str, Value] = {
    "cache": "first_block 0.12",
    "fp8_compute": True,
    "few_step": True,
}
_SETS: Mapping[str, Mapping[str, Value]] = {EXACT: {}, "fast": _FAST, "turbo": _TURBO}


def bundled(bundle: str, device: str) -> Mapping[str, Value]:
    """Return what a bundle turns on for a kind of device: `cuda`, `mps`, `cpu`."""
    own = _GPU if device == "cuda" else {}
    return {**own, **_SETS[bundle]}


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody asked for: a bundle (empty: not said) and keys by name."""

    bundle: str = ""
    keys: Mapping[str, Value] = field(default_factory=dict)

    def over(self, other: Choice) -> Choice:
        """Return both, what this one says counting over the other."""
        return Choice(self.bundle or other.bundle, {**other.keys, **self.keys})

    @property
    def lossy(self) -> tuple[str, ...]:
        """Name what in it changes what comes out."""
        named = [name for name, value in self.keys.items() if KEYS[name].is_lossy(value)]
        return (*([self.bundle] if self.bundle not in ("", EXACT) else []), *named)

    def told(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {BUNDLE: self.bundle or EXACT, "keys": dict(self.keys)}

    def __str__(self) -> str:
        keys = [f"{name}={_text(value)}" for name, value in self.keys.items()]
        return "+".join([*([self.bundle] if self.bundle or not keys else []), *keys]) or EXACT


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def choice(given: Any) -> Choice:
    """Read a setting: a bundle's name, or a table of keys, of which `bundle` may be one.

    Text may also be such a table as JSON, for the environment. Raises `ValueError` in words.
    """
    if isinstance(given, Choice):
        return given
    if isinstance(given, str) and given.lstrip().startswith("{"):
        given = json.loads(given)
    if isinstance(given, str):
        return Choice(_bundle(given))
    if not isinstance(given, Mapping):
        raise ValueError(f"{str(given)[:80]!r} is no bundle ({', '.join(BUNDLES)}) and no table")
    rest = {str(name): value for name, value in given.items()}
    bundle = rest.pop(BUNDLE, "")
    keys = {name: value_of(name, value) for name, value in rest.items()}
    return Choice(_bundle(bundle) if bundle else "", keys)


def parsed(text: str) -> Choice:
    """Read what a person types: `fast`, `cache=first_block 0.08` or both, `fast+compile=false`.

    Raises `BadSettings`.
    """
    table: dict[str, Any] = {}
    for part in filter(None, text.split("+")):
        name, equals, value = part.partition("=")
        table[name.strip() if equals else BUNDLE] = _typed(value if equals else part)
    try:
        return choice(table)
    except ValueError as error:
        raise BadSettings(
            f"Speed {text[:80]!r}: {error}.",
            f"Bundles: {', '.join(BUNDLES)}; keys: {', '.join(KEYS)}, as in cache=first_block.",
        ) from None


def _typed(text: str) -> Value:
    words: Mapping[str, bool] = {"true": True, "false": False}
    return words.get(text.strip().lower(), text.strip())


def _bundle(given: Any) -> str:
    if isinstance(given, str) and given in BUNDLES:
        return given
    hint = did_you_mean(str(given), BUNDLES) or f"There are {', '.join(BUNDLES)}."
    raise ValueError(f"{str(given)[:40]!r} is no bundle of speed settings. {hint}".rstrip("."))


def value_of(name: str, given: Any) -> Value:
    """Return the value of a key as the table has it. Raises `ValueError` in words."""
    key = KEYS.get(name)
    if key is None:
        hint = did_you_mean(name, tuple(KEYS)) or f"There are {', '.join(KEYS)}."
        raise ValueError(f"there is no key {name[:40]!r}. {hint}".rstrip("."))
    if not key.values:
        if isinstance(given, bool):
            return given
        raise ValueError(f"{name} is true or false, not {str(given)[:40]!r}")
    if given is False:
        return key.off
    word, _, number = str(given).strip().partition(" ")
    if word not in key.values:
        hint = did_you_mean(word, key.values) or f"It is one of {', '.join(key.values)}."
        raise ValueError(f"{name} cannot be {str(given)[:40]!r}. {hint}".rstrip("."))
    return f"{word} {_number(key, word, number)}" if number else word


def _number(key: Key, word: str, text: str) -> str:
    low, high = key.numbered.get(word, (1.0, 0.0))
    try:
        number = float(text)
    except ValueError:
        number = low - 1
    if low <= number <= high:
        return f"{number:g}"
    bounds = f"a number from {low:g} to {high:g}" if low <= high else "no number"
    raise ValueError(f"{key.name}: {word} takes {bounds}, not {text[:40]!r}")


def word_of(value: Value) -> Value:
    """Return a value without its number."""
    return value.partition(" ")[0] if isinstance(value, str) else value


def number_of(value: Value, default: float) -> float:
    """Return the number of a value such as `first_block 0.08`, or `default` where it has none."""
    number = value.partition(" ")[2] if isinstance(value, str) else ""
    return float(number) if number else default


def lossy_names(values: Mapping[str, Value]) -> Iterator[str]:
    """Name what of some settings changes what comes out, as answers do: `first_block 0.08`."""
    for name, value in values.items():
        if KEYS[name].is_lossy(value):
            yield value if isinstance(value, str) else name
