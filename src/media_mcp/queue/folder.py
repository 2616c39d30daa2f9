"""The folder that an attempt's backend writes into: made when it is first asked for."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

import anyio
from anyio import to_thread

from media_mcp import faultpoints
from media_mcp.errors import StorageFailed
from media_mcp.faultpoints import Point
from media_mcp.job import Job

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
FEW, SMALL = 8, 2**20  # files and bytes that are removed without a thread


class WorkFolder:
    """An attempt's folder. Many a backend never needs it, and the disk takes its time over one."""

    def __init__(self, work_dir: Path, job: Job) -> None:
        self._path = work_folder(work_dir, job)
        self._made = self._over = False
        self._turn = threading.Lock()

    def path(self) -> Path:
        """Return the folder, which is there from the first call on. Raises `StorageFailed`."""
        with self._turn:  # backends may ask from threads
            if not (self._made or self._over):
                make_folder(self._path)  # a thread would take ten times as long as the call itself
                self._made = True
                faultpoints.reached(Point.FOLDER_MADE)
        return self._path

    async def remove(self) -> None:
        """Remove it with all that is in it; it is not made again."""
        with self._turn:
            self._over = True
        if self._made and not removed_at_once(self._path):
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(remove_folder, self._path)


def work_folder(work_dir: Path, job: Job) -> Path:
    """Return the folder of the job's present attempt: flat, to make and remove it in one go."""
    return work_dir / f"{job.id}-{job.attempt}"


def make_folder(folder: Path) -> None:
    """Make an attempt's folder, empty. Raises `StorageFailed`."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise StorageFailed(
            f"The work folder {folder} cannot be made: {error.strerror}.",
            "Free some space there, or point data_dir at another disk.",
        ) from None


def disk_trouble(error: Exception, folder: Path) -> Exception:
    """Return what a backend met on the disk as `StorageFailed`, and any other error as it is."""
    if not isinstance(error, OSError) or error.errno not in DISK:
        return error
    return StorageFailed(
        f"The disk that holds {folder} takes nothing: {error.strerror}.",
        "Free some space there, or point data_dir at another disk.",
    )


def removed_at_once(folder: Path) -> bool:
    """Remove a folder of a few small files, which is not worth a thread; False if it holds more.

    What a link in its place leads to stays: a worker could have swapped it.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            emptied = _emptied(handle)
        finally:
            os.close(handle)
        if emptied:
            folder.rmdir()
    except OSError:
        return False
    return emptied


def _emptied(handle: int) -> bool:
    with os.scandir(handle) as entries:
        files = list(entries)
    if len(files) > FEW or any(not small(file) for file in files):
        return False
    for file in files:
        os.unlink(file.name, dir_fd=handle)
    return True


def small(entry: os.DirEntry[str]) -> bool:
    """Tell whether this is a file that the disk forgets in no time."""
    told = entry.stat(follow_symlinks=False)
    return S_ISREG(told.st_mode) and told.st_size <= SMALL


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it; of a link in its place, the link alone."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        if folder.is_symlink():
            folder.unlink()
