"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

DataDir = Annotated[
    Path | None,
    Option(
        metavar="DIR",
        resolve_path=True,
        help="Where jobs and media live [setting: data_dir].",
        rich_help_panel="Settings",
    ),
]
CatalogDirs = Annotated[
    list[Path] | None,
    Option(
        "--catalog-dir",
        metavar="DIR",
        resolve_path=True,
        help="Model cards laid over ours; repeatable [setting: catalog_dirs].",
        rich_help_panel="Settings",
    ),
]
Rehearse = Annotated[
    bool | None,
    Option(
        "--rehearse",
        help="Run every model on the rehearsal backend, free [setting: rehearse].",
        rich_help_panel="Settings",
    ),
]
Device = Annotated[
    str | None,
    Option(
        metavar="DEVICE",
        help="Where pipelines run: auto, cpu, cuda, cuda:1, mps [setting: device].",
        rich_help_panel="Settings",
    ),
]
AsJson = Annotated[bool, Option("--json", help="Print JSON.")]
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
