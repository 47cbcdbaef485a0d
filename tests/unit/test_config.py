"""The config file: it counts last but for the defaults, and what is wrong with it names file, line and key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cvdebug.core import config, scenario
from cvdebug.core.errors import UsageError
from cvdebug.tui.commands import config_command
from cvdebug.tui.run_opening import RunOpening, Wish


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the config file is looked for; it is not there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for variable in list(os.environ):
        if variable.startswith("CVDEBUG_"):
            monkeypatch.delenv(variable)
    (tmp_path / "cvdebug").mkdir()
    return tmp_path / "cvdebug" / "config.toml"


def test_it_is_in_the_xdg_folder_and_need_not_be_there(file: Path) -> None:
    assert config.path() == file
    assert config.load() == config.Config(file)
    assert config.in_force(flags={}).origins == {}


def test_it_comes_after_flags_variables_and_the_scenario(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('# mine\nworkers = 7\nbatch = 7\nseed = 7\nmetric = "l2"\n')
    monkeypatch.setenv("CVDEBUG_BATCH", "6")
    resolved = config.in_force(flags={"workers": 5}, scenario={"seed": 4}, scenario_name="mine.toml")
    settings = resolved.settings
    assert (settings.workers, settings.batch, settings.seed, settings.metric, settings.cvs) == (5, 6, 4, "l2", 400)
    assert resolved.origins == {
        "workers": "--workers", "batch": "CVDEBUG_BATCH", "seed": "mine.toml", "metric": f"{file}:5"
    }  # fmt: skip


def test_a_run_takes_it_and_finds_its_paths_beside_it(file: Path) -> None:
    file.write_text('input = "cvs"\nworkers = 3\n')
    settings = RunOpening(Wish()).resolved.settings
    assert (settings.input, settings.workers) == (str(file.parent / "cvs"), 3)


@pytest.mark.parametrize(
    ("text", "flags", "above", "gone"),
    [
        ('input = "cvs"', {"cvs": 40}, {}, "input"),
        ("m = 32", {"index": "ivfflat"}, {}, "m"),
        ("ef_construction = 64", {"m": 40}, {}, "ef_construction"),
        ('index = "ivfflat"\nlists = 9', {"index": "none"}, {}, "lists"),
        ('start_method = "thread"', {}, {"fault": "kill-worker"}, "start_method"),
    ],
)
def test_it_gives_way_to_what_it_does_not_go_with(
    file: Path, text: str, flags: dict[str, Any], above: dict[str, Any], gone: str
) -> None:
    file.write_text(text)
    assert gone in config.in_force(flags={}).origins
    assert gone not in config.in_force(flags=flags, scenario=above).origins


def test_every_shipped_scenario_runs_under_a_full_config_file(file: Path) -> None:
    (file.parent / "cvs").mkdir()
    file.write_text(
        'input = "cvs"\nstart_method = "thread"\nm = 32\nef_construction = 100\nindex = "hnsw"\nworkers = 4\n'
    )
    for name in scenario.names():
        assert RunOpening(Wish(scenario=name)).resolved.settings.workers in (
            4,
            scenario.load(name).settings.get("workers"),
        )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\n\nworkrs = 2", r":3: there is no setting workrs\. Did you mean workers\?"),
        ('seed = 1\n"work\\trs" = 2', r"there is no setting work\trs"),
        ('workers = "2"', r":1: workers cannot be '2' \(Expected int"),
        ('seed = 1\nindex = "hsnw"', r":2: index cannot be 'hsnw', only hnsw, ivfflat, none\. Did you mean hnsw\?"),
        (
            "seed = 1\n[settings]\nworkers = 2",
            r":2: settings is a table, and no setting\. Write",
        ),
        ("workers = 2\nbatch = \n", r":2: this is not valid TOML: Invalid value"),
        ("workers = 2\nworkers = 3\n", r"this is not valid TOML: Cannot overwrite a value"),
        ("workers = " + "[" * 100_000, r"config.toml: this is not valid TOML: it is nested too deeply"),
        ("dsn = 5", r":1: dsn cannot be that"),
        ("workrs = 2\nbtach = 3\nseeed = 4", r":1: .*workers\? cvdebug config validate lists 2 more"),
    ],
)
def test_what_is_wrong_names_file_line_and_key(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=sentence) as caught:
        config.in_force(flags={})
    assert str(caught.value).startswith(str(file))


def test_what_is_no_file_is_said_and_nothing_waits(file: Path) -> None:
    file.symlink_to("gone")
    assert_said("is a link to nowhere")
    file.unlink()
    file.write_bytes(b"\xff\xfe")
    assert_said("is not a text file in UTF-8")
    file.unlink()
    os.mkfifo(file)
    assert_said("cannot be read: not a regular file")


def assert_said(sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        config.load()


def test_show_says_where_each_value_comes_from_without_the_password(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('workers = 3\ndsn = "postgresql://me:hunter2@h:1/db"\nollama_url = "http://me:hunter2@h:2"\n')
    monkeypatch.setenv("CVDEBUG_BATCH", "7")
    config_command.show(None, json=False)
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["workers"] == ["3", f"{file}:1"]
    assert lines["batch"] == ["7", "CVDEBUG_BATCH"]
    assert lines["start_method"] == ["fork", "cv-pipeline.toml"]
    assert lines["seed"] == ["0", "default"]
    assert lines["dsn"] == ["postgresql://me:***@h:1/db", f"{file}:2"]
    config_command.show("slow-index", json=True)
    out = capsys.readouterr().out
    told = json.loads(out)
    assert "hunter2" not in out + str(lines)
    assert (told["path"], told["exists"], told["scenario"]) == (str(file), True, "slow-index")
    assert told["settings"]["m"] == {"value": 32, "from": "scenario", "where": "slow-index.toml"}
    assert told["settings"]["workers"] == {"value": 3, "from": "config", "where": f"{file}:1"}
    assert told["settings"]["batch"]["from"] == "environment"
    assert told["settings"]["lists"] == {"value": None, "from": "default", "where": "default"}


def test_validate_lists_all_that_is_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("workrs = 2\nbatch = 0\nseed = 1\n")
    assert config_command.validate(None, json=False) == 2
    err = capsys.readouterr().err.splitlines()
    assert [line.startswith(f"{file}:{number}: ") for number, line in enumerate(err, 1)] == [True, True]
    assert config_command.validate(None, json=True) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert problems[0]["hint"] == "Did you mean workers?"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('index = "ivfflat"\nm = 3', "m is a parameter of hnsw"),
        ('table = "chunks"', "schema"),
        ('dsn = "postgresql://u:hunter2@@h/d"', "dsn"),
        ("batch =", "not valid TOML"),
    ],
)
def test_validate_finds_what_a_run_would_refuse(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file.write_text(text)
    assert config_command.validate(None, json=False) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith(str(file))
    assert "hunter2" not in err


def test_validate_of_a_right_file_and_of_none(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert config_command.validate(None, json=False) == 0
    assert "does not exist" in capsys.readouterr().out
    file.write_text('dsn = "postgresql://me:hunter2@h/db"\n')
    file.chmod(0o644)
    monkeypatch.setenv("CVDEBUG_WORKRS", "4")
    assert config_command.validate(file, json=False) == 0
    said = capsys.readouterr()
    assert "is right: 1 setting" in said.out
    assert "chmod 600" in said.err
    assert "CVDEBUG_WORKRS sets nothing. Did you mean CVDEBUG_WORKERS?" in said.err
    file.chmod(0o600)
    monkeypatch.delenv("CVDEBUG_WORKRS")
    assert config_command.validate(None, json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(file), "exists": True, "problems": [], "notes": []}
