"""A worker died because the shared memory that it wrote to was full."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from ...observe.surroundings import Room
from .. import pools
from ..card import Card
from ..case import Case

CARD = Card(
    slug="worker-died-shm-full",
    title="A worker died because /dev/shm is full, and its answer will never come",
    certainty=Certainty.PROVEN,
    explanation=(
        "Arrays and tensors that processes share are files in /dev/shm. Making one larger than the room that is left"
        " succeeds: the kernel gives out the pages only when they are written. The write that finds no page left gets"
        " SIGBUS, and the worker is gone without a word. A multiprocessing.Pool starts another worker, but forgets the"
        " task that the dead one had in its hands, so that whoever waits for its answer waits for ever. Docker gives a"
        " container 64 MB of /dev/shm unless told otherwise."
    ),
    conditions=(
        "Everything that holds of pool-task-lost: an answer is awaited, all workers are idle, one is a replacement.",
        "/dev/shm, as the tree sees it, has less than 1 MiB left.",
    ),
    fixes=(
        Remedy(
            title="Give the container more shared memory",
            cost="memory that is written there counts as the container's",
            command="docker run --shm-size=8g ...",
        ),
        Remedy(
            title="Share the host's /dev/shm with the container",
            cost="the container sees the shared memory of every program of the host",
            command="docker run --ipc=host ...",
        ),
        Remedy(title="Use fewer workers, or smaller batches", cost="it takes longer"),
        Remedy(
            title="With PyTorch, share tensors through files instead",
            cost="the files live in the folder for temporary files, and a crash leaves them there",
            command='torch.multiprocessing.set_sharing_strategy("file_system")',
        ),
    ),
    disproof=(
        "Room in /dev/shm (`df /dev/shm`, inside the container) or a line of the out-of-memory killer in `dmesg` means"
        " that something else ended the worker."
    ),
    links=(
        "https://github.com/pytorch/pytorch/issues/5040",
        "https://github.com/pytorch/pytorch/issues/1355",
        "https://github.com/huggingface/sentence-transformers/issues/844",
        "https://docs.docker.com/reference/cli/docker/container/run/",
    ),
)

_LEFT_BYTES = 1 << 20


def match(case: Case) -> Iterator[Verdict]:
    """For each lost task, when the shared memory of the tree is full."""
    room = case.surroundings.shared_memory
    if room is None or room.total_bytes <= 0 or room.free_bytes >= _LEFT_BYTES:
        return
    for loss in pools.losses(case):
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid in (*loss.replacements, *loss.pools.waiters)],
            evidence=(_of_room(case, room), *pools.of_loss(case, loss)),
            certainty=loss.certainty,
        )


def _of_room(case: Case, room: Room) -> str:
    return (
        f"{room.path} has {room.free_bytes:,} of {room.total_bytes:,} bytes left, as PID {case.root} sees it"
        f" (df /proc/{case.root}/root{room.path})"
    )
