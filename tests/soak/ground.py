"""What a soak sets its servers up with: cards, callers with keys and budgets, a paid place."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falplace import KEY, toml
from media_mcp.server.keyring import KeyRing

MEDIA_MCP = Path(sys.executable).with_name("media-mcp")
PRICE = 0.01  # US dollars, what each paid job is billed
CARDS = f"""\
task: text-to-image
licence: MIT
description: For the soak.
inputs:
  prompt: {{type: string, required: true, description: What to draw.}}
  seed: {{type: integer, minimum: 0, maximum: 2147483647, description: The seed.}}
  width: {{type: integer, minimum: 16, maximum: 512, default: 48, description: Width.}}
  height: {{type: integer, minimum: 16, maximum: 512, default: 48, description: Height.}}
outputs:
  images: {{kind: image, mime_type: image/png, shape: files}}
variants:
  - id: soak/quick
    title: Quick
    routes: [{{backend: rehearsal}}]
  - id: soak/steps
    title: Steps
    routes: [{{backend: rehearsal, spec: {{seconds: 0.6, steps: 4}}}}]
  - id: soak/long
    title: Long
    routes: [{{backend: rehearsal, spec: {{seconds: 2.5, steps: 10}}}}]
  - id: soak/flaky
    title: Flaky
    routes: [{{backend: rehearsal, spec: {{failure: worker_died, fail_attempts: 1}}}}]
  - id: soak/fails
    title: Fails
    routes: [{{backend: rehearsal, spec: {{failure: content_refused}}}}]
  - id: soak/paid
    title: Paid
    routes:
      - backend: fal
        price: {{amount: {PRICE}, unit: call, certainty: exact}}
        spec: {{endpoint: soak/paid, map: {{width: null, height: null}}}}
  - id: soak/resized
    title: Resized
    task: image-to-image
    inputs:
      image_url: {{type: string, required: true, media: image, description: The picture.}}
      height: null
    outputs:
      images: null
      image: {{kind: image, mime_type: image/png}}
    routes:
      - backend: tools
        price: {{amount: 0, unit: call, certainty: exact}}
        spec: {{pipeline: tools, tool: resize-image, map: {{prompt: null, seed: null}}}}
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """The folder of a soak: configuration in it, and the `data` folder that servers share.

    `limits` are the US dollars that each caller, and all together, may spend in all.
    """

    folder: Path
    limits: dict[str, float]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def environment(self) -> dict[str, str]:
        """An environment that sees nothing of the user's own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MEDIA_MCP_", "FAL_"))}
        return kept | {
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": os.environ.get("SOAK_CACHE") or str(self.folder / "cache"),
            "MEDIA_MCP_CATALOG_DIRS": json.dumps([str(self.folder / "cards")]),
            "MEDIA_MCP_ALLOW_PRIVATE_URLS": "true",
            "MEDIA_MCP_DATA_DIR": str(self.data),
            "FAL_KEY": KEY,
            "OMP_NUM_THREADS": "1",
        }


def prepare(folder: Path, place: str, callers: list[str], limits: dict[str, float]) -> Ground:
    """Write the configuration, and make a key for each caller.

    `place` is the address of the paid place; a limit called `""` is that of all jobs.
    """
    ground = Ground(folder, limits)
    for name in ("cards", "config/media-mcp", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "cards" / "soak.yaml").write_text(CARDS)
    (folder / "config/media-mcp/media-mcp.toml").write_text(_settings(limits))
    addresses = {name: f"{place}/{name}" for name in ("queue", "run", "rest", "cdn")}
    manners: dict[str, Any] = {"patience_seconds": 45, "poll_first_seconds": 0.1}
    toml(folder / "config/media-mcp", "fal", **addresses, api="", upload="inline", **manners)
    ring = KeyRing(ground.data)
    ground.keys.update({name: ring.create(name, "run")[1] for name in callers})
    return ground


def _settings(limits: dict[str, float]) -> str:
    lines = [f"[budget]\nusd = {limits['']}\n"] if "" in limits else []
    lines += [f"[callers.{name}.budget]\nusd = {usd}\n" for name, usd in limits.items() if name]
    lines += ["[callers.eve.limits]\njobs_at_once = 3\n"]
    return "\n".join(lines)
