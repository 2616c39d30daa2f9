"""Makes stand-ins that are neither seen, heard nor read: 3D models and plain files."""

from __future__ import annotations

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path

from media_mcp.backends.rehearsal.picture import colours
from media_mcp.backends.rehearsal.wish import Wish
from media_mcp.catalog.model import OutputSpec
from media_mcp.job import JSON, Output

_TRIANGLES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))
_CORNERS = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.5, 0.0, 0.866), (0.5, 0.816, 0.289))
_FLOAT, _UNSIGNED_BYTE = 5126, 5121


def make_model3d(wish: Wish, output: OutputSpec, folder: Path) -> list[Output]:
    """Write a binary glTF 2.0 file: one tetrahedron in the colour of the arguments."""
    path = folder / f"{output.role}.glb"
    path.write_bytes(_glb(wish))
    return [Output(path, output.role, "model/gltf-binary")]


def _glb(wish: Wish) -> bytes:
    corners = b"" if wish.blank else struct.pack("<12f", *(x for c in _CORNERS for x in c))
    order = b"" if wish.blank else bytes(i for triangle in _TRIANGLES for i in triangle)
    binary = corners + order
    scene = _empty_scene() if wish.blank else _scene(wish, len(corners), len(order))
    head = json.dumps(scene, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 4)
    chunks = struct.pack("<II", len(head), 0x4E4F534A) + head
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _empty_scene() -> dict[str, JSON]:
    return {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{}]}


def _scene(wish: Wish, corners: int, order: int) -> dict[str, JSON]:
    colour = [round(part / 255, 3) for part in colours(wish.dice)[1]]
    shape = {"attributes": {"POSITION": 0}, "indices": 1, "material": 0}
    low = [min(c[i] for c in _CORNERS) for i in range(3)]
    high = [max(c[i] for c in _CORNERS) for i in range(3)]
    return {
        "asset": {"version": "2.0", "generator": "media-mcp rehearsal"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": f"seed {wish.seed}"}],
        "meshes": [{"primitives": [shape]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [*colour, 1.0]}}],
        "buffers": [{"byteLength": corners + order}],
        "bufferViews": [
            {"buffer": 0, "byteLength": corners, "target": 34962},
            {"buffer": 0, "byteOffset": corners, "byteLength": order, "target": 34963},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": _FLOAT, "count": 4, "type": "VEC3"}
            | {"min": low, "max": high},
            {"bufferView": 1, "componentType": _UNSIGNED_BYTE, "count": 12, "type": "SCALAR"},
        ],
    }


def make_file(wish: Wish, output: OutputSpec, folder: Path) -> list[Output]:
    """Write a file of the declared type: JSON, a ZIP archive, or bytes that stand for anything."""
    told = {"title": wish.title, "words": wish.words, "seed": wish.seed}
    note = json.dumps({} if wish.blank else told, indent=1).encode()
    if output.mime_type == "application/json":
        return [_written(folder / f"{output.role}.json", note, output)]
    if output.mime_type == "application/zip":
        return [_written(folder / f"{output.role}.zip", _zipped(note), output)]
    return [_written(folder / f"{output.role}.bin", note, output)]


def _written(path: Path, content: bytes, output: OutputSpec) -> Output:
    path.write_bytes(content)
    return Output(path, output.role, output.mime_type)


def _zipped(note: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("rehearsal.json"), note)  # its date is fixed: 1980
    return packed.getvalue()
