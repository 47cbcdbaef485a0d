"""Everything that can happen in a run, as frozen values that travel as JSON lines.

An event is made without stamps; whoever publishes it adds `at` and `source` (`stamp`), and the session adds the
run-wide `seq`. The format is versioned: a line of another version is refused, never guessed at. No I/O here.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from .errors import InputError
from .model import Culprit, Phase, Remedy, Strategy, Verdict

VERSION = 1

Source = Literal["session", "subject", "diagnosis"]
Outcome = Literal["completed", "failed", "hang", "timeout", "interrupted"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every event carries: `at` in seconds since the epoch, who said it, its place in the run."""

    v: int = VERSION
    seq: int = 0
    at: float = 0.0
    source: Source = "session"


class RunStarted(Event, frozen=True, kw_only=True, tag="run-started"):
    """A run begins, or is taken up again (`resumed`). `settings` and `origins` hold no secrets."""

    run: str
    scenario: str
    title: str
    resumed: bool
    settings: dict[str, Any]
    origins: dict[str, str]
    versions: dict[str, str]
    spool: str


class SubjectStarted(Event, frozen=True, kw_only=True, tag="subject-started"):
    """A subject runs. `parallelism` is the toggle in force; `strategy` is set when this is a fix or a resume."""

    pid: int
    start_method: str
    workers: int
    parallelism: str
    strategy: Strategy | None = None


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase-started"):
    """`total` is 0 when it cannot be known yet; `done` is what earlier attempts left."""

    phase: Phase
    total: int = 0
    done: int = 0
    unit: str = ""
    detail: str = ""


class PhaseProgress(Event, frozen=True, kw_only=True, tag="phase-progress"):
    phase: Phase
    done: int
    total: int = 0
    detail: str = ""


class PhaseFinished(Event, frozen=True, kw_only=True, tag="phase-finished"):
    """`kept` says that the work was done by an earlier attempt and not run again."""

    phase: Phase
    done: int
    total: int
    detail: str = ""
    kept: bool = False


class WorkerStarted(Event, frozen=True, kw_only=True, tag="worker-started"):
    """A worker runs; for start method `thread` its PID is the subject's."""

    role: str
    pid: int


class WorkerEnded(Event, frozen=True, kw_only=True, tag="worker-ended"):
    """`exit_code` is negative when a signal ended it, as in `subprocess`."""

    role: str
    pid: int
    exit_code: int


class FileSkipped(Event, frozen=True, kw_only=True, tag="file-skipped"):
    """An input that was not used, and why. `number` counts the skipped inputs of this run."""

    file: str
    reason: str
    number: int


class Log(Event, frozen=True, kw_only=True, tag="log"):
    """A line: `origin` is `output` for what the subject's processes printed, `cvdebug` for our own words."""

    text: str
    level: Literal["info", "warning"] = "info"
    origin: Literal["cvdebug", "output"] = "cvdebug"


class Tokenized(Event, frozen=True, kw_only=True, tag="tokenized"):
    """The speed of `encode_batch` in the subject, with the toggle in force."""

    tokens: int
    elapsed_s: float
    parallelism: str


class Embedded(Event, frozen=True, kw_only=True, tag="embedded"):
    """How many vectors this attempt found done and how many it computed."""

    kept: int
    computed: int


class IndexChosen(Event, frozen=True, kw_only=True, tag="index-chosen"):
    """The index to be built, why so, and what is to be feared."""

    kind: str
    metric: str
    parameters: dict[str, int]
    maintenance_work_mem_mb: int
    parallel_workers: int
    reason: str
    warning: str = ""


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """recall@10 of the index against the exact scan at one value of its search parameter."""

    setting: str
    value: int
    recall: float


class SampleHit(msgspec.Struct, frozen=True, kw_only=True):
    """One search result: `score` grows with likeness."""

    source: str
    ordinal: int
    score: float
    text: str


class SampleSearch(msgspec.Struct, frozen=True, kw_only=True):
    query: str
    hits: tuple[SampleHit, ...]


class Verified(Event, frozen=True, kw_only=True, tag="verified"):
    """What the table holds and what its index can do."""

    table: str
    rows: int
    tokens: int
    norm_min: float
    norm_max: float
    planner: str
    forced: str
    recalls: tuple[Recall, ...] = ()
    recommended: str = ""
    searches: tuple[SampleSearch, ...] = ()


class VerdictReached(Event, frozen=True, kw_only=True, tag="verdict"):
    """A verdict, flat, so that a line can be filtered by `slug` and `certainty`."""

    slug: str
    title: str
    certainty: str
    culprits: tuple[Culprit, ...]
    evidence: tuple[str, ...]
    explanation: str
    fixes: tuple[Remedy, ...]
    disproof: str
    links: tuple[str, ...] = ()


class Stuck(Event, frozen=True, kw_only=True, tag="stuck"):
    """Nothing in the tree moves any more, and `dead` can never move again. `phase` is where the run stands."""

    phase: Phase | None
    dead: tuple[int, ...]


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy costs here: measured by a short sample on this corpus, or not measured."""

    strategy: Strategy
    startup_s: float | None = None
    chunks_per_s: float | None = None


class FixPlanned(Event, frozen=True, kw_only=True, tag="fix-planned"):
    """The plan of a fix, to be read before it runs."""

    strategy: Strategy
    ends: tuple[int, ...]
    kept: int
    to_embed: int
    to_count: int
    steps: tuple[str, ...]
    prices: tuple[Price, ...]


class FixRefused(Event, frozen=True, kw_only=True, tag="fix-refused"):
    strategy: Strategy
    reason: str


class FixStarted(Event, frozen=True, kw_only=True, tag="fix-started"):
    strategy: Strategy


class Held(Event, frozen=True, kw_only=True, tag="held"):
    """The hung tree is kept alive for other tools; `commands` can be pasted into a shell."""

    pids: tuple[int, ...]
    commands: tuple[str, ...]


class Failed(Event, frozen=True, kw_only=True, tag="failed"):
    """The subject's last word: the phase that failed, the sentence, the advice."""

    what: str
    hint: str = ""
    phase: Phase | None = None


class RunFinished(Event, frozen=True, kw_only=True, tag="run-finished"):
    """The end of a run. `next_command` is what to type next, where there is something to do."""

    outcome: Outcome
    exit_code: int
    elapsed_s: float
    what: str = ""
    hint: str = ""
    next_command: str = ""


AnyEvent = (
    RunStarted | SubjectStarted | PhaseStarted | PhaseProgress | PhaseFinished | WorkerStarted | WorkerEnded
    | FileSkipped | Log | Tokenized | Embedded | IndexChosen | Verified | VerdictReached | Stuck | FixPlanned
    | FixRefused | FixStarted | Held | Failed | RunFinished
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_E = TypeVar("_E", bound=Event)


class _Version(msgspec.Struct):
    v: int = 0


def verdict_event(verdict: Verdict) -> VerdictReached:
    """The event that says `verdict`."""
    return VerdictReached(**msgspec.structs.asdict(verdict))


def stamp(event: _E, *, at: float, source: Source, seq: int = 0) -> _E:
    """The same event with its time (seconds since the epoch), source and place."""
    return msgspec.structs.replace(event, at=at, source=source, seq=seq)


def encode(event: Event) -> bytes:
    """One JSON line, newline included."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes) -> AnyEvent:
    """The event of one JSON line.

    Raises InputError for a line that is not an event, or is one of another version of the format.
    """
    try:
        version = msgspec.json.decode(line, type=_Version).v
        if version != VERSION:
            raise InputError(
                f"the event is of format version {version}, and this cvdebug reads version {VERSION}",
                hint="Read it with the cvdebug that wrote it.",
            )
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"a line is not an event ({error})") from None
