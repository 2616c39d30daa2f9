"""The commands `media-mcp env …`. Each imports its own code when it runs."""

from __future__ import annotations

from typer import Typer

from media_mcp.cli import options as o

env = Typer(help="Python environments that places have for themselves.", no_args_is_help=True)


@env.command()
def create(name: o.PlaceName, data_dir: o.DataDir = None) -> int:
    """Make the environment of a place, or make it anew, as its backend.toml says.

    \b
    media-mcp env create chatterbox

    Licences and sizes are shown first. One that was left half made is made anew.
    """
    from media_mcp.cli.envs import create_env
    from media_mcp.settings import load_settings

    return create_env(load_settings(data_dir=data_dir), name)


@env.command("list")
def list_(as_json: o.AsJson = False, data_dir: o.DataDir = None) -> int:
    """List the places with an environment of their own, and whether it is made."""
    from media_mcp.cli.envs import list_envs
    from media_mcp.settings import load_settings

    return list_envs(load_settings(data_dir=data_dir), as_json)


@env.command()
def remove(name: o.PlaceName, data_dir: o.DataDir = None) -> int:
    """Remove the environment of a place with all that is installed in it."""
    from media_mcp.cli.envs import remove_env
    from media_mcp.settings import load_settings

    return remove_env(load_settings(data_dir=data_dir), name)


@env.command()
def check(name: o.PlaceName, data_dir: o.DataDir = None) -> int:
    """Say whether the environment of a place is made, up to date and whole."""
    from media_mcp.cli.envs import check_env
    from media_mcp.settings import load_settings

    return check_env(load_settings(data_dir=data_dir), name)
