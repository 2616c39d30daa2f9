"""`python -m media_mcp.worker.pull`: fetches the weights of routes from the hub.

A process of its own, for only the worker's Python need have huggingface_hub. It reads an
`orders.Order` from its standard input and writes what happens to its standard output.

Large files are fetched here and not by the library, which begins a file anew when it was
interrupted: they grow beside the place where the library will look for them, are compared with the
digest that names them, and are then handed over. A branch points at the new files only once all are
there, so that what was there before is used until then.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from glob import escape
from pathlib import Path, PurePosixPath
from typing import Any

from media_mcp.errors import MissingExtra, NotConfigured
from media_mcp.worker import orders
from media_mcp.worker.blobs import Blob, Meter, fetch, is_right
from media_mcp.worker.files import INDEX, PIPELINE, needed
from media_mcp.worker.hubfaults import readable
from media_mcp.worker.loop import explain
from media_mcp.worker.orders import FromPull, Here, Listed, Order, Want
from media_mcp.worker.shards import missing_shards

AT_ONCE = 4  # large files; more would not come any faster
SMALL = 8 * 2**20  # bytes up to which a file is the library's
_DIGEST = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
Tell = Callable[[FromPull], None]


def main() -> int:
    """Do one order."""
    events = os.dup(1)
    os.dup2(2, 1)  # what the library prints is none of ours
    tell = _teller(events)
    try:
        order = orders.to_pull(sys.stdin.buffer.readline())
        _do(order, tell)
    except Exception as error:
        tell(explain("", error))
        return 1
    return 0


def _teller(events: int) -> Tell:
    def tell(message: FromPull) -> None:
        data = orders.encode(message)
        while data:
            data = data[os.write(events, data) :]

    return tell


def _do(order: Order, tell: Tell) -> None:
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise MissingExtra("huggingface_hub", "local") from None
    acts: Mapping[str, Callable[[Want, Tell], FromPull]] = {
        orders.LIST: _list,
        orders.FETCH: _fetch,
        orders.CHECK: _check,
    }
    for want in order.wants:
        with readable(want.repo):
            tell(acts[order.action](want, tell))


class Hub:
    """A repository on the hub as of now: its commit, and what of it a route needs."""

    def __init__(self, want: Want) -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        self.want = want
        api = HfApi()
        info = api.model_info(want.repo, revision=want.revision)
        if info.gated:
            api.auth_check(want.repo)
        self.commit = str(info.sha)
        self.licence = _licence(info)
        tree = api.list_repo_tree(want.repo, recursive=True, revision=self.commit)
        found = {file.path: file for file in tree if isinstance(file, RepoFile)}
        self.files = {path: _blob(found[path]) for path in self._needed(list(found))}
        self._check_names()

    def _needed(self, paths: list[str]) -> list[str]:
        want, index = self.want, None
        if want.layout == PIPELINE and INDEX in paths:
            index = self._read(INDEX)
        try:
            return needed(paths, want.layout, want.variant, index)
        except ValueError as error:
            raise NotConfigured(
                f"The repository {want.repo} cannot be used: {error}.",
                "Name one that has safetensors in the model's card; pickles are never loaded.",
            ) from None

    def _check_names(self) -> None:
        """Refuse names by which a hub would have files written elsewhere than into its cache."""
        odd = [path for path in self.files if not _is_inside(path)]
        odd += [f.digest for f in self.files.values() if not _DIGEST.fullmatch(f.digest)]
        odd += [] if _DIGEST.fullmatch(self.commit) else [self.commit]
        if odd:
            raise NotConfigured(
                f"The hub names what is no file of {self.want.repo}: {odd[0][:80]!r}.",
                "Nothing was fetched. Check HF_ENDPOINT, and whether to trust the repository.",
            )

    def _read(self, name: str) -> dict[str, Any]:
        """Read a small file without leaving it in the cache."""
        from huggingface_hub import hf_hub_download

        with tempfile.TemporaryDirectory() as folder:
            path = hf_hub_download(self.want.repo, name, revision=self.commit, local_dir=folder)
            told = json.loads(Path(path).read_bytes())
        return told if isinstance(told, dict) else {}

    @property
    def home(self) -> Path:
        """Where the library keeps this repository."""
        return home_of(self.want.repo)

    @property
    def snapshot(self) -> Path:
        return self.home / "snapshots" / self.commit

    def is_here(self, path: str) -> bool:
        """Whether a file is here with all its bytes."""
        place, size = self.snapshot / path, self.files[path].size
        return place.is_file() and place.stat().st_size == size

    @property
    def absent(self) -> list[str]:
        return [path for path in self.files if not self.is_here(path)]


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not path.startswith("/") and "\\" not in path


def home_of(repo: str) -> Path:
    """Return the folder in which the library keeps a repository."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _licence(info: Any) -> str:
    told = getattr(info, "card_data", None)
    return str((told.get("license_name") or told.get("license") or "") if told else "")


def _blob(file: Any) -> Blob:
    return Blob(file.path, file.lfs.sha256 if file.lfs else file.blob_id, int(file.size))


def _list(want: Want, tell: Tell) -> Listed:
    hub = Hub(want)
    sizes = {path: blob.size for path, blob in hub.files.items()}
    return Listed(want.repo, hub.commit, hub.licence, sizes, tuple(hub.absent))


def _fetch(want: Want, tell: Tell) -> Here:
    hub = Hub(want)
    absent = hub.absent
    for path in absent:  # one that was cut off would be taken for whole
        (hub.snapshot / path).unlink(missing_ok=True)
    meter = Meter(want.repo, sum(hub.files[path].size for path in absent), tell)
    large = [hub.files[path] for path in absent if hub.files[path].size > SMALL]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda blob: fetch(want.repo, hub.commit, blob, hub.home, meter), large))
    _hand_over(hub)
    meter.finish()
    wrong = _wrong(hub.snapshot, list(hub.files.values()), checked={blob.path for blob in large})
    if not wrong:
        _point(hub)
    return _here(hub.snapshot, want.repo, list(hub.files), wrong)


def _hand_over(hub: Hub) -> None:
    """Let the library fetch what is small and take over what is large."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    names = [escape(path) for path in hub.files]
    snapshot_download(hub.want.repo, revision=hub.commit, allow_patterns=names)


def _point(hub: Hub) -> None:
    """Have the branch mean what was fetched."""
    if hub.want.revision == hub.commit:
        return
    reference = hub.home / "refs" / hub.want.revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=reference.parent, delete=False) as written:
        written.write(hub.commit)
    Path(written.name).replace(reference)


def _check(want: Want, tell: Tell) -> Here:
    """Compare all files that are here with the digests that name them; the hub is not asked.

    What is wrong is removed, so that the next pull fetches it anew.
    """
    home = home_of(want.repo)
    reference = home / "refs" / want.revision
    commit = reference.read_text().strip() if reference.is_file() else want.revision
    folder = home / "snapshots" / commit
    if not folder.is_dir():
        return Here(want.repo, str(folder), 0, 0, {"": "is not on this machine"})
    places = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    blobs = [_blob_at(folder, path) for path in places]
    meter = Meter(want.repo, sum(blob.size for blob in blobs), tell, checking=True)
    wrong = _wrong(folder, blobs, meter=meter)
    for path in wrong:
        _remove(folder / path)
    return _here(folder, want.repo, [blob.path for blob in blobs], wrong)


def _blob_at(folder: Path, path: Path) -> Blob:
    """Say what a file in the cache should be: the library names it by its digest."""
    there = path.is_file()
    digest = path.resolve().name if path.is_symlink() else ""
    return Blob(str(path.relative_to(folder)), digest, path.stat().st_size if there else 0)


def _wrong(
    folder: Path, blobs: list[Blob], checked: set[str] | None = None, meter: Meter | None = None
) -> dict[str, str]:
    """Return what is not as it should be, with the reason. `checked` are known to be right."""
    wrong = {}
    for blob in blobs:
        path = folder / blob.path
        if not path.is_file():
            wrong[blob.path] = "is absent"
        elif blob.path not in (checked or ()) and not is_right(path, blob, meter):
            wrong[blob.path] = "is broken: its bytes are not those that the hub has"
    for index, absent in missing_shards(folder):
        wrong |= dict.fromkeys(absent, f"is absent, and {index} names it")
    return wrong


def _remove(path: Path) -> None:
    target = path.resolve()
    path.unlink(missing_ok=True)
    if target.parent.name == "blobs":
        target.unlink(missing_ok=True)


def _here(folder: Path, repo: str, paths: list[str], wrong: dict[str, str]) -> Here:
    right = [folder / path for path in paths if path not in wrong]
    return Here(repo, str(folder), len(right), sum(p.stat().st_size for p in right), wrong)


if __name__ == "__main__":
    sys.exit(main())
