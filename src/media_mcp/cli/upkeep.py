"""The commands that look after what is kept: `media-mcp gc` and `media-mcp assets …`."""

from __future__ import annotations

from typer import Typer

from media_mcp.cli import options as o

assets = Typer(help="List what is kept, and pin what must stay.", no_args_is_help=True)


def gc(
    dry_run: o.DryCollect = False,
    age: o.Age = None,
    size: o.Size = None,
    as_json: o.AsJson = False,
    data_dir: o.DataDir = None,
) -> int:
    """Remove media that nothing needs, by age and by the size of all, and what crashes left.

    Without --age and --size the setting `retention` counts; without that, only leftovers go. Jobs
    stay, and say of what they made when it was removed. Never removed are pinned assets, what a job
    was given that is not over, uploads and outputs that are to be kept until later, what nobody has
    had yet (for a day), and what was used within the hour.

    \b
    media-mcp gc --dry-run --age 30d
    media-mcp gc --size 50GB
    """
    from media_mcp.cli.keeping import collect
    from media_mcp.settings import load_settings

    given = {"age": age, "size": size}
    bounds = {name: value for name, value in given.items() if value is not None}
    return collect(load_settings(data_dir=data_dir, retention=bounds or None), dry_run, as_json)


@assets.command("list")
def list_assets(
    owner: o.Owner = "local",
    everybody: o.Everybody = False,
    pinned: o.Pinned = False,
    limit: o.Limit = 50,
    as_json: o.AsJson = False,
    data_dir: o.DataDir = None,
) -> int:
    """List assets, newest first: what was made, brought and used, and what was removed.

    \b
    media-mcp assets list --pinned
    media-mcp assets list --owner ann
    """
    from media_mcp.cli.keeping import show
    from media_mcp.settings import load_settings

    whose = None if everybody else owner
    return show(load_settings(data_dir=data_dir), whose, pinned, limit, as_json)


@assets.command("pin")
def pin_assets(names: o.AssetNames, owner: o.Owner = "local", data_dir: o.DataDir = None) -> int:
    """Keep assets, told by their URIs or by the jobs that made them, whatever their age.

    \b
    media-mcp assets pin 0m4k7…
    """
    from media_mcp.cli.keeping import pin
    from media_mcp.settings import load_settings

    return pin(load_settings(data_dir=data_dir), names, owner, pinned=True)


@assets.command("unpin")
def unpin_assets(names: o.AssetNames, owner: o.Owner = "local", data_dir: o.DataDir = None) -> int:
    """Leave pinned assets to retention again."""
    from media_mcp.cli.keeping import pin
    from media_mcp.settings import load_settings

    return pin(load_settings(data_dir=data_dir), names, owner, pinned=False)


def export(
    file: o.ExportTo,
    since: o.Since = None,
    owner: o.OnlyOwner = None,
    of_project: o.OnlyProject = None,
    data_dir: o.DataDir = None,
) -> int:
    """Write jobs, what they cost, and media to a file, to keep or to bring to another machine.

    Servers may run on meanwhile. Keys and the addresses of webhooks stay behind.

    \b
    media-mcp export backup.tar.gz
    media-mcp export - --since 2026-11-01 --owner ann | ssh other media-mcp import -
    """
    from media_mcp.cli.moving import write
    from media_mcp.settings import load_settings

    return write(load_settings(data_dir=data_dir), file, since, owner, of_project)


def import_(file: o.ImportFrom, data_dir: o.DataDir = None) -> int:
    """Bring in what `media-mcp export` wrote: all of it, or nothing where it is damaged.

    Jobs that are here already are passed over. What had not ended arrives as lost, for it may go on
    where it came from; what it all cost counts against budgets here.

    \b
    media-mcp import backup.tar.gz
    """
    from media_mcp.cli.moving import read
    from media_mcp.settings import load_settings

    return read(load_settings(data_dir=data_dir), file)
