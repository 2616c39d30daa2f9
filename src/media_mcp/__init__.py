"""media-mcp: one MCP server for generative media."""

__version__ = "0.1.0"
