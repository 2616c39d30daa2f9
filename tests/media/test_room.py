import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import media_mcp.media


def test_importing_the_room_imports_no_decoder() -> None:
    code = (
        "import sys; from media_mcp.media import Facts, Inputs, MediaStore, check_output, probe;"
        "print([m for m in ('av', 'PIL', 'obstore', 'httpx2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_probing_and_checking_need_no_numpy(
    picture: Callable[..., Path], clip: Callable[..., Path], tmp_path: Path
) -> None:
    code = (
        "import anyio, pathlib, sys\n"
        "from media_mcp.media import MediaStore, check_output\n"
        "store = MediaStore(pathlib.Path(sys.argv[1]))\n"
        "async def main():\n"
        "    for file in sys.argv[2:]:\n"
        "        path = pathlib.Path(file)\n"
        "        asset = await store.put(path, role='x', name='x', provenance={})\n"
        "        await check_output(asset, {})\n"
        "        assert await store.preview([asset])\n"
        "anyio.run(main)\n"
        "print('numpy' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "s"), str(picture()), str(clip(sound=0.5))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_name_of_the_room_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonesuch'"):
        _ = media_mcp.media.Nonesuch  # type: ignore[attr-defined]
