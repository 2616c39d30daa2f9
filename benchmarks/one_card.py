"""Our server with a catalog of one card: what it lacks is what the whole catalog costs.

The first argument is the folder of that card; the others are those of `media-mcp`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from media_mcp.catalog import sources
from media_mcp.cli import main

if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    with mock.patch.object(sources, "shipped_folder", lambda: folder):
        sys.exit(main())
