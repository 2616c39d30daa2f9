"""The commands. Each imports its own code when it runs."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Option, Typer

from media_mcp import __version__
from media_mcp.cli import options as o
from media_mcp.cli import upkeep
from media_mcp.cli.envapp import env
from media_mcp.cli.groups import catalog, keys
from media_mcp.cli.text import say
from media_mcp.errors import did_you_mean

app = Typer(
    name="media-mcp",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys, name="keys")
app.add_typer(catalog, name="catalog")
app.add_typer(env, name="env")
app.add_typer(upkeep.assets, name="assets")
app.command()(upkeep.gc)
app.command()(upkeep.export)
app.command("import")(upkeep.import_)


def _version(asked: bool) -> None:
    if asked:
        from typer import Exit

        say(f"media-mcp {__version__}")
        raise Exit()


@app.callback()
def _top(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One MCP server for generative media: pictures, video, speech and music as typed tools.

    \b
    Give it to an agent:    claude mcp add media -- media-mcp serve
    Draw a picture here:    media-mcp run sketch prompt="a red boat" --out .
    See what there is:      media-mcp models "short clip with sound"
    Something is wrong:     media-mcp doctor

    Settings come from flags, MEDIA_MCP_… in the environment, ./media-mcp.toml and
    ~/.config/media-mcp/media-mcp.toml, in this order.

    Exit codes: 0 done, 1 the job or check failed, 2 wrong use or bad input, 3 something must be
    installed or set first, 4 refused, 130 interrupted.
    """


@app.command()
def serve(
    http: o.Http = None,
    tools: o.Tools = None,
    data_dir: o.DataDir = None,
    wait: o.Wait = None,
    root: o.Roots = None,
    catalog_dir: o.CatalogDirs = None,
    project: o.Project = None,
    confirm_above: o.ConfirmAbove = None,
    device: o.Device = None,
    rehearse: o.Rehearse = None,
    rehearse_seconds: o.RehearseSeconds = None,
    rehearse_failure: o.RehearseFailure = None,
    tls_cert: o.TlsCert = None,
    tls_key: o.TlsKey = None,
    conformance: o.Conformance = False,
) -> int:
    """Serve MCP over standard input and output, or MCP and fal's queue protocol over HTTP.

    \b
    media-mcp serve                               # a client starts it and talks over stdio
    media-mcp serve --http 8787                   # http://127.0.0.1:8787/mcp and …/queue
    media-mcp serve --tools text-to-image,sketch  # list the tools of a task and one model
    media-mcp serve --rehearse --wait 5           # free stand-in media, short waits
    """
    from media_mcp.cli.lean import slim

    slim()
    from media_mcp.cli.serve import serve as start
    from media_mcp.settings import load_settings

    settings = load_settings(
        tools=tools,
        data_dir=data_dir,
        wait=wait,
        roots=root or None,
        catalog_dirs=catalog_dir or None,
        project=project,
        confirm_above=confirm_above,
        device=device,
        rehearse=rehearse,
        rehearse_seconds=rehearse_seconds,
        rehearse_failure=rehearse_failure,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    return start(settings, http, conformance=conformance)


@app.command()
def run(
    model: o.ModelName,
    pairs: o.Pairs = None,
    as_json: o.AsJson = False,
    out: o.Out = None,
    backend: o.Backend = "",
    fresh: o.Fresh = False,
    low: o.Low = False,
    timeout: o.Timeout = None,
    verbose: o.Verbose = False,
    project: o.Project = None,
    rehearse: o.Rehearse = None,
    device: o.Device = None,
    data_dir: o.DataDir = None,
    catalog_dir: o.CatalogDirs = None,
) -> int:
    """Run a model and wait for what it makes. Ctrl-C cancels the job.

    \b
    media-mcp run sketch prompt="a red boat" seed=11 --out pictures
    media-mcp run sketch prompt=@prompt.txt --json | jq -r '.assets[].path'
    media-mcp run rehearsal/edit prompt="at night" image_url=photo.jpg

    Media arguments are paths, URLs or media:// URIs. On a terminal a few lines tell the result;
    with --json, or when standard output is not a terminal, it is one JSON object.
    """
    from media_mcp.cli.run import Wish
    from media_mcp.cli.run import run as start
    from media_mcp.settings import load_settings

    settings = load_settings(
        data_dir=data_dir,
        project=project,
        rehearse=rehearse,
        device=device,
        catalog_dirs=catalog_dir or None,
    )
    wish = Wish(model, tuple(pairs or ()), out, backend, fresh, low, timeout, verbose, as_json)
    return start(settings, wish)


@app.command()
def models(
    query: o.Query = None,
    task: o.Task = "",
    provider: o.Provider = "",
    licence: o.Licence = "",
    max_price: o.MaxPrice = None,
    media_in: o.MediaIn = None,
    media_out: o.MediaOut = None,
    runs_here: o.RunsHere = False,
    limit: o.Limit = 50,
    as_json: o.AsJson = False,
    project: o.Project = None,
    catalog_dir: o.CatalogDirs = None,
) -> None:
    """List models, those that fit best first.

    \b
    media-mcp models
    media-mcp models "picture without internet" --runs-here
    media-mcp models --media-in image --media-out video --max-price 0.5
    media-mcp models --task text-to-speech --json
    """
    from media_mcp.catalog.head import Wish
    from media_mcp.cli.show import list_models
    from media_mcp.settings import load_settings

    settings = load_settings(project=project, catalog_dirs=catalog_dir or None)
    wish = Wish(
        " ".join(query or ()),
        task,
        provider,
        licence,
        max_price,
        media_in=media_in,
        media_out=media_out,
        limit=limit,
    )
    list_models(settings, wish, runs_here, as_json)


@app.command()
def describe(
    model: o.ModelName, as_json: o.AsJson = False, catalog_dir: o.CatalogDirs = None
) -> None:
    """Show a model's arguments, outputs, licence, routes and prices, and an example.

    \b
    media-mcp describe sketch
    """
    from media_mcp.cli.show import describe_model
    from media_mcp.settings import load_settings

    describe_model(load_settings(catalog_dirs=catalog_dir or None), model, as_json)


@app.command()
def quote(
    model: o.ModelName,
    pairs: o.Pairs = None,
    as_json: o.AsJson = False,
    project: o.Project = None,
    data_dir: o.DataDir = None,
    catalog_dir: o.CatalogDirs = None,
) -> int:
    """Say what a call would cost and take on each route, and check its arguments. Runs nothing.

    \b
    media-mcp quote sketch prompt="a red boat" num_images=4
    media-mcp quote veo3_1 prompt=waves duration=4 --json
    """
    from media_mcp.cli.quote import quote as start
    from media_mcp.settings import load_settings

    settings = load_settings(data_dir=data_dir, project=project, catalog_dirs=catalog_dir or None)
    return start(settings, model, tuple(pairs or ()), as_json)


@app.command()
def bench(
    model: o.ModelName,
    pairs: o.Pairs = None,
    settings: o.SpeedSettings = "",
    repeat: o.Repeat = 3,
    write: o.WriteSpeed = False,
    plot: o.BenchPlot = None,
    as_json: o.AsJson = False,
    project: o.Project = None,
    device: o.Device = None,
    catalog_dir: o.CatalogDirs = None,
) -> int:
    """Measure a model on this machine under several speed settings: time, memory, difference.

    Runs the model's own example, each setting in a worker of its own, and draws a plot (SVG). With
    --write the fastest setting goes into ./media-mcp.toml; one that changes results only if you
    named it with --settings.

    \b
    media-mcp bench sketch
    media-mcp bench local/sdxl steps=20 --settings "fast,cache=none+compile=true" --write
    """
    from media_mcp.cli.bench import Wish
    from media_mcp.cli.bench import bench as start
    from media_mcp.settings import load_settings

    found = load_settings(project=project, device=device, catalog_dirs=catalog_dir or None)
    wish = Wish(model, tuple(pairs or ()), settings, repeat, write, plot, as_json)
    return start(found, wish)


@app.command()
def jobs(
    job_id: o.AnyJob = None,
    state: o.State = None,
    limit: o.Limit = 20,
    as_json: o.AsJson = False,
    data_dir: o.DataDir = None,
) -> int:
    """List jobs, newest first, or show one of them.

    \b
    media-mcp jobs --state failed
    media-mcp jobs 0m4k7…
    """
    from media_mcp.cli.jobs import list_jobs, show_job
    from media_mcp.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    if job_id is not None:
        return show_job(settings, job_id, as_json)
    return list_jobs(settings, _state(state), limit, as_json)


def _state(given: str | None) -> str | None:
    from typer import BadParameter

    from media_mcp.job import JobState

    known = [state.value for state in JobState]
    if given is None or given in known:
        return given
    hint = did_you_mean(given, known) or f"States: {', '.join(known)}."
    raise BadParameter(f"{given!r} is not a state. {hint}", param_hint="--state")


@app.command()
def cancel(job_id: o.JobId, as_json: o.AsJson = False, data_dir: o.DataDir = None) -> int:
    """Cancel a job, wherever it runs. One that is over stays as it is.

    \b
    media-mcp cancel 0m4k7…
    """
    from media_mcp.cli.jobs import cancel_job
    from media_mcp.settings import load_settings

    return cancel_job(load_settings(data_dir=data_dir), job_id, as_json)


@app.command()
def spend(
    plot: o.Plot = None,
    as_json: o.AsJson = False,
    project: o.Project = None,
    data_dir: o.DataDir = None,
) -> int:
    """Show what jobs have cost, by day, model and route, and what is left of the budget.

    \b
    media-mcp spend
    media-mcp spend --plot spend.svg
    """
    from media_mcp.cli.spend import show_spend
    from media_mcp.settings import load_settings

    return show_spend(load_settings(data_dir=data_dir, project=project), plot, as_json)


@app.command()
def pull(
    model: o.PulledModel,
    yes: o.Yes = False,
    dry_run: o.DryPull = False,
    check: o.CheckOnly = False,
    as_json: o.AsJson = False,
    project: o.Project = None,
    catalog_dir: o.CatalogDirs = None,
) -> int:
    """Fetch the weights that a model needs on this machine, and check them.

    \b
    media-mcp pull local_flux_2_klein
    media-mcp pull flux_dev --dry-run
    media-mcp pull flux_dev --check

    The licence is shown first, and asked about unless it is a free one. What was interrupted goes
    on where it stopped. Only safetensors files and what belongs to them are fetched.
    """
    from media_mcp.cli.pull import Way
    from media_mcp.cli.pull import pull as start
    from media_mcp.settings import load_settings

    settings = load_settings(project=project, catalog_dirs=catalog_dir or None)
    return start(settings, model, Way(yes, dry_run, check, as_json))


@app.command()
def warm(
    model: o.ModelName,
    pin: o.Pin = False,
    keep: o.Keep = None,
    server: o.ServerUrl = "",
    as_json: o.AsJson = False,
    data_dir: o.DataDir = None,
) -> int:
    """Have a running server load a model now, so that the first call need not wait for it.

    \b
    media-mcp warm local_flux_2_klein --pin
    media-mcp warm sketch --keep 600 --server http://gpu-box:8787

    Without --server it is the server on this data folder that listens by HTTP. For servers over
    stdio, and for each start, there is the setting `warm`.
    """
    from media_mcp.cli.warm import warm as start
    from media_mcp.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    return start(settings, model, pin=pin, keep=keep, server=server, as_json=as_json)


@app.command()
def doctor(as_json: o.AsJson = False, data_dir: o.DataDir = None, device: o.Device = None) -> int:
    """Check the installation: versions, data folder, catalog, each backend and what mends it."""
    from media_mcp.cli.doctor import doctor as start
    from media_mcp.settings import load_settings

    return start(load_settings(data_dir=data_dir, device=device), as_json)
