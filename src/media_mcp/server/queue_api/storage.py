"""Uploads as fal's clients make them: Python's tokens and multipart, JavaScript's initiated PUTs.

A file that is announced gets its URL before its bytes. Where the bytes go is told by a ticket: text
that only this server can make, which says whose file it is and how long it is kept, and which is
all that a PUT needs to show.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

from media_mcp.errors import BadInput, StorageFailed
from media_mcp.job import JSON, Caller
from media_mcp.queue import Queue
from media_mcp.queue.sentences import forbidden
from media_mcp.server.auth import Gate
from media_mcp.server.queue_api.calls import BadRequest, Call, Reply, TooLarge, replied
from media_mcp.server.queue_api.files import Files
from media_mcp.server.queue_api.keys import ServerKey
from media_mcp.server.queue_api.lifecycle import lifetime_of
from media_mcp.server.queue_api.links import Links
from media_mcp.server.queue_api.uploads import PARTS, Order, TooBig, Uploads
from media_mcp.server.queue_api.wire import Fault, Rule, wrong_method

Handler = Callable[[Call], Awaitable[Reply]]
TOKEN_SECONDS = 3600.0
TICKET_SECONDS = 86_400.0
MAX_ASKED = 64 * 2**10  # bytes of JSON that announce a file
MAX_LISTED = 2 * 2**20  # bytes of JSON that list its parts
MAX_NAME = 120
PARTED = "/multipart/"
DOT = re.compile(r"[a-z0-9]{1,12}", re.ASCII)


class Denied(BadInput):
    """No token or ticket of ours, or one whose time is over."""

    code = "unauthorized"


class Storage:
    """Answers what is asked of the hosts `rest` (under `storage/`) and `cdn`."""

    def __init__(
        self,
        uploads: Uploads,
        files: Files,
        queue: Queue,
        key: ServerKey,
        links: Links,
        gate: Gate,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._uploads = uploads
        self._files = files
        self._queue = queue
        self._key = key
        self._links = links
        self._gate = gate
        self._clock = clock

    async def rest(self, call: Call) -> Reply | None:
        """Answer `storage/…`: tokens, and announcements of files."""
        answer = {
            "storage/auth/token": self._token,
            "storage/upload/initiate": self._initiate,
            "storage/upload/initiate-multipart": self._initiate_parts,
        }.get(call.target.path)
        if answer is None:
            return _nowhere()
        return wrong_method("POST") if call.method != "POST" else await _guarded(answer, call)

    async def cdn(self, call: Call) -> Reply | None:
        """Answer `files/…`: uploads, whole and in parts, and downloads.

        Uploads show a token or a ticket; downloads need to show nothing but their URL.
        """
        if call.method in ("GET", "HEAD"):
            return await self._files.get(call)
        answer = self._taker(call)
        if answer is None:
            return wrong_method("GET", "HEAD", "POST", "PUT")
        return await _guarded(answer, call)

    def _taker(self, call: Call) -> Handler | None:
        steps = _steps(call)[1:]
        if call.method == "POST" and steps == ["upload"]:
            return self._upload
        if call.method == "POST" and steps == ["upload", "multipart"]:
            return self._open_parts
        if call.method == "PUT" and steps[:1] == ["put"] and len(steps) == 2:
            return self._put
        # JavaScript's `parts/<ticket>/<n>`, Python's `<file>/multipart/<ticket>/<n>`
        if len(steps) not in (3, 4) or steps[-3] not in ("parts", "multipart"):
            return None
        if call.method == "POST":
            return self._complete if steps[-1] == "complete" else None
        return self._part if call.method == "PUT" else None

    # Announcing

    async def _token(self, call: Call) -> Reply:
        expires_at = self._clock() + TOKEN_SECONDS
        caller = _may_upload(call.caller or Caller())
        return replied(
            200,
            {
                "token": self._key.token("cdn", self._gate.claims_of(caller), expires_at),
                "token_type": "Bearer",
                "base_url": call.target.origin,
                "expires_at": datetime.fromtimestamp(expires_at, UTC).isoformat(),
            },
        )

    async def _initiate(self, call: Call) -> Reply:
        return await self._announce(call, "put")

    async def _initiate_parts(self, call: Call) -> Reply:
        return await self._announce(call, "parts")

    async def _announce(self, call: Call, how: str) -> Reply:
        """Answer with the address for the bytes and that of the file."""
        asked = await call.json(MAX_ASKED)
        if not isinstance(asked, dict):
            raise BadRequest("The body is not an object.", 'Send {"file_name": …}.')
        order = self._order(
            call,
            _may_upload(call.caller or Caller()),
            asked.get("file_name"),
            asked.get("content_type"),
        )
        origin = call.target.origin
        place = f"{origin}/files/{how}/{self._ticket(order)}"
        return replied(200, {"upload_url": place, "file_url": self._file_url(origin, order)})

    async def _open_parts(self, call: Call) -> Reply:
        caller = self._bearer(call)
        await call.body(MAX_ASKED)
        order = self._order(
            call, caller, call.header("x-fal-file-name"), call.header("content-type")
        )
        url = self._file_url(call.target.origin, order)
        return replied(200, {"access_url": url, "uploadId": self._ticket(order)})

    def _order(self, call: Call, caller: Caller, file_name: JSON, content_type: JSON) -> Order:
        """Return what is announced, under a name that nobody can guess."""
        return Order(
            caller,
            _short(file_name) or "upload",
            _short(content_type),
            lifetime_of(call),
            secrets.token_hex(16),
        )

    def _ticket(self, order: Order) -> str:
        who = self._gate.claims_of(order.caller)
        claims = [who, order.file_name, order.content_type, order.lifetime, order.name]
        return self._key.token("upload", claims, self._clock() + TICKET_SECONDS)

    def _order_of(self, call: Call, ticket: str) -> Order:
        claims = self._key.claims("upload", ticket, self._clock())
        who, *rest = claims or (None,)
        caller = self._let_in(call, who)
        if caller is None:
            raise Denied(
                "This address for an upload is not one of this server's, or its time is over.",
                "Initiate the upload again.",
            )
        return Order(caller, *rest)

    def _let_in(self, call: Call, claims: JSON) -> Caller | None:
        """Return who a token or ticket was made for, if their key would let them in, and count."""
        caller = self._gate.caller_of_claims(*claims) if claims else None
        if caller is not None and call.caller is None:
            self._gate.count(caller)
        return caller and _may_upload(caller)

    def _bearer(self, call: Call) -> Caller:
        """Return who uploads: by the token that they were given, or by their key."""
        scheme, _, token = call.header("authorization").partition(" ")
        claims = None
        if scheme.lower() == "bearer":
            claims = self._key.claims("cdn", token.strip(), self._clock())
        caller = self._let_in(call, claims)
        if caller is not None:
            return caller
        if call.caller is None:
            raise Denied(
                "The token for uploads is missing or its time is over.",
                "Get one from POST /storage/auth/token.",
            )
        return _may_upload(call.caller)

    # Taking bytes

    async def _upload(self, call: Call) -> Reply:
        order = Order(
            self._bearer(call),
            _short(call.header("x-fal-file-name")) or "upload",
            _short(call.header("content-type")),
            lifetime_of(call),
        )
        asset = await self._uploads.whole(call, order)
        url = self._links.url(call.target.origin, asset, order.caller.owner)
        return replied(200, {"access_url": url})

    async def _put(self, call: Call) -> Reply:
        order = self._order_of(call, call.target.path.rpartition("/")[2])
        await self._uploads.whole(call, order)
        return replied(200, {"file_url": self._file_url(call.target.origin, order)})

    async def _part(self, call: Call) -> Reply:
        """Take a part. Python reads the tag in a header, JavaScript in the body."""
        *_, ticket, number = _steps(call)
        order = self._order_of(call, ticket)
        if not number.isascii() or not number.isdecimal() or len(number) > 9:
            raise BadRequest(f"{number[:40]!r} is no number of a part.", "Number them from 1.")
        if await self._queue.uploads.find(order.name or "") is not None:
            raise BadRequest("The upload is complete already.", "Initiate another one.")
        place = int(number)
        tag = f'"{await self._uploads.part(call, order, place)}"'
        answer = {"partNumber": place, "etag": tag}
        return replied(200, answer, [(b"etag", tag.encode())])

    async def _complete(self, call: Call) -> Reply:
        """Join the parts; a call that is repeated is answered as the first one was."""
        ticket = _steps(call)[-2]
        order = self._order_of(call, ticket)
        tags = _tags(await call.json(MAX_LISTED))
        if not await self._done(order):
            try:
                await self._uploads.complete(order, tags)
            except (BadRequest, StorageFailed):
                if not await self._done(order):  # another call may have joined them meanwhile
                    raise
        url = self._file_url(call.target.origin, order)
        return replied(200, {"access_url": url, "file_url": url})

    async def _done(self, order: Order) -> bool:
        return await self._queue.uploads.find(order.name or "") is not None

    def _file_url(self, origin: str, order: Order) -> str:
        """Return the link to a file, which will show it once its bytes are there."""
        return self._links.signed(_plain_url(origin, order), order.caller.owner)


def _may_upload(caller: Caller) -> Caller:
    """Raise `Forbidden` for a key that only reads."""
    if not caller.may_run:
        raise forbidden("uploads no files")
    return caller


async def _guarded(answer: Handler, call: Call) -> Reply:
    """Return the answer, or the refusal in the protocol's words."""
    try:
        return await answer(call)
    except (TooBig, TooLarge) as error:
        return Fault(Rule(413, "file_too_large"), str(error), str(error)).reply()
    except Denied as error:
        return Fault(Rule(401, "unauthorized"), str(error), str(error)).reply()


def _steps(call: Call) -> list[str]:
    """Return the parts of the path; Python's client adds its own behind the whole of a link."""
    _, more, rest = call.target.query.partition(PARTED)
    return f"{call.target.path}{more}{rest}".split("/")


def _plain_url(origin: str, order: Order) -> str:
    """Return where a file will be."""
    suffix = PurePosixPath(order.file_name).suffix[1:].lower()
    subtype = re.split(r"[-+;. ]", order.content_type.partition("/")[2])[0].lower()
    extension = next((e for e in (suffix, subtype) if DOT.fullmatch(e)), "bin")
    return f"{origin}/files/{order.name}.{extension}"


def _tags(listed: JSON) -> Mapping[int, str]:
    """Read `{"parts": [{"partNumber": 1, "etag": "…"}]}`: any order, each number once."""
    parts = listed.get("parts") if isinstance(listed, dict) else None
    if not isinstance(parts, list) or not parts:
        raise BadRequest("`parts` is missing.", 'Send {"parts": [{"partNumber": 1, "etag": "…"}]}.')
    tags: dict[int, str] = {}
    for part in parts:
        number, tag = _listed(part)
        if number in tags:
            raise BadRequest(f"Part {number} is listed twice.", "List each part once.")
        tags[number] = tag
    return tags


def _listed(part: JSON) -> tuple[int, str]:
    number, tag = (part.get("partNumber"), part.get("etag")) if isinstance(part, dict) else (0, 0)
    if type(number) is not int or not isinstance(tag, str) or not 1 <= number <= PARTS:
        raise BadRequest(
            f"`parts` holds {str(part)[:100]}.", 'Each is {"partNumber": 1, "etag": "…"}.'
        )
    return number, tag.strip('"')


def _short(text: JSON) -> str:
    return text.strip()[:MAX_NAME] if isinstance(text, str) else ""


def _nowhere() -> Reply:
    message = "There is nothing at this address."
    return replied(404, {"detail": message, "message": message})
