"""The benchmarks' arithmetic, and that a tiny one runs: their numbers mean nothing here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHMARKS, parse
from tests.bench.figure import Aim, Figure, interleaved, ratio, spread, table
from tests.bench.memory import Sampler, anonymous_bytes
from tests.integration.driver import until

BASELINES = sorted((Path(__file__).parents[1] / "bench").glob("baseline_*.py"))


def test_contestants_take_turns_and_the_ratio_is_of_each_round() -> None:
    turns: list[str] = []

    def contestant(name: str, times: list[float]) -> float:
        turns.append(name)
        return times.pop(0)

    ours, baseline = [1.0, 10.0, 3.0], [2.0, 20.0, 3.0]
    columns = interleaved(3, lambda: contestant("ours", ours), lambda: contestant("baseline", baseline))
    assert turns == ["ours", "baseline"] * 3
    assert ratio(*columns) == 0.5
    assert spread(columns[0], "{:.0f}", " s") == "3 s (1-10)"


def test_the_table_says_which_aims_were_missed() -> None:
    at_least, at_most = Aim(0.9, True), Aim(1.15, False)
    figures = [Figure("a", "1", "1", 0.9, at_least), Figure("b", "1", "1", 1.2, at_most), Figure("c", "1", "1", 5.0)]
    lines = table(figures).splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["ok", "missed", "5.00"]


def test_names_and_sizes_are_read() -> None:
    names, options = parse(["store", "--rows", "10", "--cvs", "3,4"])
    assert (names, options.rows, options.cvs) == (["store"], 10, (3, 4))
    assert parse([])[0] == list(BENCHMARKS)
    with pytest.raises(SystemExit):
        parse(["nothing"])


def test_the_sampler_sees_the_highest_anonymous_memory() -> None:
    size = 50_000_000
    code = f"import sys; held = b'x' * {size}; print(flush=True); sys.stdin.read(1); del held; print(flush=True)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process, Sampler() as sampler:
        assert process.stdin is not None
        assert process.stdout is not None
        sampler.watch("holder", process.pid)
        process.stdout.readline()
        until(lambda: sampler.peaks.get("holder", 0) > size)
        process.stdin.write(b".")
        process.stdin.close()
        process.stdout.readline()
    assert size < sampler.peaks["holder"] < size + 50_000_000
    assert anonymous_bytes(process.pid) == 0


@pytest.mark.parametrize("script", BASELINES, ids=lambda script: script.stem)
def test_a_baseline_is_short_and_knows_nothing_of_the_machinery(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) < 80
    for machinery in ("core.database", "core.spool", "core.session", "core.events"):
        assert machinery not in text


@pytest.mark.slow
def test_a_tiny_benchmark_runs() -> None:
    command = [sys.executable, "-m", "tests.bench", "store", "--rows", "50", "--insert-rows", "20", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert [line.partition(",")[0] for line in done.stdout.splitlines()[1:]] == ["store"] * 3, done.stdout
