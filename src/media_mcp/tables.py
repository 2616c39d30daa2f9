"""The tables of `media-mcp.toml`, and the kinds of values in it that other rooms name."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, PlainSerializer
from pydantic_settings import NoDecode

from media_mcp import speed as speeds

Prefer = Literal["card", "local", "hosted", "cheapest", "fastest"]
KeepHere = Literal["nothing", "inputs", "everything"]
Speed = Annotated[
    speeds.Choice, NoDecode, BeforeValidator(speeds.choice), PlainSerializer(speeds.Choice.told)
]
HOURLY = {"A100": 0.99, "H100": 1.89, "H200": 2.10}  # US dollars; what clouds asked in 2026-11


def _hourly(given: object) -> object:
    return HOURLY.get(given.upper(), given) if isinstance(given, str) else given


GpuRate = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_hourly)]


_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds_of(given: object) -> object:
    """Read `30d` as seconds; what is no text is left to the validation."""
    if not isinstance(given, str):
        return given
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([smhdw]?)", given.strip(), re.ASCII)
    if found is None:
        raise ValueError("Write a length of time as 30d, 12h, 90m or a number of seconds")
    return float(found[1]) * _SECONDS[found[2]]


Age = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(seconds_of)]


class Budget(BaseModel):
    """What a table `[budget]` may set. A limit that is left out does not hold.

    Money is in US dollars; days are UTC. No tool can change any of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    usd_per_day: float | None = Field(default=None, ge=0)
    usd: float | None = Field(default=None, ge=0)
    gpu_seconds_per_day: float | None = Field(default=None, ge=0)
    gpu_seconds: float | None = Field(default=None, ge=0)
    usd_if_unknown: float | None = Field(default=None, ge=0)
    gpu_seconds_if_unknown: float | None = Field(default=None, gt=0)


class Limits(BaseModel):
    """What a table `[limits]` may set, for each caller. A limit that is left out does not hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs_at_once: int | None = Field(default=None, ge=1)
    jobs_per_minute: int | None = Field(default=None, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)


class CallerRules(BaseModel):
    """What a table `[callers.<name>]` may set. `weight` is its share of what several wait for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget: Budget = Budget()
    limits: Limits = Limits()
    weight: float = Field(default=1.0, ge=0.01, le=100)


class ModelRules(BaseModel):
    """What a table `[models."<id>"]` may set: how many of its jobs run at once, wherever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_once: int | None = Field(default=None, ge=1)


class BackendRules(BaseModel):
    """What a table `[backends.<name>]` may set: how many of its jobs run, and wait, at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_once: int | None = Field(default=None, ge=1)
    max_queued: int | None = Field(default=None, ge=1)


class Retention(BaseModel):
    """What a table `[retention]` may set: when media go. What is left out removes nothing.

    `age` is in seconds since an asset was last made, brought or used, or `30d`, `12h`, `90m`;
    `size` is what all media together may take, in bytes or as `50GB`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    age: Age | None = None
    size: ByteSize | None = None


class OAuth(BaseModel):
    """What a table `[oauth]` sets: whose tokens are taken, besides keys.

    A token is a JWT that `issuer` signed for `audience`; its `sub` is the caller. Its `scope` must
    hold `media:read`, `media:run` or `media:admin`. `jwks_url` is where the issuer's keys are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    audience: str
    jwks_url: str


class ProjectRules(BaseModel):
    """What a table `[projects.<name>]` may set: that counts over the setting itself.

    But `budget`, which holds beside the one of all projects.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefer: Prefer | None = None
    offline: bool | None = None
    licences: list[str] | None = None
    keep_here: KeepHere | None = None
    speed: Speed | None = None
    keep_alive: float | None = Field(default=None, ge=0)
    budget: Budget = Budget()
