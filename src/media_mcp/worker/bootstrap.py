"""Starts the worker by this file's path, in a Python that need not have media-mcp installed.

Of our package only the worker, its errors and the table of speed settings can be imported there:
whatever else the environment holds, and in whatever version, the code that speaks with the server
is the server's own.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from runpy import run_module
from types import ModuleType

HERE = Path(__file__).resolve().parent
OURS = {
    "media_mcp.errors": HERE.parent / "errors.py",
    "media_mcp.speed": HERE.parent / "speed.py",
    "media_mcp.worker": HERE / "__init__.py",
}


def lay_out() -> None:
    """Put a `media_mcp` of only these into `sys.modules`."""
    package = ModuleType("media_mcp")
    package.__path__ = []
    sys.modules["media_mcp"] = package
    for name, path in OURS.items():
        spec = spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is gone", name=name)
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
        setattr(package, name.rpartition(".")[2], module)


if __name__ == "__main__":
    lay_out()
    name = "media_mcp.worker.pull" if sys.argv[1:] == ["pull"] else "media_mcp.worker"
    run_module(name, run_name="__main__", alter_sys=True)
