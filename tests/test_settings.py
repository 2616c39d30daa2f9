"""Settings: which source wins, and what is said of a wrong value."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from media_mcp.errors import BadSettings, OverBudget
from media_mcp.job import Caller, Quote
from media_mcp.queue.budget import need
from media_mcp.queue.routing import rules_of
from media_mcp.settings import FILE_NAME, Settings, load_settings


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def test_the_data_folder_follows_the_xdg_rules(nowhere: Path) -> None:
    assert load_settings().data_dir == nowhere / "data" / "media-mcp"


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "media-mcp.toml").write_text('wait = 1\ntools = "all"\nattempts = 2\n')
    monkeypatch.setenv("MEDIA_MCP_WAIT", "2")
    monkeypatch.setenv("MEDIA_MCP_TOOLS", "sketch")
    settings = load_settings(wait=3.0)
    assert (settings.wait, settings.tools, settings.attempts) == (3.0, "sketch", 2)


def test_a_flag_that_was_not_given_leaves_the_rest_as_it_is() -> None:
    assert load_settings(wait=None).wait == Settings().wait


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wait = -1", "Setting wait: Input should be greater than or equal to 0 (given: -1)."),
        ("wiat = 5", "Setting wiat: Extra inputs are not permitted"),
        ("attempts = 'x'", "Setting attempts:"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_where_to_set_it(
    nowhere: Path, text: str, words: str
) -> None:
    (nowhere / "media-mcp.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in caught.value.message
    assert "media-mcp.toml" in caught.value.hint
    assert "MEDIA_MCP_" in caught.value.hint


def test_the_rules_of_projects_come_from_both_files_key_by_key(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = nowhere / "own.toml"
    own.write_text(
        'prefer = "local"\n[projects.films]\noffline = true\nprefer = "hosted"\n'
        '[projects.secret]\nkeep_here = "everything"\n'
    )
    monkeypatch.setitem(Settings.model_config, "toml_file", [own, Path("media-mcp.toml")])
    (nowhere / "media-mcp.toml").write_text(
        'project = "films"\n[projects.films]\nprefer = "cheapest"\nlicences = ["MIT"]\n'
    )
    settings = load_settings()
    films, secret = settings.projects["films"], settings.projects["secret"]
    assert (settings.project, settings.prefer) == ("films", "local")
    assert (films.prefer, films.offline, films.licences) == ("cheapest", True, ["MIT"])
    assert (secret.keep_here, secret.offline) == ("everything", None)


@pytest.mark.parametrize(
    ("own", "folder", "offline", "keep_here"),
    [
        ('offline = true\nkeep_here = "everything"', "", True, "everything"),
        ("offline = true", 'offline = false\nkeep_here = "inputs"', True, "inputs"),
        ('offline = "yes"', "offline = 0", True, "nothing"),
        ('keep_here = "inputs"', 'keep_here = "nothing"', False, "inputs"),
        ('keep_here = "inputs"', 'offline = true\nkeep_here = "everything"', True, "everything"),
        ("offline = true", "[projects.films]\noffline = false", True, "nothing"),
        ('[projects.films]\nkeep_here = "inputs"', 'keep_here = "everything"', False, "everything"),
        ("offline = true\n[projects.films]\noffline = false", "", False, "nothing"),
        ("offline = true\n[projects.films]\noffline = false", "offline = true", True, "nothing"),
    ],
)
def test_a_working_folder_keeps_more_here_than_its_user_and_never_less(
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    folder: str,
    offline: bool,
    keep_here: str,
) -> None:
    (nowhere / "own.toml").write_text(own)
    (nowhere / FILE_NAME).write_text(folder)
    files = [nowhere / "own.toml", Path(FILE_NAME)]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    rules = rules_of(load_settings(), "films")
    assert (rules.offline, rules.keep_here) == (offline, keep_here)


@pytest.mark.parametrize(
    ("own", "folder", "counts"),
    [
        ("[budget]\nusd = 5", "[budget]\nusd = 50\nusd_per_day = 1", {"usd": 5, "usd_per_day": 1}),
        ("[budget]\nusd = 5", "[budget]\nusd = 2", {"usd": 2}),
        ("[budget]\nusd = 5", "[budget]\nusd_if_unknown = 0", {"usd": 5, "usd_if_unknown": None}),
        ("[budget]\nusd_if_unknown = 1", "[budget]\nusd_if_unknown = 0", {"usd_if_unknown": 1}),
        ("", "[budget]\nusd = 1\nusd_if_unknown = 0", {"usd": 1, "usd_if_unknown": 0}),
    ],
)
def test_a_working_folder_spends_less_than_its_user_and_never_more(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, own: str, folder: str, counts: dict[str, float]
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    for path, text in zip(files, (own, folder), strict=True):
        path.write_text(text)
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    told = load_settings().budget
    assert {name: getattr(told, name) for name in counts} == counts


@pytest.mark.parametrize("table", ["budget", "projects.films.budget", "callers.local.budget"])
@pytest.mark.parametrize("by_environment", [True, False])
def test_who_limits_money_has_the_word_on_what_unknown_prices_count_as(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, table: str, by_environment: bool
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    files[1].write_text(f"[{table}]\nusd_if_unknown = 0")
    if by_environment:
        monkeypatch.setenv("MEDIA_MCP_BUDGET", '{"usd": 5}')
    else:
        files[0].write_text("[budget]\nusd = 5")
    told, ann = load_settings(), Caller("local", "films")
    with pytest.raises(OverBudget, match="Nobody knows what it costs"):
        need(told, ann, Quote("fal", None, None), 0.0)


def test_who_limits_devices_has_the_word_on_what_unknown_lengths_count_as(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    files[0].write_text("[budget]\ngpu_seconds = 60\ngpu_seconds_if_unknown = 30")
    files[1].write_text("[budget]\ngpu_seconds_if_unknown = 0.001")
    assert load_settings().budget.gpu_seconds_if_unknown == 30


def test_what_licences_a_project_may_use_is_its_users_word(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    files[0].write_text("licences = ['MIT']")
    files[1].write_text("[projects.films]\nlicences = ['*']")
    assert rules_of(load_settings(), "films").licences == ["MIT"]


@pytest.mark.parametrize("name", ["allow_private_urls", "allow_remote_code", "allow_hub_loras"])
def test_what_is_dangerous_only_the_users_own_file_allows(
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    own, folder = files = [nowhere / "own.toml", nowhere / FILE_NAME]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    folder.write_text(f"{name} = true")
    assert getattr(load_settings(), name) is False
    assert f"{name} in a working folder's file is passed over" in caplog.text
    own.write_text(f"{name} = true")
    assert getattr(load_settings(), name) is True
    folder.write_text(f"{name} = false")
    assert getattr(load_settings(), name) is False


def test_a_working_folder_names_no_program_to_run(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    files[1].write_text('worker_python = "./evil"')
    assert load_settings().worker_python == ""


@pytest.mark.parametrize(
    ("own", "folder", "name", "counts"),
    [
        ("worker_python = '/usr/bin/python3'", "worker_python = './evil'", "worker_python", "own"),
        ("api_key = 'mine'", "api_key = 'known'", "api_key", SecretStr("mine")),
        ("", "[oauth]\nissuer = 'https://x.example'\naudience = 'x'", "oauth", None),
        ("licences = ['MIT']", "licences = ['*']", "licences", ["MIT"]),
        ("", "licences = ['MIT']", "licences", ["MIT"]),
        ("", "fal_key = 'theirs'", "fal_key", None),
        ("data_dir = '/mine'", "data_dir = 'elsewhere'", "data_dir", Path("/mine")),
        ("catalog_dirs = []", "catalog_dirs = ['cheap']", "catalog_dirs", []),
        ("", "retry_bad_output = 'always'", "retry_bad_output", "free"),
        ("retry_bad_output = 'always'", "", "retry_bad_output", "always"),
        ("retry_bad_output = 'always'", "retry_bad_output = 'never'", "retry_bad_output", "never"),
        ("", "max_input_bytes = 1000000000000", "max_input_bytes", 200 * 2**20),
        ("max_input_bytes = 1000000000000", "max_input_bytes = 5", "max_input_bytes", 5),
        ("", "roots = ['/']", "roots", []),
        ("", "roots = ['..', 'in']", "roots", [Path("in")]),
        ("roots = ['/srv']", "roots = ['/srv/../etc', '/']", "roots", [Path("/srv")]),
        ("roots = ['/srv']", "roots = ['/srv/pictures']", "roots", [Path("/srv/pictures")]),
    ],
)
def test_a_file_that_came_with_a_folder_opens_nothing(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, own: str, folder: str, name: str, counts: Any
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    for path, text in zip(files, (own, folder), strict=True):
        path.write_text(text)
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    expected = "/usr/bin/python3" if counts == "own" else counts
    assert getattr(load_settings(), name) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pin = " + "[" * 5000 + "]" * 5000, "it nests more than 16 deep"),
        ("budget = " + "{a=" * 3000 + "1" + "}" * 3000, "it nests more than 16 deep"),
        ("a" + ".a" * 3000 + " = 1", "it nests more than 16 deep"),
        ("wait = " + "9" * 5000, "Exceeds the limit"),
        ("wait = 0x" + "f" * 5000, "something too large to show"),
        ("project = '" + "x" * 50_000 + "'", "xxx…)"),
        ("project = '" + "x" * 70_000 + "'", "it is larger than 65,536 bytes"),
    ],
)
def test_a_file_that_is_made_to_do_harm_is_refused_in_words(
    nowhere: Path, text: str, words: str
) -> None:
    (nowhere / FILE_NAME).write_text(text)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in caught.value.message
    assert len(caught.value.message) < 600


def test_so_do_its_projects_and_callers_and_its_other_rules(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [nowhere / "own.toml", nowhere / FILE_NAME]
    files[0].write_text(
        "confirm_above = 1\ngpu_rate = 2\n[projects.films.budget]\nusd = 5\n"
        "[callers.ann.limits]\njobs_at_once = 2\n"
    )
    files[1].write_text(
        "confirm_above = 9\ngpu_rate = 0\nallow_private_urls = true\n"
        "[projects.films.budget]\nusd = 500\n[callers.ann.limits]\njobs_at_once = 99\n"
    )
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    told = load_settings()
    assert (told.confirm_above, told.gpu_rate) == (1, 2)
    assert told.projects["films"].budget.usd == 5
    assert told.callers["ann"].limits.jobs_at_once == 2


def test_a_rule_that_is_none_is_still_told(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "own.toml").write_text("offline = true")
    (nowhere / FILE_NAME).write_text("offline = 'perhaps'\nprojects = 3")
    files = [nowhere / "own.toml", Path(FILE_NAME)]
    monkeypatch.setitem(Settings.model_config, "toml_file", files)
    with pytest.raises(BadSettings, match=r"Setting projects: Input should be"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "words", "name"),
    [
        ("prefer = 'free'", "Setting prefer: Input should be 'card', 'local', 'hosted'", "PREFER"),
        ("project = 'a/b'", "Setting project: String should match pattern", "PROJECT"),
        ("[projects.a]\nwait = 1", "Setting projects.a.wait: Extra inputs", "PROJECTS"),
        ("[projects.a]\noffline = 'never'", "Setting projects.a.offline: Input", "PROJECTS"),
    ],
)
def test_a_wrong_rule_is_told_with_its_name(
    nowhere: Path, text: str, words: str, name: str
) -> None:
    (nowhere / "media-mcp.toml").write_text(text)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert words in caught.value.message
    assert f"as MEDIA_MCP_{name} or" in caught.value.hint


def test_a_file_that_is_no_toml_is_told(nowhere: Path) -> None:
    (nowhere / "media-mcp.toml").write_text("wait = = 5")
    with pytest.raises(BadSettings, match=r"media-mcp.toml cannot be read: .* Mend the file"):
        load_settings()


@pytest.mark.parametrize("name", ["api_key", "fal_key"])
def test_a_secret_is_never_shown(nowhere: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(Settings.model_config, "toml_file", [nowhere / "own.toml"])
    (nowhere / "own.toml").write_text(f'{name} = "hush"\n')
    settings = load_settings()
    assert getattr(settings, name).get_secret_value() == "hush"
    assert "hush" not in repr(settings)
    (nowhere / "own.toml").write_text(f'{name} = ["hush"]\n')
    with pytest.raises(BadSettings, match=rf"Setting {name}.*given: something secret") as caught:
        load_settings()
    assert "hush" not in str(caught.value)
