import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import media_mcp.media


def test_importing_the_room_imports_no_decoder() -> None:
    code = (
        "import sys; from media_mcp.media import Facts, Inputs, MediaStore;"
        "print([m for m in ('av', 'PIL', 'obstore', 'httpx2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def ran(code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_decoder_needs_neither_numpy_nor_what_servers_are_made_of(
    picture: Callable[..., Path], clip: Callable[..., Path]
) -> None:
    code = (
        "import sys\n"
        "from media_mcp.job import MediaKind\n"
        "from media_mcp.media.decoding.__main__ import reply\n"
        "from media_mcp.media.decoding.protocol import Draw, Read, Sight\n"
        "for kind, path in zip((MediaKind.IMAGE, MediaKind.VIDEO), sys.argv[1:]):\n"
        "    assert reply(Read(path, None, True)).type == 'found'\n"
        "    assert reply(Draw((Sight(path, kind, duration=2.0),))).jpeg\n"
        "print([m for m in ('numpy', 'anyio', 'pydantic', 'mcp') if m in sys.modules])"
    )
    assert ran(code, str(picture()), str(clip(sound=0.5))) == "[]"


def test_the_server_itself_decodes_nothing(
    picture: Callable[..., Path], clip: Callable[..., Path], tmp_path: Path
) -> None:
    code = (
        "import anyio, pathlib, sys\n"
        "from media_mcp.media import Inputs, MediaStore\n"
        "store = MediaStore(pathlib.Path(sys.argv[1]))\n"
        "inputs = Inputs(store, roots=[pathlib.Path('/')], max_bytes=10**7, allow_private=False)\n"
        "async def main():\n"
        "    for file in sys.argv[2:]:\n"
        "        await inputs.resolve(file, kind=None)\n"
        "        draft = await store.draft(pathlib.Path(file))\n"
        "        asset = await store.keep(draft, role='x', name='x', provenance={})\n"
        "        assert await store.preview([asset])\n"
        "anyio.run(main)\n"
        "print([m for m in ('av', 'PIL') if m in sys.modules])"
    )
    assert ran(code, str(tmp_path / "s"), str(picture()), str(clip(sound=0.5))) == "[]"


def test_an_unknown_name_of_the_room_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonesuch'"):
        _ = media_mcp.media.Nonesuch  # type: ignore[attr-defined]
