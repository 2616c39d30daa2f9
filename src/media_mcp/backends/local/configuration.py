"""What a backend.toml of kind `local` may say, checked; settings fill in what it leaves out."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError, field_validator

from media_mcp.backends.instances import Instance
from media_mcp.backends.local.devices import every_device
from media_mcp.backends.local.environments import Environment
from media_mcp.backends.local.profile import Profile
from media_mcp.errors import BadSettings
from media_mcp.settings import Settings

NEEDED = ("torch", "diffusers", "transformers", "safetensors")
Device = Annotated[str, Field(pattern=r"^(auto|all|cpu|mps|cuda(:\d{1,3})?)$")]


class Configuration(BaseModel):
    """A place on this machine: its devices, its workers, what they run and with which Python.

    `concurrency` is how many workers there are, spread over `devices`; none given: one for each.
    The device `all` stands for every GPU.
    `pipelines` are those that it runs (empty: all), `needs` the modules that they import, which
    `extra` of media-mcp brings; a place with an `environment` has a Python of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["local"] = "local"
    title: str = ""
    description: str = ""
    cost: str = ""
    settings: tuple[str, ...] = ()

    devices: tuple[Device, ...] = Field(default=("auto",), alias="device", min_length=1)
    concurrency: int = Field(default=0, ge=0, le=64)
    pipelines: tuple[str, ...] = ()
    needs: tuple[str, ...] = NEEDED
    extra: str = "local"
    worker_python: str = ""
    hang_seconds: float = Field(default=60.0, gt=0)
    idle_seconds: float = Field(default=900.0, ge=0)
    environment: Profile | None = None
    environments: Path = Path("envs")  # where it is made; not for a file to say
    memory_budget: ByteSize | None = None
    host_memory_budget: ByteSize | None = None

    @field_validator("devices", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        """Take one device as a list of it, and text with commas as several."""
        return [part.strip() for part in given.split(",")] if isinstance(given, str) else given

    @property
    def seats(self) -> tuple[str, ...]:
        """The device of each worker."""
        every = (every_device(os.environ) if one == "all" else (one,) for one in self.devices)
        devices = tuple(chain.from_iterable(every))
        count = self.concurrency or len(devices)
        return tuple(devices[i % len(devices)] for i in range(count))

    @property
    def words(self) -> str:
        """What it runs jobs with, for people: `ready: 2 workers (cpu)`."""
        count, devices = len(self.seats), ", ".join(dict.fromkeys(self.seats))
        python = f"; Python {self.own.marker().get('python')} of its own" if self.own else ""
        return f"ready: {count} worker{'s' * (count > 1)} ({devices}){python}"

    @property
    def own(self) -> Environment | None:
        """The Python environment that it has for itself, if its file says so."""
        if self.environment is None:
            return None
        return Environment(self.name, self.environment, self.environments / self.name)


def configuration(instance: Instance, settings: Settings) -> Configuration:
    """Check what a backend.toml says. Raises `BadSettings`, naming the file and the field."""
    usual = {
        "name": instance.name,
        "device": settings.device,
        "worker_python": settings.worker_python,
        "hang_seconds": settings.worker_hang_seconds,
        "idle_seconds": settings.worker_idle_seconds,
        "memory_budget": settings.memory_budget,
        "host_memory_budget": settings.host_memory_budget,
    }
    try:
        folder = {"environments": settings.data_dir / "envs"}
        return Configuration.model_validate({**usual, **instance.told, **folder})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadSettings(
            f"{instance.path}: {where}: {first['msg'].removeprefix('Value error, ')}.",
            "The README of backends/local says what may stand there.",
        ) from None
