"""Runs models of transformers: speech to text, text to speech, music, captions, pictures to SVG.

A card's spec says `weights` (an absolute folder or a hub id) and `class` (of transformers), and
may say `dtype`, `revision`, `local_files_only`, `threads`, `companions` (further weights by their
roles, as `vocoder`), `voices` (names to files), `output` (see worker/encode) and `remote_code`.
"""

from __future__ import annotations

from media_mcp.worker.pipelines.transformers.run import run

__all__ = ["run"]
