"""Places by configuration: what a backend.toml may say, whose word counts, what is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from falplace import toml
from media_mcp.backends import registry
from media_mcp.backends.fal import Fal, backend
from media_mcp.backends.fal.configuration import configuration, find_key
from media_mcp.backends.instances import Instance, configured, instance
from media_mcp.errors import BadSettings, NotConfigured
from media_mcp.settings import Settings

pytestmark = pytest.mark.anyio
BOX = "http://gpu-box:8787"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of configuration, empty, and no key in the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("FAL_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "media-mcp"


@pytest.fixture
def checked() -> Callable[..., Any]:
    """Read a configuration of these lines, beside a usual address."""

    def check(**lines: Any) -> Any:
        return configuration(
            Instance("box", {"queue": "https://q.example", "upload": "inline"} | lines)
        )

    return check


async def test_fal_ships_configured_and_asks_for_its_key(tmp_path: Path) -> None:
    fal = registry.create("fal", Settings(data_dir=tmp_path))

    assert isinstance(fal, Fal)
    assert (fal.name, fal.concurrency, fal.remote) == ("fal", 32, True)
    told = await fal.readiness()
    assert not told.ready
    assert told.fix == "Set FAL_KEY (https://fal.ai/dashboard/keys)."
    await fal.aclose()


def test_fals_own_file_says_that_a_submit_is_never_sent_twice() -> None:
    fal = instance("fal")
    assert fal is not None
    place = configuration(fal)

    assert not place.idempotent_submit and not place.allow_private
    assert place.queue == "https://queue.fal.run"
    assert "https://v3.fal.media:443" in place.origins


def test_another_media_mcp_is_one_more_backend_by_its_address(folder: Path, tmp_path: Path) -> None:
    toml(folder, "gpu-box", kind="fal", url=f"{BOX}/", allow_private=True, idempotent_submit=True)

    made = registry.create_all(["gpu-box", "fal"], Settings(data_dir=tmp_path))

    assert "gpu-box" in registry.names() and "gpu-box" in configured()
    assert [made["gpu-box"].name, made["fal"].name] == ["gpu-box", "fal"]
    place = configuration(instance("gpu-box") or Instance("none"))
    assert (place.queue, place.run, place.rest) == (f"{BOX}/queue", f"{BOX}/run", f"{BOX}/rest")
    assert (place.cdn, place.api) == (f"{BOX}/cdn", f"{BOX}/v1")
    assert place.origins == {BOX}
    assert place.shown == "gpu-box"


def test_a_users_lines_are_laid_over_ours(folder: Path) -> None:
    path = toml(folder, "fal", concurrency=4, concurrency_per_model=2)

    found = instance("fal")

    assert found is not None and found.path == path
    place = configuration(found)
    assert (place.concurrency, place.concurrency_per_model) == (4, 2)
    assert place.queue == "https://queue.fal.run"


def test_a_users_address_sends_every_call_for_fal_elsewhere(folder: Path) -> None:
    toml(folder, "fal", url=BOX, allow_private=True)

    assert configuration(instance("fal") or Instance("none")).origins == {BOX}


def test_slots_are_those_of_the_route_of_the_endpoint_or_of_all(
    checked: Callable[..., Any],
) -> None:
    place = checked(concurrency_per_model=5, models={"a/b": 2})

    assert place.slots("a/b", {"concurrency": 1}) == 1
    assert place.slots("a/b", {}) == 2
    assert place.slots("c/d", {}) == 5
    assert checked().slots("c/d", {}) is None
    assert checked().slots("c/d", {"concurrency": 0}) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"queue": 7}, r"^backend\.toml: queue: Input should be a valid string"),
        ({"queue": "ftp://x"}, "queue is 'ftp://x', which is no http address"),
        ({"queue": "https://[x"}, "which is no http address"),
        ({"queue": "http://gpu-box/queue"}, "queue is http, which would show the key"),
        ({"queue": "https://u:p@x"}, "queue holds more than host and path"),
        ({"queue": "https://x?y=1"}, "queue holds more than host and path"),
        ({"upload": "token"}, "upload = 'token' needs rest and cdn"),
        ({"upload": "initiate"}, "upload = 'initiate' needs rest"),
        ({"upload": "post"}, "upload: Input should be"),
        ({"headers": {"Authorization": "Key x"}}, "Authorization is not yours to set"),
        ({"headers": {"X Y": "1"}}, "'X Y' is no header"),
        ({"headers": {"X": "a\nb"}}, "'X' is no header"),
        ({"concurrency": 0}, "concurrency: Input should be greater than or equal to 1"),
        ({"concurency": 2}, "concurency: Extra inputs are not permitted"),
        ({"kind": "local"}, "kind: Input should be 'fal'"),
    ],
)
def test_a_wrong_line_is_told_with_its_file_and_field(
    checked: Callable[..., Any], lines: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadSettings, match=message) as caught:
        checked(**lines)

    assert str(caught.value).startswith("backend.toml: ")
    assert "README of backends/fal" in caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost:80", "[::1]:8787"])
def test_this_machine_may_be_spoken_to_without_tls(checked: Callable[..., Any], host: str) -> None:
    assert checked(queue=f"http://{host}/queue").queue


def test_a_file_that_is_no_toml_is_told(folder: Path) -> None:
    path = toml(folder, "box", kind="fal")
    path.write_text("kind = ")

    with pytest.raises(BadSettings, match=r"box/backend\.toml cannot be read"):
        registry.create("box", Settings())


def test_a_name_that_is_not_the_folders_is_told(folder: Path) -> None:
    toml(folder, "box", kind="fal").write_text('name = "bux"')

    with pytest.raises(BadSettings, match=r"the name is 'bux', but the folder's is 'box'"):
        registry.create("box", Settings())


def test_a_kind_that_nobody_ships_is_told(folder: Path) -> None:
    toml(folder, "box", kind="fel")

    with pytest.raises(BadSettings, match=r"no kind of backend called 'fel'\. Did you mean fal"):
        registry.create("box", Settings())


def test_a_kind_that_there_is_only_one_of_is_told(folder: Path) -> None:
    toml(folder, "second-stage", kind="rehearsal")

    with pytest.raises(BadSettings, match="only one backend of the kind rehearsal"):
        registry.create("second-stage", Settings())


def test_a_folder_whose_name_cannot_be_a_backends_is_none(folder: Path) -> None:
    toml(folder, "Not A Name", kind="fal")

    assert "Not A Name" not in registry.names()
    with pytest.raises(NotConfigured, match="no backend called 'Not A Name'"):
        registry.create("Not A Name", Settings())


def test_a_kind_of_places_that_nothing_describes_lacks_its_address() -> None:
    with pytest.raises(BadSettings, match="queue: Field required"):
        backend.create(Settings(), Instance("fal"))


async def test_the_key_comes_from_its_variable_its_file_or_the_settings(
    checked: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(settings: Settings | None = None, **lines: Any) -> str | None:
        found = find_key(checked(**lines), settings or Settings())
        return found.get_secret_value() if found else None

    path = tmp_path / "key"
    path.write_text("of-file\n")
    with_setting = Settings(fal_key=SecretStr("of-settings"))
    assert key(with_setting, key_env="FAL_KEY") == "of-settings"
    assert key(with_setting, key_env="BOX_KEY") is None
    assert key(with_setting) is None
    assert key(key_file=str(path)) == "of-file"
    assert key(key_file=str(tmp_path / "nowhere")) is None
    path.write_text(" \n")
    assert key(key_file=str(path)) is None
    monkeypatch.setenv("FAL_KEY", " of-environment ")
    assert key(with_setting, key_env="FAL_KEY", key_file=str(path)) == "of-environment"


async def test_a_key_file_that_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    toml(folder, "box", kind="fal", url="https://box.example", key_file=tmp_path / "key")

    told = await registry.create("box", Settings()).readiness()

    assert (told.reason, told.fix) == ("box has no key", f"Set {tmp_path / 'key'}.")


def test_the_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", "very-secret")
    found = find_key(configuration(instance("fal") or Instance("none")), Settings())

    assert "very-secret" not in repr(found)
    assert "very-secret" not in repr(Settings(fal_key=SecretStr("very-secret")))


def test_every_line_that_may_be_written_is_explained() -> None:
    root = Path(__file__).resolve().parents[2]
    readme = (root / "backends/fal/README.md").read_text()
    fields = set(type(configuration(instance("fal") or Instance("none"))).model_fields)
    told = tomllib.loads((root / "backends/fal/backend.toml").read_text())

    usual = {"name", "title", "description", "cost", "settings"}
    assert [name for name in sorted(fields - usual) if f"`{name}`" not in readme] == []
    assert set(told) <= fields
