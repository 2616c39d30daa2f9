"""Settings: command line over environment (`MEDIA_MCP_…`) over `media-mcp.toml` over defaults."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ByteSize, Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from media_mcp import speed as speeds
from media_mcp.errors import BadSettings
from media_mcp.tables import (
    BackendRules,
    Budget,
    CallerRules,
    GpuRate,
    KeepHere,
    Limits,
    ModelRules,
    OAuth,
    Prefer,
    ProjectRules,
    Retention,
    Speed,
)
from media_mcp.tightening import Files
from media_mcp.wrongs import readable

FILE_NAME = "media-mcp.toml"
WORKING_CATALOG = Path("catalog")  # in whichever folder one works: it may have come with that
_DEVICE = r"(auto|all|cpu|mps|cuda(:\d{1,3})?)"
DEVICES = rf"^{_DEVICE}( *, *{_DEVICE})*$"
PROJECT = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
RetryBadOutput = Literal["free", "never", "always"]
SECRETS = frozenset({"api_key", "fal_key"})  # settings whose values are never shown

_OWN = "Not by a file in the working folder."

# What a file in a working folder can only make stricter: of two values, the greater here counts.
STRICTNESS: dict[str, Callable[[Any], Any]] = {
    "offline": bool,
    "keep_here": get_args(KeepHere).index,
    "allow_private_urls": lambda allowed: not allowed,
    "allow_remote_code": lambda allowed: not allowed,
    "allow_hub_loras": lambda allowed: not allowed,
    "confirm_above": lambda limit: -limit,
    "gpu_rate": float,
    "retry_bad_output": lambda when: -("never", "free", "always").index(when),
    "max_input_bytes": lambda most: -most,
    "link_seconds": lambda seconds: -seconds,
    "max_connections": lambda most: -most,
    "max_connections_per_address": lambda most: -most,
    "max_queued": lambda most: -most,
    "rise_seconds": lambda seconds: -seconds,
}


def config_dir() -> Path:
    """Return the user's configuration folder, by the XDG rules."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "media-mcp"


def default_data_dir() -> Path:
    """Return the user's data folder, by the XDG rules."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "media-mcp"


def cache_dir() -> Path:
    """Return the user's folder for what can be made again, by the XDG rules."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
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
        description=f"Where jobs and media live. Several servers may share one folder. {_OWN}",
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
        description="Ask before a job that may cost more than this many US dollars; unset: never. "
        "Where nobody can be asked, the refusal says which `confirm_cost` to add to the call.",
    )
    budget: Budget = Field(
        default_factory=Budget,
        description="What all jobs on this data folder may cost: `usd_per_day`, `usd` in all, "
        "`gpu_seconds_per_day`, `gpu_seconds`. A job whose price nobody knows counts as "
        "`usd_if_unknown`, and is refused without it where money is limited; one whose length "
        "nobody knows (no history, no class of speed) sets aside `gpu_seconds_if_unknown`, or "
        "without it all that is left until it ends. A job that takes longer than it set aside is "
        "not stopped: all of it counts, and its findings say so.",
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="What each caller may have and ask for: `jobs_at_once` (queued or running), "
        "`jobs_per_minute`, `requests_per_minute` (over HTTP).",
    )
    callers: dict[str, CallerRules] = Field(
        default_factory=dict,
        description="Rules of single callers, in a table `[callers.<name>]`: its `budget` holds "
        "beside that of all, its `limits` count over those of all; `weight` (1) is its share where "
        "several wait, and stands in your own file only.",
    )
    models: dict[str, ModelRules] = Field(
        default_factory=dict,
        description='Rules of single models, in a table `[models."<id>"]`: `at_once` is how many '
        "of its jobs run at a time, over all servers on the data folder.",
    )
    backends: dict[str, BackendRules] = Field(
        default_factory=dict,
        description="Rules of single backends, in a table `[backends.<name>]`: `at_once` is how "
        "many jobs run there at a time, over all servers on the data folder, and `max_queued` how "
        "many wait for it.",
    )
    max_queued: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="How many jobs may wait; another is refused and told when there will be room. "
        "The last tenth is for callers who have few there ([queueing.md](queueing.md)).",
    )
    oauth: OAuth | None = Field(
        default=None,
        description="Take the tokens of an OAuth server, too: `issuer`, `audience`, `jwks_url`. "
        "Their `scope` holds `media:read`, `media:run` or `media:admin`; `sub` is the caller. "
        f"{_OWN}",
    )
    retention: Retention = Field(
        default_factory=Retention,
        description="When media go that nothing needs, those longest unused first: `age` since "
        "they were last made, brought or used (as `30d`, `12h`), `size` of all together (as "
        f"`50GB`). Unset: never. Pinned ones stay. {_OWN}",
    )
    link_seconds: float = Field(
        default=7 * 86_400.0,
        gt=0,
        description="How long links to media hold, in seconds, where callers show keys. The media "
        "stay; a job's result gives a fresh link.",
    )
    gpu_rate: GpuRate = Field(
        default=0.0,
        description="What an hour on a device of this machine costs in US dollars, so that local "
        "and hosted compare: a number, or that of a card that is rented by the hour: "
        "`H100` (1.89), `H200` (2.10), `A100` (0.99).",
    )
    project: str = Field(
        default="default",
        pattern=PROJECT,
        description="The project that this server's callers and the commands belong to.",
    )
    projects: dict[str, ProjectRules] = Field(
        default_factory=dict,
        description="Rules of single projects: `prefer`, `offline`, `licences`, `keep_here` and "
        "`speed` in a table `[projects.<name>]` count over those of the same name here; `budget` "
        "there holds beside that of all.",
    )
    prefer: Prefer = Field(
        default="card",
        description="Which of a model's routes goes first, of those that are ready: as its card "
        "has them, on this machine (local), elsewhere (hosted), the cheapest, the fastest.",
    )
    offline: bool = Field(
        default=False,
        description="Forbid all that leaves this machine: hosted routes, inputs by http(s) and "
        "webhooks.",
    )
    licences: list[str] = Field(
        default_factory=list,
        description="Licences that models may have; `*` stands for any text, as in `MIT*` or "
        "`hosted, commercial use`. Without any: all.",
    )
    keep_here: KeepHere = Field(
        default="nothing",
        description="What must stay on this machine: nothing; inputs (jobs with media inputs run "
        "here only); everything (all jobs run here only).",
    )
    roots: list[Path] = Field(
        default_factory=list,
        description="Folders that inputs may be read from, besides the client's roots. A file "
        "in the working folder can name only what lies in there, or in the user's own roots.",
    )
    catalog_dirs: list[Path] = Field(
        default_factory=lambda: [config_dir() / "catalog", WORKING_CATALOG],
        description=f"Folders of model cards laid over the catalog that ships, by model id. {_OWN}",
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
        default=False,
        description=f"Whether inputs may be fetched from private addresses. {_OWN}",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="The key that every HTTP request must show, as `Authorization: Key …` or "
        "`Bearer …`. Unset: none is asked for, and only this machine is listened to.",
    )
    tls_cert: Path | None = Field(
        default=None, description="A certificate (PEM, the chain with it) to serve HTTPS with."
    )
    tls_key: Path | None = Field(default=None, description="The certificate's private key (PEM).")
    max_connections: int = Field(
        default=1000,
        ge=1,
        description="How many connections there may be over HTTP at once; files that the process "
        "may open bound it, too. For one more, the longest idle is closed, or it is refused (503).",
    )
    max_connections_per_address: int = Field(
        default=100,
        ge=1,
        description="How many of them one address may have that is not this machine's own: more "
        "for a proxy in front.",
    )
    proxies: list[IPvAnyNetwork] = Field(
        default_factory=list,
        description="Addresses or networks of proxies in front of the server whose "
        f"X-Forwarded-For and X-Forwarded-Proto are believed; without any: nobody's. {_OWN}",
    )
    device: str = Field(
        default="auto",
        pattern=DEVICES,
        description="Where pipelines run: auto, cpu, cuda, cuda:1, mps, all (each GPU), or several "
        "with commas, a worker on each.",
    )
    worker_python: str = Field(
        default="", description="The Python that runs the worker; empty: the server's own."
    )
    memory_budget: ByteSize | None = Field(
        default=None,
        description="Memory of a device that weights may take, as 12GB; unset: 88 % of a GPU's, "
        "less what other programs hold of it, or 75 % of the machine's.",
    )
    host_memory_budget: ByteSize | None = Field(
        default=None,
        description="Memory of the machine in which weights may wait that had to leave a GPU, as "
        "32GB, for each worker; unset: half of what is free, shared by the GPUs; 0: none.",
    )
    pin: list[str] = Field(
        default_factory=list,
        description="Models (ids or tool names) whose weights stay loaded once they are.",
    )
    warm: list[str] = Field(
        default_factory=list,
        description="Models (ids or tool names) whose weights are loaded when the server starts.",
    )
    keep_alive: float = Field(
        default=0.0,
        ge=0,
        description="Seconds without a job after which a model's weights are dropped; 0: when "
        "others need the room, or the worker is let go. A card's own `keep_alive` counts over it.",
    )
    worker_hang_seconds: float = Field(
        default=60.0, gt=0, description="Silence after which a worker counts as hung."
    )
    worker_idle_seconds: float = Field(
        default=900.0, ge=0, description="Idle time after which the worker is let go; 0: never."
    )
    speed: Speed = Field(
        default=speeds.Choice(speeds.EXACT),
        description="How pipelines here trade likeness for speed: `exact`, `fast` or `turbo`, or a "
        "table `[speed]` of keys, of which `bundle` may be one ([speed.md](speed.md)).",
    )
    allow_remote_code: bool = Field(
        default=False,
        description="Whether a card may ask for Python code that comes with its weights "
        f"(`remote_code`) to run on this machine. {_OWN}",
    )
    allow_hub_loras: bool = Field(
        default=False,
        description="Whether a call may name a LoRA by its hub repository (`ORG/NAME`), which the "
        f"worker then fetches. Files, media:// URIs and URLs may always be given. {_OWN}",
    )
    fal_key: SecretStr | None = Field(
        default=None,
        description=f"The key for fal, where the environment has no FAL_KEY. {_OWN}",
    )
    overdue_seconds: float = Field(
        default=60.0,
        ge=0,
        description="How long a job may wait behind others of its priority whose model is loaded.",
    )
    rise_seconds: float = Field(
        default=600.0,
        ge=0,
        description="How long a job of low priority may wait behind those of a higher one; then it "
        "counts as theirs.",
    )
    batch_wait_ms: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Milliseconds that a job whose model can run several at once waits for others "
        "like it; 0: it goes with those that are queued already.",
    )
    log_level: Literal["error", "warning", "info", "debug"] = Field(
        default="warning",
        description="What the log on standard error tells; with info, a line for each change of a "
        "job's state.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Whether a line of the log is words or a JSON object."
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=10,
        description="How often a job is started on a route before that counts as failed.",
    )
    retry_bad_output: RetryBadOutput = Field(
        default="free",
        description="Whether what comes out black, flat, silent or unreadable is made once more, "
        "with another seed, unless its caller gave one: free (where it costs nothing), never, "
        "always.",
    )

    @property
    def doubted_dirs(self) -> list[Path]:
        """Folders of cards whose word on hosted prices does not count: nobody has named them."""
        return [] if "catalog_dirs" in self.model_fields_set else [WORKING_CATALOG]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, Files(settings_cls, STRICTNESS)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` (flags) win and `None` among them means not given.

    Raises `BadSettings`, naming the field and where it may be set.
    """
    given = {k: v for k, v in overrides.items() if v is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise readable(error, Settings, FILE_NAME, SECRETS) from None
    except ValueError as error:
        raise BadSettings(f"{FILE_NAME} cannot be read: {error}.", "Mend the file.") from None


def speed_of(settings: Settings, project: str) -> speeds.Choice:
    """Return the speed settings of a project's jobs: its own table's count over the others."""
    rules = settings.projects.get(project)
    own = rules.speed if rules else None
    return own.over(settings.speed) if own else settings.speed


def keep_alive_of(settings: Settings, project: str) -> float:
    """Return how long a project's models stay loaded without a job, in seconds."""
    rules = settings.projects.get(project)
    own = rules.keep_alive if rules else None
    return settings.keep_alive if own is None else own
