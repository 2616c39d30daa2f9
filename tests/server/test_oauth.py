"""Tokens of an OAuth server: taken with its keys, its name and ours, a time and a scope."""

import base64
import json
import time

import anyio
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from media_mcp.job import Caller
from media_mcp.server.oauth import Tokens
from media_mcp.tables import OAuth
from storagekit import listening

pytestmark = pytest.mark.anyio

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ISSUER, AUDIENCE = "https://login.example.org", "https://media.example.org/mcp"


def number(value: int) -> str:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwks() -> JSONResponse:
    public: RSAPublicNumbers = KEY.public_key().public_numbers()
    key = {"kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256"}
    return JSONResponse({"keys": [key | {"n": number(public.n), "e": number(public.e)}]})


@pytest.fixture
async def tokens(anyio_backend):
    async with listening(Starlette(routes=[Route("/jwks", lambda request: jwks())])) as url:
        yield Tokens(OAuth(issuer=ISSUER, audience=AUDIENCE, jwks_url=f"{url}/jwks"), "films")


def token(key=KEY, algorithm="RS256", **claims):
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60}
    told |= {"scope": "openid media:run"} | claims
    told = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(told, key, algorithm=algorithm, headers={"kid": "one"})


async def test_a_token_tells_who_calls_and_what_they_may_do(tokens):
    caller = await tokens.caller_of(token())
    assert (caller, caller.scope) == (Caller("oauth:ann", "films"), "run")
    assert (await tokens.caller_of(token(scope="media:read media:admin"))).scope == "admin"
    assert (await tokens.caller_of(token(scope=None, scp=["media:read"]))).scope == "read"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example.org"},
        {"aud": "https://other.example.org"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"scope": "openid"},
        {"scope": {"media:run": True}},
        {"nbf": time.time() + 3600},
        {"key": OTHER},
    ],
)
async def test_any_other_token_is_nobody_s(tokens, claims):
    assert await tokens.caller_of(token(**claims)) is None


@pytest.mark.parametrize("subject", ["", "x" * 201, "ann\nbob", "ann\u202e"])
async def test_a_subject_that_is_no_name_is_nobody_s(tokens, subject):
    assert await tokens.caller_of(token(sub=subject)) is None


async def test_subjects_that_begin_alike_are_told_apart(tokens):
    long = [await tokens.caller_of(token(sub="x" * 199 + end)) for end in "ab"]
    assert long[0] != long[1]
    assert (await tokens.caller_of(token(sub="local"))).owner == "oauth:local"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "x" * 20_000, "é.é.é", "..", "a.b.c.d"])
async def test_what_is_no_token_is_nobody_s(tokens, text):
    assert await tokens.caller_of(text) is None


async def test_a_token_without_signature_or_with_a_shared_secret_is_refused(tokens):
    assert await tokens.caller_of(token(key=None, algorithm="none")) is None
    secret = json.dumps({"shared": "secret" * 8})
    assert await tokens.caller_of(token(key=secret, algorithm="HS256")) is None


async def test_an_issuer_that_cannot_be_asked_lets_nobody_in(anyio_backend):
    settings = OAuth(issuer=ISSUER, audience=AUDIENCE, jwks_url="http://127.0.0.1:9/jwks")
    with anyio.fail_after(30):
        assert await Tokens(settings, "films").caller_of(token()) is None


async def test_where_tokens_come_from_is_told_at_the_address_of_the_standard(tokens):
    assert tokens.metadata_url == (
        "https://media.example.org/.well-known/oauth-protected-resource/mcp"
    )
    paths = [route.path for route in tokens.routes()]
    assert paths == [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    ]
