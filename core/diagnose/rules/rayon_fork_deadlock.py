"""HuggingFace tokenizers in a forked child: it waits for pool threads that the fork did not copy."""

from __future__ import annotations

from ...model import Certainty, Frame, Remedy, Verdict
from .. import facts, remedies
from ..evidence import Evidence, is_true

SLUG = "rayon-fork-deadlock"
TITLE = "A forked worker waits for tokenizer threads that the fork did not copy"
EXPLANATION = (
    "The parent tokenized a batch, and for that tokenizers started a pool of native threads (rayon). fork()"
    " copied the parent's memory, and with it the belief that the pool exists, but of its threads only the one"
    " that called fork. The worker's next batch of two or more texts hands its work to the pool and waits for"
    " an answer that no thread can give. The library has a guard: after a fork it works without the pool,"
    " unless TOKENIZERS_PARALLELISM is set to true. Setting it to true, often to silence a warning, switches"
    " the guard off. Single texts never hang, because they need no pool."
)
CONDITIONS = (
    "The process was forked and has one thread, which waits without a timeout on a private futex in two looks.",
    "Its native stack shows rayon, or the library of tokenizers.",
    "TOKENIZERS_PARALLELISM in its live environment is set, and to none of: empty, off, false, f, no, n, 0.",
)
FIXES = (
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
)
DISPROOF = (
    "A second thread in the process's /proc/PID/task, or a context switch of its thread, would disprove it. With the"
    " variable unset or false the same program completes."
)
LINKS = (
    "https://github.com/huggingface/tokenizers/issues/187",
    "https://github.com/huggingface/tokenizers/issues/306",
    "https://github.com/huggingface/tokenizers/issues/1391",
    "https://github.com/huggingface/transformers/issues/5486",
)


def match(evidence: Evidence) -> Verdict | None:
    """Proven when a forked process is dead in rayon or tokenizers, with parallelism asked for."""
    frame = next((frame for frame in evidence.native_frames if _is_tokenizers(frame)), None)
    if frame is None or not evidence.second.forked or not is_true(evidence.parallelism):
        return None
    return Verdict(
        slug=SLUG,
        title=TITLE,
        certainty=Certainty.PROVEN,
        culprits=(evidence.culprit,),
        evidence=(
            *facts.of_wait(evidence),
            *facts.of_stack(evidence),
            *facts.of_parent(evidence),
            facts.of_variable(evidence.parallelism),
        ),
        explanation=EXPLANATION,
        fixes=(*remedies.first_aid(evidence), *FIXES),
        disproof=DISPROOF,
        links=LINKS,
    )


def _is_tokenizers(frame: Frame) -> bool:
    """By name, or by library where its symbols were stripped."""
    library = frame.module.rpartition("/")[2]
    in_library = library.startswith("tokenizers") and ".so" in library
    return in_library or "rayon_core" in frame.function
