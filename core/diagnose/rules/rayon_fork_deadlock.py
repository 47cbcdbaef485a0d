"""HuggingFace tokenizers in a forked child: it waits for pool threads that the fork did not copy."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import facts, forks, remedies
from ..card import Card
from ..case import Case

CARD = Card(
    slug="rayon-fork-deadlock",
    title="A forked worker waits for tokenizer threads that the fork did not copy",
    certainty=Certainty.PROVEN,
    explanation=(
        "The parent tokenized a batch, and for that tokenizers started a pool of native threads (rayon). fork()"
        " copied the parent's memory, and with it the belief that the pool exists, but of its threads only the one"
        " that called fork. The worker's next batch of two or more texts hands its work to the pool and waits for"
        " an answer that no thread can give. The library has a guard: after a fork it works without the pool,"
        " unless TOKENIZERS_PARALLELISM is set to true. Setting it to true, often to silence a warning, switches"
        " the guard off. Single texts never hang, because they need no pool."
    ),
    conditions=(
        "The process was forked, and none of its threads can ever run again; most often it has only one.",
        "A thread waits without a timeout on a private futex, inside of the library of tokenizers.",
        "No thread of the process is one of that library's own.",
        "TOKENIZERS_PARALLELISM in its live environment is set, and to none of: empty, off, false, f, no, n, 0."
        " (Where the variable cannot be read, a native stack with rayon stands in for it.)",
    ),
    fixes=(
        Remedy(
            title="Set TOKENIZERS_PARALLELISM=false before the fork",
            cost="batches are tokenized on one core, in the parent too unless it is set after the parent's last batch",
            command="export TOKENIZERS_PARALLELISM=false",
        ),
        Remedy(
            title="Do not set TOKENIZERS_PARALLELISM at all",
            cost="workers tokenize on one core each; the parent keeps all cores",
            command="unset TOKENIZERS_PARALLELISM",
        ),
        remedies.SPAWN,
        Remedy(
            title="Make no batch call before the fork",
            cost="tokenizing in the parent has to wait until the workers are forked, or move into them",
        ),
    ),
    disproof=(
        "A second thread in the process's /proc/PID/task, or a context switch of its thread, would disprove it. With"
        " the variable unset or false the same program completes."
    ),
    links=(
        "https://github.com/huggingface/tokenizers/issues/187",
        "https://github.com/huggingface/tokenizers/issues/306",
        "https://github.com/huggingface/tokenizers/issues/1391",
        "https://github.com/huggingface/transformers/issues/5486",
    ),
    beside_idlers=True,
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead forked thread that waits for the pool of tokenizers, with parallelism asked for."""
    for wait in forks.waits(case):
        if forks.in_tokenizers_pool(case, wait):
            yield forks.verdict(CARD, case, wait, more=[facts.of_variable(case.parallelism[wait.pid])])
