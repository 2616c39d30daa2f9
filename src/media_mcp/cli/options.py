"""The options and arguments of the commands. Those that override a setting name it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from media_mcp.job import MediaKind


def _setting(name: str, metavar: str | None, help: str, *flags: str, **more: Any) -> Any:
    words = f"{help} [setting: {name}]"
    return Option(*flags, metavar=metavar, help=words, rich_help_panel="Settings", **more)


# Settings

DataDir = Annotated[
    Path | None, _setting("data_dir", "DIR", "Where jobs and media live.", resolve_path=True)
]
CatalogDirs = Annotated[
    list[Path] | None,
    _setting(
        "catalog_dirs",
        "DIR",
        "Model cards laid over ours; repeatable.",
        "--catalog-dir",
        resolve_path=True,
    ),
]
Roots = Annotated[
    list[Path] | None,
    _setting(
        "roots",
        "DIR",
        "A folder that inputs may be read from; repeatable. Without any: the working folder.",
        "--root",
        resolve_path=True,
    ),
]
Project = Annotated[
    str | None,
    _setting("project", "NAME", "The project whose rules hold; its jobs are told apart by it."),
]
Tools = Annotated[
    str | None,
    _setting("tools", "WHICH", "Model tools to list: featured, all, tasks or names, by comma."),
]
Wait = Annotated[
    float | None,
    _setting("wait", "SECONDS", "How long a tool call waits before it answers with the job's id."),
]
ConfirmAbove = Annotated[
    float | None,
    _setting("confirm_above", "DOLLARS", "Ask the user before a job that may cost more."),
]
Device = Annotated[
    str | None,
    _setting("device", "DEVICE", "Where pipelines run: auto, cpu, cuda, cuda:1, mps."),
]
Rehearse = Annotated[
    bool | None,
    _setting("rehearse", None, "Run every model on the rehearsal backend, free.", "--rehearse"),
]
RehearseSeconds = Annotated[
    float | None, _setting("rehearse_seconds", "SECONDS", "How long a rehearsed job takes.")
]
RehearseFailure = Annotated[
    str | None,
    _setting(
        "rehearse_failure",
        "CODE",
        "How a rehearsed job fails: an error code, crash, hang or blank.",
    ),
]

# serve

Http = Annotated[
    str | None,
    Option(
        metavar="[HOST:]PORT",
        help="Serve over HTTP instead of stdio: MCP at /mcp, fal's queue protocol beside it.",
    ),
]
TlsCert = Annotated[
    Path | None,
    _setting("tls_cert", "FILE", "Serve HTTPS with this certificate.", resolve_path=True),
]
TlsKey = Annotated[
    Path | None, _setting("tls_key", "FILE", "The certificate's key.", resolve_path=True)
]
Conformance = Annotated[
    bool, Option("--conformance", help="Add the fixtures of the MCP conformance suites.")
]

# Models and calls

ModelName = Annotated[
    str, Argument(metavar="MODEL", help="A model's id or tool name; `media-mcp models` lists them.")
]
Pairs = Annotated[
    list[str] | None,
    Argument(
        metavar="KEY=VALUE",
        help="The model's arguments. KEY=@FILE reads the text of a file, KEY=@- standard input.",
    ),
]
Out = Annotated[
    Path | None,
    Option(metavar="DIR", file_okay=False, help="Copy the outputs into this folder."),
]
CallerName = Annotated[str, Argument(metavar="NAME", help="Who the caller is.")]
KeyName = Annotated[str, Argument(metavar="ID|NAME", help="A key's id, or a caller.")]
KeyScope = Annotated[
    Literal["read", "run", "admin"],
    Option(help="What it allows: to see one's own, to run jobs too, to watch the server too."),
]
KeyDays = Annotated[
    float | None, Option(metavar="DAYS", min=0.001, help="How long it holds; else until revoked.")
]
KeyProject = Annotated[
    str | None,
    Option("--project", metavar="PROJECT", help="The project that its jobs belong to."),
]
Plot = Annotated[
    Path | None,
    Option(metavar="FILE", dir_okay=False, help="Also draw it into this file, as SVG."),
]
Backend = Annotated[
    str, Option(metavar="NAME", help="Run on this backend only.", show_default=False)
]
Fresh = Annotated[
    bool, Option("--fresh", help="Make a new job even if the same call is still running.")
]
Low = Annotated[bool, Option("--low", help="Let jobs of normal priority go first, for a while.")]
Timeout = Annotated[
    float | None, Option(metavar="SECONDS", min=0, help="Cancel the job if it takes longer.")
]
Verbose = Annotated[bool, Option("--verbose", "-v", help="Tell each step on standard error.")]
Query = Annotated[
    list[str] | None, Argument(metavar="QUERY", help="What is wanted, in plain words.")
]
Task = Annotated[
    str, Option(metavar="TASK", help="Only this task, as text-to-image.", show_default=False)
]
Provider = Annotated[
    str, Option(metavar="NAME", help="Only this maker, as Google.", show_default=False)
]
Licence = Annotated[
    str, Option(metavar="WORDS", help="Only licences with these words.", show_default=False)
]
MaxPrice = Annotated[
    float | None, Option(metavar="DOLLARS", min=0, help="At most this for a typical call.")
]
RunsHere = Annotated[bool, Option("--runs-here", help="Only those that can run here now.")]
MediaIn = Annotated[MediaKind | None, Option(help="Only those that take this.")]
MediaOut = Annotated[MediaKind | None, Option(help="Only those that make this.")]

# Lists and jobs

AsJson = Annotated[bool, Option("--json", help="Print JSON.")]
Limit = Annotated[int, Option(min=1, max=1000, metavar="N", help="How many rows.")]
JobId = Annotated[str, Argument(metavar="ID", help="The job's id.")]
AnyJob = Annotated[str | None, Argument(metavar="ID", help="Show this job in full.")]
State = Annotated[
    str | None,
    Option(metavar="STATE", help="Only queued, running, succeeded, failed, cancelled or lost."),
]
Cards = Annotated[
    list[Path] | None,
    Argument(metavar="PATH", help="Folders of cards, or cards. Without: all there are."),
]

# What is kept

DryCollect = Annotated[
    bool, Option("--dry-run", help="Show what would go and how much that frees.")
]
Age = Annotated[
    str | None, Option(metavar="AGE", help="What was last used so long ago: 30d, 12h, 90m.")
]
Size = Annotated[
    str | None, Option(metavar="SIZE", help="What is over so much, all media together: 50GB.")
]
Owner = Annotated[str, Option(metavar="NAME", help="Whose: the caller's name.")]
Everybody = Annotated[bool, Option("--all", help="Everybody's.")]
Pinned = Annotated[bool, Option("--pinned", help="Only what is pinned.")]
AssetNames = Annotated[
    list[str], Argument(metavar="URI|JOB…", help="Assets, or the jobs that made them.")
]

ExportTo = Annotated[str, Argument(metavar="FILE", help="Where to; - is standard output.")]
ImportFrom = Annotated[str, Argument(metavar="FILE", help="Where from; - is standard input.")]
Since = Annotated[
    datetime | None,
    Option(
        metavar="DATE",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        help="Only jobs made since then (UTC).",
    ),
]
OnlyOwner = Annotated[str | None, Option("--owner", metavar="NAME", help="Only this caller's.")]
OnlyProject = Annotated[
    str | None, Option("--project", metavar="NAME", help="Only jobs of this project.")
]

# Weights

PulledModel = Annotated[
    str,
    Argument(metavar="MODEL", help="A model's id or tool name, or the repository of its weights."),
]
Yes = Annotated[bool, Option("--yes", "-y", help="Accept the licence without being asked.")]
DryPull = Annotated[bool, Option("--dry-run", help="List files and bytes and fetch nothing.")]
CheckOnly = Annotated[
    bool,
    Option(
        "--check",
        help="Compare the files that are here with their digests, and remove those that are wrong.",
    ),
]

PlaceName = Annotated[str, Argument(metavar="NAME", help="A place on this machine, by its name.")]
Pin = Annotated[bool, Option("--pin", help="Keep it loaded until the server ends.")]
Keep = Annotated[
    float | None,
    Option("--keep", metavar="SECONDS", min=0, help="Drop it after so long without a job."),
]
ServerUrl = Annotated[
    str, Option("--server", metavar="URL", help="Which server. Default: the one that runs here.")
]

# Catalog sync

SyncSource = Annotated[
    str, Option("--from", metavar="URL", help="A platform API. Default: fal's own.")
]
SyncFolder = Annotated[
    Path | None,
    Option("--to", metavar="DIR", help="Where to write. Default: your own catalog folder."),
]
SyncBackend = Annotated[
    str, Option("--backend", metavar="NAME", help="The backend that runs these models.")
]
KeyVariable = Annotated[
    str,
    Option(
        "--key-variable",
        metavar="NAME",
        help="The environment variable with the key. Default: FAL_KEY, for fal alone.",
    ),
]
DryRun = Annotated[bool, Option("--dry-run", help="Show what would change and write nothing.")]
Everything = Annotated[bool, Option("--all", help="Show every change.")]
Retire = Annotated[bool, Option("--retire", help="Go on though many models are gone.")]

# bench

SpeedSettings = Annotated[
    str,
    Option(
        "--settings",
        metavar="A,B,…",
        help="Bundles and keys, as fast or turbo+compile=false. Default: exact,fast,turbo.",
    ),
]
Repeat = Annotated[
    int, Option(min=1, max=100, metavar="N", help="Runs of each, after the first one.")
]
WriteSpeed = Annotated[
    bool, Option("--write", help="Write the fastest allowed setting into ./media-mcp.toml.")
]
BenchPlot = Annotated[
    Path | None, Option(metavar="FILE", help="Where the plot goes; default: ./bench-MODEL.svg.")
]
