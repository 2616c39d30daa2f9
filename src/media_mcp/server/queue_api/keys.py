"""The server's own key: it signs webhooks, and the tokens that this server takes back later."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from media_mcp.errors import BadSettings, StorageFailed
from media_mcp.job import JSON

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME = "server.key"
SIZE = 32  # bytes of an ED25519 seed


class ServerKey:
    """Keys that are all drawn from one seed. Threads may share it."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._secret = hashlib.sha256(b"media-mcp tokens\0" + seed).digest()

    @classmethod
    def load(cls, folder: Path) -> ServerKey:
        """Read the key of a data folder; the first server there makes it.

        Raises `StorageFailed`, and `BadSettings` for a file that holds no key.
        """
        path = folder / NAME
        try:
            if not path.exists():
                _make(path)
            seed = bytes.fromhex(path.read_text())
        except OSError as error:
            raise StorageFailed(
                f"The server's key {path} cannot be read or made: {error.strerror}.",
                "See that this user may read and write it.",
            ) from None
        except ValueError:
            seed = b""
        if len(seed) != SIZE:
            raise BadSettings(
                f"{path} does not hold a key.", "Remove it: the next start makes a new one."
            )
        return cls(seed)

    # Webhooks

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        # The library takes megabytes; a server without webhooks never loads it.
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed)

    def sign(self, message: bytes) -> str:
        """Return the ED25519 signature of `message`, in hexadecimal."""
        return self._private.sign(message).hex()

    def jwks(self) -> dict[str, JSON]:
        """Return the JSON Web Key Set with which the signatures can be checked."""
        public = _text(self._private.public_key().public_bytes_raw())
        # The members that RFC 7638 hashes, in its order.
        key = {"crv": "Ed25519", "kty": "OKP", "x": public}
        thumbprint = hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).digest()
        return {"keys": [{**key, "kid": _text(thumbprint), "use": "sig", "alg": "EdDSA"}]}

    # Tokens

    def token(self, kind: str, claims: Sequence[JSON], expires_at: float) -> str:
        """Return `claims` as text that nobody can guess or change, good until `expires_at`."""
        told = json.dumps([kind, int(expires_at), *claims], separators=(",", ":")).encode()
        return f"{_text(told)}.{_text(self._mac(told))}"

    def claims(self, kind: str, token: str, now: float) -> list[JSON] | None:
        """Return the claims of a token of ours; None for a foreign, changed or expired one."""
        told, _, mac = (_bytes(part) for part in token.partition("."))
        if not hmac.compare_digest(mac, self._mac(told)):
            return None
        found, expires_at, *claims = json.loads(told)
        return claims if found == kind and now < expires_at else None

    def _mac(self, told: bytes) -> bytes:
        return hmac.digest(self._secret, told, "sha256")


def _make(path: Path) -> None:
    """Write a new key. Of servers that start at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{NAME}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(SIZE))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def signed_text(request_id: str, user_id: str, timestamp: int, body: bytes) -> bytes:
    """Return what the signature of a webhook covers."""
    digest = hashlib.sha256(body).hexdigest()
    return f"{request_id}\n{user_id}\n{timestamp}\n{digest}".encode()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return what `_text` was made of; nothing for what it never made."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    return data if _text(data) == text else b""
