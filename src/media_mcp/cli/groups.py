"""The commands that come in groups: `media-mcp keys …` and `media-mcp catalog …`."""

from __future__ import annotations

from typer import Typer

from media_mcp.cli import options as o

keys = Typer(help="Make, list and revoke the keys of callers over HTTP.", no_args_is_help=True)
catalog = Typer(help="Check model cards, and bring them up to date.", no_args_is_help=True)


@keys.command("create")
def create_key(
    name: o.CallerName,
    scope: o.KeyScope = "run",
    days: o.KeyDays = None,
    for_project: o.KeyProject = None,
    as_json: o.AsJson = False,
    data_dir: o.DataDir = None,
) -> int:
    """Make a key for a caller and print it, once.

    Callers see their own jobs and media only. From the first key on, every request over HTTP must
    show one. What a caller may spend and have at once stands in a table [callers.NAME] of
    media-mcp.toml.

    \b
    media-mcp keys create ann
    media-mcp keys create dashboard --scope read --days 90
    """
    from media_mcp.cli.keys import create
    from media_mcp.settings import load_settings

    return create(load_settings(data_dir=data_dir), name, scope, days, for_project, as_json)


@keys.command("list")
def list_keys(as_json: o.AsJson = False, data_dir: o.DataDir = None) -> int:
    """List the keys, without what must be shown."""
    from media_mcp.cli.keys import show
    from media_mcp.settings import load_settings

    return show(load_settings(data_dir=data_dir), as_json)


@keys.command("revoke")
def revoke_key(name: o.KeyName, as_json: o.AsJson = False, data_dir: o.DataDir = None) -> int:
    """Revoke a key by its id, or all keys of a caller, at once.

    \b
    media-mcp keys revoke 0f3a5c7e9b1d
    media-mcp keys revoke ann
    """
    from media_mcp.cli.keys import revoke
    from media_mcp.settings import load_settings

    return revoke(load_settings(data_dir=data_dir), name, as_json)


@catalog.command()
def check(cards: o.Cards = None, as_json: o.AsJson = False) -> int:
    """Check model cards, name the file and line of each fault, and show what is covered.

    \b
    media-mcp catalog check
    media-mcp catalog check ./my-cards my-model.yaml
    """
    from media_mcp.cli.cards import check_cards
    from media_mcp.settings import load_settings

    return check_cards(load_settings(), cards or [], as_json)


@catalog.command()
def sync(
    source: o.SyncSource = "",
    folder: o.SyncFolder = None,
    backend: o.SyncBackend = "fal",
    key_variable: o.KeyVariable = "",
    dry_run: o.DryRun = False,
    everything: o.Everything = False,
    retire: o.Retire = False,
) -> int:
    """Fetch a place's models and prices as they are now, and show what changed.

    They are laid over the catalog that ships, in your own catalog folder, with a catalog.lock that
    says when and from where. A model that is gone stays, retired, and names its successor.

    \b
    media-mcp catalog sync --dry-run
    media-mcp catalog sync --from http://127.0.0.1:8787/v1 --backend gpu-box
    """
    from media_mcp.cli.sync import Order, sync_catalog
    from media_mcp.queue.routing import rules_of
    from media_mcp.settings import config_dir, load_settings

    to, settings = folder or config_dir() / "catalog", load_settings()
    rules = rules_of(settings, settings.project)
    forbidden = rules.setting("offline") if rules.offline else ""
    order = Order(source, to, backend, key_variable, dry_run, everything, retire, forbidden)
    return sync_catalog(order)
