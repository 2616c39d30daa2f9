"""`python -m media_mcp …` is `media-mcp …`."""

import sys

from media_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
