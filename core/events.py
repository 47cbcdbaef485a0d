"""Everything that can happen in a run, as frozen values that travel as JSON lines.

An event is made without stamps; whoever publishes it adds `at` and `source` (`stamp`), and the session adds the
run-wide `seq`. The format is versioned: a line of another version is refused, never guessed at. No I/O here.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from .errors import InputError
from .model import HANGS, Culprit, DatabaseSession, Graph, Phase, Progress, Remedy, Strategy, Verdict
from .seen import ProcessSeen, StackSeen, ThreadSeen

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


class Attached(Event, frozen=True, kw_only=True, tag="attached"):
    """A tree that is not ours is followed: `attach`, or `watch`, which started it. `command` has its secrets hidden."""

    pid: int
    command: tuple[str, ...]
    versions: dict[str, str]
    watched: bool = False


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


class FilesSkipped(Event, frozen=True, kw_only=True, tag="files-skipped"):
    """How many inputs were not used, and of each kind, as "encrypted"; a run that is taken up knows no kinds."""

    number: int
    kinds: dict[str, int] = {}


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


class TreeSampled(Event, frozen=True, kw_only=True, tag="tree"):
    """What is new or has changed in the tree since the last sample; in a keyframe (`key`) all that there is.

    `gone` and `gone_threads` are the PIDs and TIDs that are there no more; a process takes its threads with it.
    """

    key: bool = False
    processes: tuple[ProcessSeen, ...] = ()
    threads: tuple[ThreadSeen, ...] = ()
    gone: tuple[int, ...] = ()
    gone_threads: tuple[int, ...] = ()


class StacksRead(Event, frozen=True, kw_only=True, tag="stacks"):
    """The stacks of one process, read at `at`. `trouble` says why py-spy gave none: those that there are the process
    wrote itself. `asked`: because a person wished."""

    pid: int
    stacks: tuple[StackSeen, ...] = ()
    native: bool = False
    asked: bool = False
    taken_s: float = 0.0
    trouble: str = ""


class GraphDrawn(Event, frozen=True, kw_only=True, tag="graph"):
    """The wait-for graph of the newest thorough look, where it differs from the one before."""

    graph: Graph


class DatabaseSampled(Event, frozen=True, kw_only=True, tag="database"):
    """What the server says of its sessions, locks and progress. `unknown` says why it could not be asked."""

    sessions: tuple[DatabaseSession, ...] = ()
    progress: tuple[Progress, ...] = ()
    unknown: str = ""


class NotSeen(Event, frozen=True, kw_only=True, tag="not-seen"):
    """What could not be looked at, in sentences; it replaces what was said before."""

    sentences: tuple[str, ...]


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

    @property
    def hangs(self) -> bool:
        """Whether it says that something hangs."""
        return self.certainty in HANGS


class Stuck(Event, frozen=True, kw_only=True, tag="stuck"):
    """Nothing in the tree moves any more, and `dead` can never move again. `phase` is where the run stands."""

    phase: Phase | None
    dead: tuple[int, ...]


class VerdictWithdrawn(Event, frozen=True, kw_only=True, tag="verdict-withdrawn"):
    """What was said of the tree holds no more: it moved after all, or somebody has acted on it."""

    slug: str


class Unstuck(Event, frozen=True, kw_only=True, tag="unstuck"):
    """The tree moves again by itself."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy costs here: measured by a short sample on this corpus, or not measured."""

    strategy: Strategy
    startup_s: float | None = None
    chunks_per_s: float | None = None


class FixPlanned(Event, frozen=True, kw_only=True, tag="fix-planned"):
    """The plan of a fix, to be read before it runs. `proposed`: it is only shown, and waits for a decision."""

    strategy: Strategy
    ends: tuple[int, ...]
    kept: int
    to_embed: int
    to_count: int
    steps: tuple[str, ...]
    prices: tuple[Price, ...]
    proposed: bool = False


class FixRefused(Event, frozen=True, kw_only=True, tag="fix-refused"):
    """Why this strategy cannot be had here. `proposed`: it was only looked at."""

    strategy: Strategy
    reason: str
    proposed: bool = False
    needs_consent: bool = False  # it would end a session that is not this run's own, and can be had with a yes


class FixStarted(Event, frozen=True, kw_only=True, tag="fix-started"):
    strategy: Strategy


class Signalled(Event, frozen=True, kw_only=True, tag="signalled"):
    """A person sent a signal to a process; `trouble` says why it did not arrive."""

    pid: int
    signal: str
    trouble: str = ""


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
    RunStarted | Attached | SubjectStarted | PhaseStarted | PhaseProgress | PhaseFinished | WorkerStarted
    | WorkerEnded | FileSkipped | FilesSkipped | Log | Tokenized | Embedded | IndexChosen | Verified | TreeSampled
    | StacksRead | GraphDrawn | DatabaseSampled | NotSeen | VerdictReached | VerdictWithdrawn | Stuck | Unstuck
    | FixPlanned | FixRefused | FixStarted | Signalled | Held | Failed | RunFinished
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
    """One JSON line, newline included. Text that is not valid Unicode, as a file's name can be, is replaced."""
    try:
        return _encoder.encode(event) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_valid(msgspec.to_builtins(event))) + b"\n"


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_valid(key): _valid(item) for key, item in value.items()}
    return [_valid(item) for item in value] if isinstance(value, list | tuple) else value


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
