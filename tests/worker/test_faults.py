"""What torch, diffusers and the hub raise becomes an error that says what to do next."""

from __future__ import annotations

import errno

import pytest

from media_mcp.errors import (
    MediaError,
    MissingExtra,
    NotConfigured,
    StorageFailed,
)
from media_mcp.worker.device import Device
from media_mcp.worker.pipelines import find_pipeline
from media_mcp.worker.pipelines.faults import explain, readable_faults
from media_mcp.worker.residency import Residency
from media_mcp.worker.work import Cancelled

WEIGHTS = "org/model"


def met(error: BaseException, residency: Residency | None = None) -> MediaError:
    device = Device("cuda:0", 24 * 10**9)
    with (
        pytest.raises(MediaError) as caught,
        readable_faults(WEIGHTS, device, residency or Residency(10**10, lambda: None)),
    ):
        raise error
    return caught.value


def named(name: str, base: type[Exception] = Exception) -> Exception:
    return type(name, (base,), {})("it went wrong")


@pytest.mark.parametrize(
    ("error", "package"),
    [
        (ModuleNotFoundError("No module named 'torchsde'", name="torchsde"), "torchsde"),
        (ImportError("X requires the protobuf library but it was"), "protobuf"),
        (ModuleNotFoundError("No module", name="diffusers.pipelines.flux"), "diffusers"),
        (NameError("name 'ftfy' is not defined"), "ftfy"),
    ],
)
def test_a_missing_package_is_named_with_the_command(error: Exception, package: str) -> None:
    told = met(error)
    assert isinstance(told, MissingExtra)
    assert told.message == f"This needs the Python package {package}, which is not installed."
    assert told.hint == 'Run: pip install "media-mcp[local]"'


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("GatedRepoError", "are gated", "https://huggingface.co/org/model"),
        ("RepositoryNotFoundError", "has no weights org/model", "hf auth login"),
        ("RevisionNotFoundError", "has no weights org/model", "card"),
        ("LocalEntryNotFoundError", "not on this machine", "media-mcp pull org/model"),
        ("OfflineModeIsEnabled", "not on this machine", "HF_HUB_OFFLINE"),
        ("ConnectError", "not on this machine", "media-mcp pull org/model"),
    ],
)
def test_what_the_hub_says_becomes_the_next_step(name: str, message: str, hint: str) -> None:
    told = met(named(name, OSError))
    assert isinstance(told, NotConfigured)
    assert message in told.message
    assert hint in told.hint


def test_the_cause_behind_an_error_counts() -> None:
    error = OSError("Cannot load model")
    error.__cause__ = named("GatedRepoError")
    assert "are gated" in met(error).message


def test_weights_that_cannot_be_loaded_are_named_with_the_reason() -> None:
    told = met(OSError("no file named model.safetensors found\nin the folder"))
    assert told.message == (
        "The weights org/model cannot be loaded: no file named model.safetensors found"
    )
    assert "never pickles" in told.hint


def test_a_full_disk_is_no_fault_of_the_weights() -> None:
    told = met(OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(told, StorageFailed)
    assert told.message == "The disk is full."


@pytest.mark.parametrize(
    "error",
    [
        Cancelled(),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        NotConfigured("Ours.", "Do it."),
        ValueError("height must be divisible by 8"),
        RuntimeError("shape mismatch"),
        PermissionError(errno.EACCES, "denied"),
        NameError("odd"),
        ImportError("libcudart.so.12: cannot open shared object file"),
    ],
)
def test_what_we_cannot_explain_passes_as_it_is(error: Exception) -> None:
    residency = Residency(1, lambda: None)
    with (
        pytest.raises(type(error)) as caught,
        readable_faults(WEIGHTS, Device("cpu", 1), residency),
    ):
        raise error
    assert caught.value is error


def test_an_unknown_pipeline_is_refused_with_the_nearest_or_all() -> None:
    assert find_pipeline("diffusers").__name__ == "run"
    with pytest.raises(NotConfigured, match=r"pipeline 'difusers' .* Did you mean diffusers\?"):
        find_pipeline("difusers")
    with pytest.raises(NotConfigured, match=r"pipeline '' .* Known: chatterbox, diffusers, "):
        find_pipeline("")


def test_a_package_that_few_models_need_is_installed_by_itself() -> None:
    for said, package in (("torchaudio", "torchaudio"), ("mistral-common", "mistral-common")):
        told = met(ImportError(f"X requires the {said} library but it was"))
        assert told.hint == f"Run: pip install {package}"


def test_a_chain_of_errors_that_is_a_ring_has_an_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert explain(first, "org/model") is None
