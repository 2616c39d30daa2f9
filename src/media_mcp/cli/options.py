"""The options and arguments of the commands. Those that override a setting name it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option


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
    str | None, Option(metavar="[HOST:]PORT", help="Serve over HTTP at /mcp instead of stdio.")
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
Backend = Annotated[
    str, Option(metavar="NAME", help="Run on this backend only.", show_default=False)
]
Fresh = Annotated[
    bool, Option("--fresh", help="Make a new job even if the same call is still running.")
]
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
    Path | None,
    Argument(metavar="DIR", help="A folder of cards, or one card. Without: every folder set."),
]
