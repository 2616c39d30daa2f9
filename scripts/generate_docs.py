"""Writes the generated pages of docs/ from the code and the cards; `--check` fails on drift."""

from __future__ import annotations

import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
os.environ["COLUMNS"] = "80"

from media_mcp.catalog.catalog import Catalog  # noqa: E402 (the environment is read on import)
from media_mcp.catalog.head import Head  # noqa: E402
from media_mcp.catalog.pricing import is_hosted  # noqa: E402
from media_mcp.cli import main as media_mcp  # noqa: E402
from media_mcp.server.general_tools import TOOLS  # noqa: E402
from media_mcp.server.tooldefs import model_tool, wire  # noqa: E402
from media_mcp.settings import FILE_NAME, Settings  # noqa: E402
from media_mcp.speed import BUNDLES, KEYS, Key, bundled  # noqa: E402

DOCS = Path(__file__).resolve().parents[1] / "docs"
MADE = "<!-- Made by scripts/generate_docs.py (make docs). Change the code, not this page. -->"
COMMANDS = (
    "serve",
    "run",
    "models",
    "describe",
    "quote",
    "bench",
    "jobs",
    "cancel",
    "doctor",
    "catalog check",
    "catalog sync",
)


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    return {
        "settings.md": _page(settings_page()),
        "tools.md": _page(tools_page()),
        "cli.md": _page(cli_page()),
        "speed.md": _page(speed_page()),
    } | {name: _page(lines) for name, lines in catalog_pages()}


def settings_page() -> Iterator[str]:
    yield "# Settings\n"
    yield MADE + "\n"
    yield (
        f"Each can be set by a flag of `media-mcp serve` where there is one ([cli.md](cli.md)), in "
        f"the environment as `MEDIA_MCP_<NAME>`, in `./{FILE_NAME}` or in "
        f"`~/.config/media-mcp/{FILE_NAME}`; the first that is set wins. In the environment, lists "
        "are JSON: `MEDIA_MCP_ROOTS='[\"/data/photos\"]'`.\n"
    )
    yield "| name | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, field in Settings.model_fields.items():
        default = _shown(field.get_default(call_default_factory=True))
        meaning = _cell(field.description or "") + _bounds(field.metadata)
        yield f"| `{name}` | {_type(field.annotation)} | {default} | {meaning} |"
    yield f"\nAn example of `{FILE_NAME}`:\n"
    yield (
        '```toml\ntools = "text-to-image,text-to-video"\nwait = 30\nroots = ["/data/photos"]\n'
        'prefer = "local"\n\n[projects.client-x]\nkeep_here = "everything"\n'
        'licences = ["MIT*", "Apache-2.0", "hosted, commercial use"]\n```'
    )
    yield _RULES


_RULES = """
## Rules and routes

`prefer` orders the routes of a model; the first that is ready runs the job, and the answer's
`why_route` says why. What is not known, a price or a time, comes last.

`offline`, `licences` and `keep_here` forbid. A route that they forbid is never taken, not by a call
that names its backend either, and `quote` says which setting forbids it. They go by what the
backend tells of itself (`remote`; in a `backend.toml` of kind `fal` it is true unless it says
`remote = false`), and by the licence of the route or else of the model. They hold when a job is
asked for and again when its turn comes; work that waits for a forbidden place waits on where no
project may use that place, and else fails with words. Offline, inputs are not fetched, webhooks
are not told, and the worker looks for no newer weights.

A table `[projects.<name>]` may hold `prefer`, `offline`, `licences`, `keep_here` and `speed`; what
stands there counts over the setting itself. `project`, or `--project`, says which project the
callers of a server belong to. No tool changes any of this: only these files, the environment and
flags do.

When a route fails by a fault of its own, after its `attempts`, the job goes on by the next one that
is ready and allowed. It ends with words that name the other route and the call for it instead

- where money may have been spent: a request was made at a place that bills, or nobody knows;
- where the other route may cost more than was agreed to: more than `confirm_above`, if that is set,
  and than the quote of the job.

Nothing of this happens to a call that named its backend, nor where the call itself was at fault
(its arguments, its media, the place's content rules)."""


def speed_page() -> Iterator[str]:
    yield "# Speed settings\n"
    yield MADE + "\n"
    yield _SPEED
    yield "| key | values | changes the result | bundles | what it does | measured |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for key in KEYS.values():
        cells = (_values(key), _loss(key), _bundles(key), key.about, key.measured)
        yield f"| `{key.name}` | {' | '.join(map(_cell, cells))} |"
    yield (
        "\nMeasured: the peak signal-to-noise ratio against the same run without the setting, for "
        "a tiny FLUX of random weights in float32, 12 steps, on a CPU. Real weights in bfloat16 "
        "differ more: there even compiling changes rounding enough to lead a run of many steps "
        "elsewhere (PSNR near 19 dB), to a picture just as good. `media-mcp bench MODEL` measures "
        "your models on your machine."
    )


_SPEED = f"""How pipelines that run here trade likeness for speed. In `{FILE_NAME}`, for all
or for a project, in one word or key by key:

```toml
speed = "fast"                     # exact (the default), fast or turbo

[projects.posters.speed]           # a table: keys by themselves, over a bundle if you like
bundle = "exact"
cache = "first_block 0.1"
```

A card may say the same in a route's spec (`speed: {{compile: false}}`); what you set counts over
it, and a key counts over the bundle. `few_step: {{path, scale, set}}` in a card names the distilled
LoRA that `few_step` takes, `mag_ratios` what the cache `mag` needs for models other than FLUX.1.

- A key that a bundle brings is left out, with a line in the job's log, where the device, a package
  or the model's class cannot do it. A key that you name is done, or the job fails and says why.
- What changes the result is never on unless you ask for it, and every answer names it:
  `"speed": ["first_block 0.08", "fp8_compute"]`. A run of fewer than 12 steps is spared the cache
  of a bundle.
- Caches, attention and the decoder's settings are put on for a run and taken off after it; weights
  that are loaded with other settings are kept apart.
"""


def _values(key: Key) -> str:
    if not key.values:
        return "true, false"
    bounds = {word: f" {low:g}–{high:g}" for word, (low, high) in key.numbered.items()}
    return ", ".join(f"`{word}{bounds.get(word, '')}`" for word in key.values)


def _loss(key: Key) -> str:
    if not key.values:
        return "yes" if key.lossy else "no"
    return ", ".join(v for v in key.values if v in key.lossy) or "no"


def _bundles(key: Key) -> str:
    found = []
    for bundle in BUNDLES:
        for device in ("cpu", "cuda"):
            value = bundled(bundle, device).get(key.name)
            if value is not None:
                there = "" if bundled(bundle, "cpu").get(key.name) else " (CUDA)"
                found.append(f"{bundle}{there}" + ("" if value is True else f": {value}"))
                break
    return ", ".join(found)


def tools_page() -> Iterator[str]:
    catalog = Catalog.load()
    models = [model_tool(h, catalog.schema(h.id)) for h in catalog.select("featured")]
    yield "# Tools\n"
    yield MADE + "\n"
    yield (
        "What an MCP client sees by default: the general tools, and one typed tool for each "
        "featured model. Every other model is reached through `run_model`, or listed with "
        "`--tools`.\n"
    )
    for tool in [*(wire(general.definition()) for general in TOOLS), *models]:
        yield from _tool(tool["name"], tool["description"], tool["inputSchema"])
    yield "## What a run answers\n"
    yield (
        "`structuredContent` holds, where known: `state`, `job_id`, `model`, `assets` (each with "
        "`uri`, `path`, `mime_type`, `bytes`, and `width`, `height` in pixels, `duration` in "
        "seconds), `text`, `seed`, `cost_usd`, `seconds`, `route` and `why_route`, `progress`, "
        "`findings`, `error` (`code`, `message`) and `next`, the call to make now. It takes 300 "
        "tokens at most. A text block repeats it; a `resource_link` for each asset and one small "
        "preview picture follow."
    )


def _tool(name: str, description: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"## `{name}`\n"
    yield f"{description}\n"
    properties = schema["properties"]
    if not properties:
        yield "No arguments.\n"
        return
    yield "| argument | type | meaning |"
    yield "| --- | --- | --- |"
    for argument, about in properties.items():
        yield f"| `{argument}` | {about['type']} | {_meaning(argument, about, schema)} |"
    yield ""


def _meaning(name: str, about: dict[str, Any], schema: dict[str, Any]) -> str:
    required = "Required. " if name in schema.get("required", ()) else ""
    bounds = [
        f"{word} {about[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if key in about
    ]
    if "enum" in about:
        bounds.append(f"one of {', '.join(map(str, about['enum']))}")
    if "default" in about:
        bounds.append(f"default {str(about['default']).lower()}")
    return _cell(required + about["description"] + (f" ({', '.join(bounds)})" if bounds else ""))


def catalog_pages() -> Iterator[tuple[str, Iterator[str]]]:
    """Yield an overview of the catalog by task, and a page for each task."""
    by_task: dict[str, list[Head]] = {}
    catalog = Catalog.load()
    for head in catalog.heads:
        by_task.setdefault(head.task, []).append(head)
    here = Counter(m.task for m in catalog if not all(is_hosted(route) for route in m.routes))
    yield "catalog/README.md", _overview(by_task, here)
    for task, heads in by_task.items():
        yield f"catalog/{task}.md", _task_page(task, heads)


def _overview(by_task: dict[str, list[Head]], here: Counter[str]) -> Iterator[str]:
    yield "# The catalog\n"
    yield MADE + "\n"
    count = sum(map(len, by_task.values()))
    yield (
        f"{count} models. Prices are US dollars as of the date of their evidence; `about` marks "
        "one that others reported, and what nobody told is unknown. `media-mcp quote` computes "
        "the price of a call, `media-mcp catalog sync` fetches the newest ones.\n"
    )
    yield "| task | models | with a price | run here |"
    yield "| --- | ---: | ---: | ---: |"
    for task, heads in sorted(by_task.items(), key=lambda item: -len(item[1])):
        priced = sum(head.price != "price unknown" for head in heads)
        yield f"| [{task}]({task}.md) | {len(heads)} | {priced} | {here[task]} |"


def _task_page(task: str, heads: Sequence[Head]) -> Iterator[str]:
    yield f"# {task}\n"
    yield MADE + "\n"
    yield "| model | | price | licence | runs on |"
    yield "| --- | --- | --- | --- | --- |"
    for head in sorted(heads, key=lambda head: (head.retired, head.id)):
        about = f"{head.title}: {head.about}" + (" Retired." if head.retired else "")
        cells = (f"`{head.id}`", about, head.price, head.licence, ", ".join(head.backends))
        yield f"| {' | '.join(map(_cell, cells))} |"


def cli_page() -> Iterator[str]:
    yield "# Command line\n"
    yield MADE + "\n"
    for command in ("", *COMMANDS):
        words = command.split()
        yield f"## `{' '.join(['media-mcp', *words])}`\n"
        yield f"```text\n{_help(words)}\n```\n"


def _help(words: Sequence[str]) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        media_mcp([*words, "--help"])
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


def _type(annotation: Any) -> str:
    words = getattr(annotation, "__name__", "") if isinstance(annotation, type) else ""
    shown = words or str(annotation).replace(" | None", "")
    return _cell(re.sub(r"\b(pathlib|typing|pydantic\.types|media_mcp\.settings)\.", "", shown))


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    if value == {}:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    home, text = str(Path.home()), str(value)
    return f"`{'~' + text.removeprefix(home) if text.startswith(home) else text}`"


def _bounds(metadata: Sequence[Any]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{s} {getattr(m, n)}" for m in metadata for n, s in signs.items() if hasattr(m, n)]
    return f" ({', '.join(found)})" if found else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _page(lines: Iterator[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` only compare them."""
    drifted = []
    made = pages()
    for page in (DOCS / "catalog").glob("*.md"):
        if f"catalog/{page.name}" not in made:
            drifted.append(f"catalog/{page.name}")
            if "--check" not in arguments:
                page.unlink()
    for name, text in made.items():
        path = DOCS / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        drifted.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if not drifted or "--check" not in arguments:
        print(f"docs: {', '.join(drifted) or 'nothing'} changed.")
        return 0
    print(f"error: docs/{', docs/'.join(drifted)} does not match the code.", file=sys.stderr)
    print("hint: make docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
