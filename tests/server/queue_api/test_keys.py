"""The server's own key: made once, kept safe, good for signatures and tokens."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from media_mcp.errors import BadMedia, BadSettings, StorageFailed
from media_mcp.server.queue_api.keys import NAME, ServerKey
from support import Opened

NOW = 1000.0


def test_the_key_is_made_once_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: ServerKey.load(folder), range(8)))
    assert len({key.jwks()["keys"][0]["x"] for key in made}) == 1
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600


def test_a_file_that_holds_no_key_is_told(tmp_path: Path) -> None:
    for text in ("", "not a key", "ab" * 31):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(BadSettings, match=re.escape("does not hold a key. Remove it")):
            ServerKey.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="cannot be read or made: File exists"):
        ServerKey.load(tmp_path / "file")


def test_a_signature_can_be_checked_with_the_published_key(tmp_path: Path) -> None:
    key = ServerKey.load(tmp_path)
    (published,) = key.jwks()["keys"]
    assert (published["kty"], published["crv"], published["use"]) == ("OKP", "Ed25519", "sig")
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(published["x"] + "="))
    signature = bytes.fromhex(key.sign(b"a message"))
    public.verify(signature, b"a message")
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"another message")
    assert len(base64.urlsafe_b64decode(published["kid"] + "=")) == 32


def test_a_token_brings_its_claims_back_after_a_restart(tmp_path: Path) -> None:
    token = ServerKey.load(tmp_path).token("upload", ["ann", None, 1.5, "é"], NOW + 60)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", token)
    assert ServerKey.load(tmp_path).claims("upload", token, NOW) == ["ann", None, 1.5, "é"]


def test_a_token_that_is_old_changed_foreign_or_for_something_else_is_none(tmp_path: Path) -> None:
    key = ServerKey.load(tmp_path)
    token = key.token("upload", ["ann"], NOW + 60)
    assert key.claims("upload", token, NOW + 60) is None
    assert key.claims("cdn", token, NOW) is None
    assert ServerKey(bytes(32)).claims("upload", token, NOW) is None
    claims, _, mac = token.partition(".")
    forged = base64.urlsafe_b64encode(b'["upload",9999999999,"bob"]').decode().rstrip("=")
    for wrong in (f"{forged}.{mac}", claims, f"{claims}.", f".{mac}", f"{claims}.{mac}A", "é", ""):
        assert key.claims("upload", wrong, NOW) is None


@pytest.mark.anyio
@pytest.mark.parametrize("name", [NAME, "jobs.sqlite"])
async def test_the_key_and_the_jobs_are_no_inputs(opened: Opened, name: str) -> None:
    async with opened() as (app, _):
        path = app.settings.data_dir / name
        ServerKey.load(path.parent)
        assert path.is_file()
        with pytest.raises(BadMedia, match="is outside the folders that may be read"):
            await app.intake._inputs.resolve(str(path), kind=None)
