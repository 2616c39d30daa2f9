"""The record beside each asset: where it lies, what its bytes say, and how it was made."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from media_mcp.errors import NotFound
from media_mcp.job import JSON
from media_mcp.media.facts import Facts
from media_mcp.media.names import shown
from media_mcp.media.shelf import Staged

URI = re.compile(r"media://([0-9a-f]{64})\.([a-z0-9]{1,12})")


def sha256_of(uri: str) -> str:
    """Return the hash in an asset's URI. Raises `NotFound`."""
    match = URI.fullmatch(uri)
    if match is None:
        raise NotFound(
            f"{shown(uri)!r} is not the URI of an asset.",
            "It is media://<64 hexadecimal digits>.<extension>; take it from a job's answer.",
        )
    return match.group(1)


def index_of(sha256: str) -> str:
    """Return the key of an asset's sidecar."""
    return f"index/{sha256[:2]}/{sha256}.json"


def fresh(
    staged: Staged, facts: Facts, file: str, role: str, provenance: Mapping[str, JSON]
) -> dict[str, Any]:
    """Return the sidecar of new bytes."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    job = provenance.get("job")
    known = {k: v for k, v in asdict(facts).items() if k != "extension"}
    return {
        "file": file,
        "role": role,
        "size": staged.size,
        **known,
        "provenance": {"created": now, **provenance},
        "jobs": [job] if job is not None else [],
    }


def dump(side: Mapping[str, Any]) -> bytes:
    """Return JSON; a lone surrogate, which UTF-8 cannot hold, becomes its JSON escape."""
    text = json.dumps(side, ensure_ascii=False, indent=1, default=str)
    return text.encode(errors="backslashreplace")
