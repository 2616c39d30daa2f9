"""What a backend.toml of kind `fal` may say, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from media_mcp.backends.instances import Instance
from media_mcp.errors import BadSettings
from media_mcp.job import JSON
from media_mcp.settings import Settings

PATHS: Mapping[str, str] = {
    "queue": "/queue",
    "run": "/run",
    "rest": "/rest",
    "cdn": "/cdn",
    "api": "/v1",
}
FAL_KEY = "FAL_KEY"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_OURS = frozenset({"authorization", "content-length", "content-type", "host", "idempotency-key"})
Count = Annotated[int, Field(ge=1, le=1000)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Configuration(BaseModel):
    """A place that speaks the fal queue protocol: where it is, its key, its manners and limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["fal"] = "fal"
    title: str = ""
    description: str = ""
    cost: str = ""
    settings: tuple[str, ...] = ()

    queue: str
    run: str = ""
    rest: str = ""
    cdn: str = ""
    api: str = ""
    key_env: str = ""
    key_file: Path | None = None
    key_page: str = ""
    headers: Mapping[str, str] = {}

    remote: bool = True
    idempotent_submit: bool = False
    allow_private: bool = False
    upload: Literal["token", "initiate", "inline"] = "token"
    upload_hosts: tuple[str, ...] = ()
    upload_seconds: Seconds = 86400.0

    concurrency: Count = 32
    concurrency_per_model: Count | None = None
    models: Mapping[str, Count] = {}
    timeout_seconds: Seconds = 30.0
    patience_seconds: Seconds = 300.0
    poll_first_seconds: Seconds = 0.25
    poll_most_seconds: Seconds = 2.0
    polls_per_second: Annotated[float, Field(gt=0, le=1000)] = 20.0
    max_output_bytes: Annotated[int, Field(gt=0)] = 2 * 2**30

    @model_validator(mode="after")
    def _whole(self) -> Configuration:
        for name in PATHS:
            check_url(name, getattr(self, name), private=self.allow_private)
        for name, value in self.headers.items():
            _check_header(name, value)
        needed = {"inline": (), "initiate": ("rest",), "token": ("rest", "cdn")}[self.upload]
        if missing := [name for name in needed if not getattr(self, name)]:
            raise ValueError(f"upload = {self.upload!r} needs {' and '.join(missing)}")
        return self

    @property
    def shown(self) -> str:
        """How messages call the place."""
        return self.title or self.name

    @property
    def origins(self) -> frozenset[str]:
        """The places, as `https://host:port`, that may see the key."""
        return frozenset(origin(url) for name in PATHS if (url := getattr(self, name)))

    def slots(self, endpoint: str, spec: Mapping[str, JSON]) -> int | None:
        """Return how many jobs of an endpoint may run at once, if that is bounded."""
        told = spec.get("concurrency", self.models.get(endpoint, self.concurrency_per_model))
        return max(1, int(told)) if isinstance(told, int | float) else None


def configuration(instance: Instance) -> Configuration:
    """Check what a backend.toml says. Raises `BadSettings`, naming the file and the field."""
    told = dict(instance.told)
    url = str(told.pop("url", "")).rstrip("/")
    if url:
        told |= {name: url + path for name, path in PATHS.items()}
    try:
        return Configuration.model_validate({"name": instance.name, **told})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise BadSettings(
            f"{instance.path}: {where + ': ' if where else ''}{what}.",
            "The README of backends/fal says what may stand there.",
        ) from None


def find_key(place: Configuration, settings: Settings) -> SecretStr | None:
    """Return the key of a place: of its variable, of its file, or (fal's) of the settings."""
    if place.key_env and (given := os.environ.get(place.key_env, "").strip()):
        return SecretStr(given)
    if place.key_file is not None:
        return _read_key(place.key_file.expanduser())
    return settings.fal_key if place.key_env == FAL_KEY else None


def wants_key(place: Configuration) -> bool:
    """Tell whether the place is set up with a key at all."""
    return bool(place.key_env or place.key_file)


def origin(url: str) -> str:
    """Return scheme, host and port of an address; empty for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ""
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}" if parts.hostname else ""


def is_http(url: str) -> bool:
    """Tell whether an address is one of http or https that names a host."""
    return origin(url).startswith(("http://", "https://"))


def check_url(name: str, url: str, *, private: bool) -> None:
    """Raise `ValueError` unless `url` is empty or an address that a key may be sent to."""
    if not url:
        return
    if not is_http(url):
        raise ValueError(f"{name} is {url!r}, which is no http address")
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(f"{name} holds more than host and path")
    if parts.scheme == "http" and not (private or loopback(parts.hostname or "")):
        raise ValueError(
            f"{name} is http, which would show the key; write https, or allow_private = true for "
            "a machine of your own network"
        )


def loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_header(name: str, value: str) -> None:
    if name.lower() in _OURS:
        raise ValueError(f"headers: {name} is not yours to set")
    if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
        raise ValueError(f"headers: {name[:40]!r} is no header")


def _read_key(path: Path) -> SecretStr | None:
    try:
        return SecretStr(path.read_text(encoding="utf-8").strip()) or None
    except (OSError, ValueError):
        return None
