"""`media-mcp warm`: has a server that runs load a model, so that the first call need not wait."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

from media_mcp.cli.outcome import ExitCode
from media_mcp.cli.result import bytes_words
from media_mcp.cli.text import clean, say, say_json
from media_mcp.errors import BackendFailed, BadInput, MediaError, NotConfigured, NotFound
from media_mcp.running import SERVER, Board
from media_mcp.settings import FILE_NAME, Settings

PATH = "/v1/warm"
PATIENCE = 5.0  # seconds to be answered at all; the load itself may take as long as it takes


def warm(
    settings: Settings,
    model: str,
    *,
    pin: bool,
    keep: float | None,
    server: str,
    as_json: bool,
) -> int:
    """Have the model loaded, and say what that took.

    Raises `NotConfigured` where no server listens, and what the server says.
    """
    wishes = {"pin": pin or None, "keep_alive": keep}
    body = {"model": model} | {name: value for name, value in wishes.items() if value is not None}
    told = _post(settings, server or _found(settings), body)
    if as_json:
        say_json(told)
        return ExitCode.OK
    seconds = float(told["load_seconds"])
    how = f"loaded in {seconds:.1f} s" if seconds else "loaded already"
    others = f"; {told['evicted']} others made room" if told["evicted"] else ""
    where = f"{told['backend']}, {told['device']}"
    say(clean(f"{told['model']} is {how} ({bytes_words(int(told['bytes']))}, {where}){others}."))
    return ExitCode.OK


def _found(settings: Settings) -> str:
    """Return the address of the server on this data folder that was started last."""
    notices = Board(settings.data_dir).read(SERVER)
    urls = [told["url"] for told in sorted(notices, key=_started) if told.get("url")]
    if urls:
        return str(urls[-1])
    raise NotConfigured(
        "No server listens on this data folder, so there is nothing to load a model into.",
        f"Start one, media-mcp serve --http 8787, or write warm = [...] into {FILE_NAME}: then "
        "each server loads these models when it starts, over stdio, too.",
    )


def _started(told: Mapping[str, Any]) -> float:
    return float(told.get("started", 0.0))


def _post(settings: Settings, server: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    import httpx2

    base = server.rstrip("/").removesuffix("/mcp")
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    try:
        answer = httpx2.post(
            f"{base}{PATH}",
            json=dict(body),
            headers={"Authorization": f"Key {key}"} if key else {},
            timeout=httpx2.Timeout(None, connect=PATIENCE),
            verify=_trust(settings.tls_cert),
        )
        told = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise NotConfigured(
            f"The server at {server} cannot be asked: {error or type(error).__name__}.",
            "Check the address: --server http://127.0.0.1:8787",
        ) from None
    if answer.status_code == 401:
        raise NotConfigured(
            f"The server at {server} asks for a key.", "Set MEDIA_MCP_API_KEY to its api_key."
        )
    if answer.is_success and isinstance(told, dict):
        return told
    raise _error(answer.status_code, told)


def _trust(cert: Path | None) -> SSLContext | bool:
    """Trust the server's own certificate, too, where the settings name it."""
    if cert is None:
        return True
    context = create_default_context()
    context.load_verify_locations(cert)
    return context


def _error(status: int, told: Any) -> MediaError:
    error = told.get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict):
        return NotConfigured(
            f"The server answered HTTP {status}.", "It may be an older media-mcp: update it."
        )
    kinds = {404: NotFound, 422: BadInput, 409: NotConfigured}
    kind = kinds.get(status, BackendFailed)
    return kind(str(error.get("message", "")), str(error.get("hint", "")))
