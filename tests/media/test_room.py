import subprocess
import sys

import pytest

import media_mcp.media


def test_importing_the_room_imports_no_decoder() -> None:
    code = (
        "import sys; from media_mcp.media import Facts, Inputs, MediaStore, check_output, probe;"
        "print([m for m in ('av', 'PIL', 'obstore', 'httpx2', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_of_the_room_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonesuch'"):
        _ = media_mcp.media.Nonesuch  # type: ignore[attr-defined]
