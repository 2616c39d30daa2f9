"""What of our environment a worker is given: what it needs to find its device, never a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping

ALLOWED = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "LD_LIBRARY_PATH",
        "VIRTUAL_ENV",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SYSTEMROOT",
    }
)
PREFIXES = (
    "LC_",
    "XDG_",
    "HF_",
    "DIFFUSERS_",
    "TRANSFORMERS_",
    "SAFETENSORS_",
    "TORCH",
    "PYTORCH_",
    "TRITON_",
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "HIP_",
    "HSA_",
    "ROCM_",
    "ROCR_",
    "OMP_",
    "MKL_",
    "KMP_",
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
FIXED: Mapping[str, str] = {
    "DIFFUSERS_DISABLE_REMOTE_CODE": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
USUAL: Mapping[str, str] = {
    "HF_ENABLE_PARALLEL_LOADING": "YES",  # diffusers reads shards at once: half the time for seven
}


def worker_environment(ours: Mapping[str, str], *, same_python: bool = True) -> dict[str, str]:
    """Return the worker's environment. `PYTHONPATH` is for the Python it was set for only."""
    passed = {name: value for name, value in ours.items() if _passes(name, value)}
    if same_python and "PYTHONPATH" in ours:
        passed["PYTHONPATH"] = ours["PYTHONPATH"]
    return {**USUAL, **passed, **FIXED}


def _passes(name: str, value: str) -> bool:
    if _SECRET.search(name):
        return False
    if name.upper().endswith("_PROXY") and "@" in value:  # http://user:password@proxy
        return False
    return name.upper() in ALLOWED or name.startswith(PREFIXES)
