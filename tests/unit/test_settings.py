"""Settings and scenarios: precedence, where values came from, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from cvdebug.core import scenario as scenarios
from cvdebug.core.errors import UsageError
from cvdebug.core.settings import resolve


def test_flags_come_before_variables_before_the_scenario_before_defaults() -> None:
    resolved = resolve(
        flags={"workers": 5, "batch": None},
        environment={"CVDEBUG_WORKERS": "4", "CVDEBUG_BATCH": "7", "CVDEBUG_KEEP_SPOOL": "true"},
        scenario={"workers": 3, "batch": 6, "cvs": 9},
        scenario_name="mine.toml",
    )
    settings = resolved.settings
    assert (settings.workers, settings.batch, settings.cvs, settings.keep_spool, settings.seed) == (5, 7, 9, True, 0)
    assert resolved.origins == {
        "workers": "--workers",
        "batch": "CVDEBUG_BATCH",
        "cvs": "mine.toml",
        "keep_spool": "CVDEBUG_KEEP_SPOOL",
    }


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        ({"workers": 0}, {}, r"--workers cannot be 0 .*>= 1"),
        ({"start_method": "frok"}, {}, r"only fork, spawn, forkserver, thread\. Did you mean fork\?"),
        ({}, {"CVDEBUG_WORKERS": "many"}, r"CVDEBUG_WORKERS cannot be 'many'"),
        ({"lists": 10}, {}, r"lists is a parameter of ivfflat.*Add --index ivfflat"),
        ({"input": "/x", "cvs": 3}, {}, r"--cvs is for the built-in generator"),
        ({"timeout_s": 0.0}, {}, r"--timeout cannot be 0\.0"),
        ({"m": 1}, {}, r"--m cannot be 1 .*>= 2"),
        ({"m": 50, "ef_construction": 64}, {}, r"less than twice m\. Use 100 or more"),
        ({"input": ""}, {}, r"--input cannot be ''"),
        ({"tokenizer": "/no/such/file"}, {}, r"/no/such/file does not exist"),
        ({}, {"CVDEBUG_DSN": ""}, r"CVDEBUG_DSN cannot be ''"),
    ],
)
def test_a_bad_value_names_its_origin(flags: dict[str, object], environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        resolve(flags=flags, environment=environment)


def test_every_shipped_scenario_says_what_it_teaches_and_how_it_ends() -> None:
    assert scenarios.names()[0] == "cv-pipeline"
    for name in scenarios.names():
        scenario = scenarios.load(name)
        assert scenario.title
        assert len(scenario.teaches.split()) > 15
        assert scenario.expect
        resolve(flags={}, environment={}, scenario=scenario.settings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'title = "t"\nteaches = "x"\n[settings]\nworkrs = 2\n',
            r"mine\.toml: there is no setting workrs\. Did you mean workers\?",
        ),
        (
            'title = "t"\nteaches = "x"\n[settings]\nworkers = "2"\n',
            r"mine\.toml: workers cannot be '2' .*Expected int",
        ),
        ('titel = "t"\nteaches = "x"\n', r"mine\.toml: there is no key titel\. Did you mean title\?"),
        ('teaches = "x"\n', r"mine\.toml: .*title"),
        ("title = ", r"mine\.toml is not valid TOML"),
        ('title = "t"\nteaches = "x"\nsettings = 3\n', r"settings is not a table"),
        ('title = "t"\nteaches = "x"\n[[expect]]\nparallelism = "on"\n', r"expect.*exit_code"),
        ('title = "t"\nteaches = "x"\n[[expect]]\nparallelism = "yes"\nexit_code = 0\n', r"expect.*parallelism"),
    ],
)
def test_a_bad_scenario_file_names_file_key_and_what_was_expected(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        scenarios.load(str(path))


def test_a_scenario_of_ones_own_finds_its_files_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "t"\nteaches = "x"\n[settings]\ninput = "cvs"\nworkers = 3\n')
    scenario = scenarios.load(str(path))
    assert scenario.name == "mine"
    assert scenario.settings == {"input": str(tmp_path / "cvs"), "workers": 3}


def test_an_unknown_scenario_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no scenario cv-pipline.*Did you mean cv-pipeline"):
        scenarios.load("cv-pipline")
    with pytest.raises(UsageError, match="cannot be read"):
        scenarios.load("./nowhere.toml")
