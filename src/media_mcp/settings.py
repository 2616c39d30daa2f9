"""Settings: command line over environment (`MEDIA_MCP_…`) over `media-mcp.toml` over defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from media_mcp.errors import BadSettings

FILE_NAME = "media-mcp.toml"


def config_dir() -> Path:
    """Return the user's configuration folder, by the XDG rules."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "media-mcp"


def default_data_dir() -> Path:
    """Return the user's data folder, by the XDG rules."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "media-mcp"


class Settings(BaseSettings):
    """How this server behaves. Each field's description is what the docs print."""

    model_config = SettingsConfigDict(
        env_prefix="MEDIA_MCP_",
        toml_file=[config_dir() / FILE_NAME, Path(FILE_NAME)],
        extra="forbid",
        frozen=True,
    )

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Where jobs and media live. Several servers may share one folder.",
    )
    tools: str = Field(
        default="featured",
        description="Which model tools are listed: featured, all, a list of tasks or of names.",
    )
    wait: float = Field(
        default=50.0,
        ge=0,
        le=3600,
        description="Seconds that a tool call waits before it answers with the job's id.",
    )
    confirm_above: float | None = Field(
        default=None,
        ge=0,
        description="Ask before a job that may cost more than this many US dollars; unset: never.",
    )
    roots: list[Path] = Field(
        default_factory=list,
        description="Folders that inputs may be read from, besides the client's roots.",
    )
    catalog_dirs: list[Path] = Field(
        default_factory=lambda: [config_dir() / "catalog", Path("catalog")],
        description="Folders of model cards laid over the catalog that ships, by model id.",
    )
    rehearse: bool = Field(
        default=False, description="Run every model on the rehearsal backend: free stand-in media."
    )
    rehearse_seconds: float = Field(
        default=0.0, ge=0, le=3600, description="How long a rehearsed job takes."
    )
    rehearse_failure: str = Field(
        default="", description="How a rehearsed job fails: empty, an error code, or `crash`."
    )
    max_input_bytes: int = Field(
        default=200 * 2**20, gt=0, description="The largest input file or download, in bytes."
    )
    allow_private_urls: bool = Field(
        default=False, description="Whether inputs may be fetched from private addresses."
    )
    device: str = Field(
        default="auto", description="Where pipelines run: auto, cpu, cuda, cuda:1, mps."
    )
    worker_python: str = Field(
        default="", description="The Python that runs the worker; empty: the server's own."
    )
    worker_hang_seconds: float = Field(
        default=60.0, gt=0, description="Silence after which a worker counts as hung."
    )
    worker_idle_seconds: float = Field(
        default=900.0, ge=0, description="Idle time after which the worker is let go; 0: never."
    )
    attempts: int = Field(
        default=3, ge=1, le=10, description="How often a job is started before it counts as failed."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` (flags) win and `None` among them means not given.

    Raises `BadSettings`, naming the field and where it may be set.
    """
    given = {k: v for k, v in overrides.items() if v is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _readable(error) from None
    except ValueError as error:
        raise BadSettings(f"{FILE_NAME} cannot be read: {error}.", "Mend the file.") from None


def _readable(error: ValidationError) -> BadSettings:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return BadSettings(
        f"Setting {name}: {first['msg']} (given: {first.get('input')!r}).",
        f"Set it in {FILE_NAME}, as MEDIA_MCP_{name.upper()} or by its flag.",
    )
