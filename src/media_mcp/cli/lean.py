"""Keeps the SDK's client, its high-level server and uvicorn's command line out of our process.

`mcp/__init__.py` and `mcp/server/__init__.py` import both for everybody's convenience: 0.15 s of
the start and 5 MB that a low-level server has no use for; what the SDK streams with imports
uvicorn's command line with all of click. `slim` puts stand-ins in their place that know where the
names we use live, and become the real packages when asked for any other.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_HOMES: Mapping[str, Mapping[str, str]] = {
    "mcp": {},
    "mcp.server": {
        "CacheHint": "mcp.server.caching",
        "InitializationOptions": "mcp.server.models",
        "NotificationOptions": "mcp.server.lowlevel",
        "Server": "mcp.server.lowlevel",
        "ServerRequestContext": "mcp.server.context",
    },
    "uvicorn": {"Config": "uvicorn.config", "Server": "uvicorn.server"},
    "uvicorn.main": {"Server": "uvicorn.server"},
}


class _StandIn(ModuleType):
    """A package whose `__init__` runs only when a name is asked for that `homes` does not know."""

    def __init__(self, spec: ModuleSpec, homes: Mapping[str, str]) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__file__ = spec.origin
        self.__package__ = spec.name
        self.__path__ = list(spec.submodule_search_locations or ())
        self._homes = homes

    def __getattr__(self, name: str) -> Any:
        if name in self._homes:
            return getattr(import_module(self._homes[name]), name)
        if name.startswith("__") or self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        object.__setattr__(self, "__class__", ModuleType)
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def slim() -> None:
    """Put the stand-ins in place, where the packages are not imported yet."""
    for name, homes in _HOMES.items():
        if name in sys.modules:
            continue
        spec = find_spec(name)
        if spec is not None:
            _put(name, _StandIn(spec, homes))


def _put(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
