"""The parts of the local backend that need no process."""

from __future__ import annotations

import pytest

from media_mcp.backends.local.environment import worker_environment
from media_mcp.backends.local.installed import Installation
from media_mcp.backends.local.wire import to_error
from media_mcp.errors import InvalidArguments
from media_mcp.worker import protocol


@pytest.mark.parametrize(
    "name",
    [
        "FAL_KEY",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_SECRET",
        "AWS_ACCESS_KEY_ID",
        "CUDA_PASSWORD",
        "OPENAI_API_KEY",
        "DATABASE_URL",
        "MEDIA_MCP_DATA_DIR",
        "XDG_AUTH",
        "LD_PRELOAD",
    ],
)
def test_what_is_not_needed_or_may_be_secret_stays_out_of_the_worker(name: str) -> None:
    assert name not in worker_environment({name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "CUDA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "PYTORCH_CUDA_ALLOC_CONF",
        "https_proxy",
    ],
)
def test_what_a_worker_needs_is_passed_on(name: str) -> None:
    assert worker_environment({name: "x"})[name] == "x"


def test_a_proxy_with_a_password_stays_out_of_the_worker() -> None:
    assert "HTTPS_PROXY" not in worker_environment({"HTTPS_PROXY": "http://me:secret@proxy"})


def test_shards_are_read_at_once_unless_the_user_says_otherwise() -> None:
    name = "HF_ENABLE_PARALLEL_LOADING"
    assert worker_environment({})[name] == "YES"
    assert worker_environment({name: "NO"})[name] == "NO"


def test_remote_code_is_off_whatever_our_environment_says() -> None:
    given = worker_environment({"DIFFUSERS_DISABLE_REMOTE_CODE": "false"})
    assert given["DIFFUSERS_DISABLE_REMOTE_CODE"] == "true"


def test_a_module_path_is_for_the_same_python_only() -> None:
    assert worker_environment({"PYTHONPATH": "/a"})["PYTHONPATH"] == "/a"
    assert "PYTHONPATH" not in worker_environment({"PYTHONPATH": "/a"}, same_python=False)


@pytest.mark.parametrize(("extra", "package"), [("tools", '"media-mcp[tools]"'), ("", "media-mcp")])
def test_missing_packages_are_named_with_the_command_that_brings_them(
    extra: str, package: str
) -> None:
    told = Installation("", ("json", "no_such_package", "nor_this"), extra).told()
    assert told.reason == "Not installed: no_such_package, nor_this."
    assert told.fix == f"Run: pip install {package}"


def test_an_argument_error_keeps_its_problem() -> None:
    error = to_error(protocol.Failed("a", "invalid_arguments", "width: too large.", "Use 64."))
    assert isinstance(error, InvalidArguments)
    assert error.problems[0].message == "width: too large."
