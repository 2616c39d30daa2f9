"""Compiles the catalog into the wheel, so that an installed server starts without doing it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledCatalog(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # compiled at the first start, and again whenever a card changes
        root = Path(self.root)
        sys.path.insert(0, str(root / "src"))
        from media_mcp.catalog.compile import content_of, save
        from media_mcp.catalog.sources import SHIPPED, fingerprint

        made = root / "build" / SHIPPED
        made.parent.mkdir(exist_ok=True)
        made.unlink(missing_ok=True)
        folders = [root / "catalog"]
        save(made, content_of(folders), fingerprint(folders))
        build_data["force_include"][str(made)] = f"media_mcp/data/catalog/{SHIPPED}"
