"""Which GPUs this machine shows, found without torch: what a driver puts into the file system."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

# Lists of the devices that a program may use; the first that is set counts.
_CHOSEN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_NVIDIA = re.compile(r"nvidia\d+")
_HAS_CORES = re.compile(r"^simd_count [1-9]", re.MULTILINE)


def every_device(environment: Mapping[str, str], root: Path = Path("/")) -> tuple[str, ...]:
    """Return torch's name for each GPU, those of NVIDIA or AMD; `auto` where none is found."""
    chosen = next((environment[name] for name in _CHOSEN if name in environment), None)
    count = _found(root) if chosen is None else _listed(chosen)
    return tuple(f"cuda:{number}" for number in range(count)) or ("auto",)


def _listed(chosen: str) -> int:
    """Count the entries before the first that is empty or -1, as the drivers do."""
    count = 0
    for entry in chosen.split(","):
        if entry.strip() in ("", "-1"):
            break
        count += 1
    return count


def _found(root: Path) -> int:
    nvidia = [path for path in (root / "dev").glob("nvidia*") if _NVIDIA.fullmatch(path.name)]
    nodes = (root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    return len(nvidia) or sum(_HAS_CORES.search(_text(node)) is not None for node in nodes)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
