"""OpenMP in a forked child: it waits for a team of threads that the fork did not copy."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import forks, remedies
from ..card import Card
from ..case import Case

CARD = Card(
    slug="openmp-fork-deadlock",
    title="A forked process waits for OpenMP threads that the fork did not copy",
    certainty=Certainty.PROVEN,
    explanation=(
        "The parent ran a parallel region, as scikit-learn, PyTorch, XGBoost and many others do, and the OpenMP runtime"
        " keeps its team of threads for the next one. fork() copied the runtime's belief that the team exists, but none"
        " of its threads. The child's first parallel region hands them their share and waits at the barrier for ever."
        " GNU's runtime, libgomp, has no guard against this; LLVM's and Intel's start anew in the child."
    ),
    conditions=(
        "The process was forked, and none of its threads can ever run again; most often it has only one.",
        "A thread waits without a timeout on a private futex, inside of an OpenMP runtime (libgomp or another).",
        "No thread of the process is one of that runtime's own.",
    ),
    fixes=(
        remedies.SPAWN,
        Remedy(
            title="Use joblib's loky workers, which are started anew and know how many cores they may use",
            cost="each worker imports everything anew; arguments and results are pickled",
            command='joblib.Parallel(n_jobs=2, backend="loky")',
        ),
        Remedy(
            title="Use one OpenMP thread before the fork",
            cost="parallel regions of the parent run on one core; the workers are parallel all the same",
            command="export OMP_NUM_THREADS=1",
        ),
        Remedy(
            title="Limit the parent's regions alone",
            cost="each region that runs before the fork has to be inside of the limit, the first one too",
            command='threadpoolctl.threadpool_limits(1, user_api="openmp")',
        ),
    ),
    disproof=(
        "A context switch of the thread, or a new thread in its /proc/PID/task, would disprove it. With"
        " OMP_NUM_THREADS=1 the same program completes."
    ),
    links=(
        "https://github.com/scikit-learn/scikit-learn/issues/7650",
        "https://github.com/scikit-learn/scikit-learn/issues/19272",
        "https://github.com/scikit-learn/scikit-learn/issues/23823",
        "https://github.com/dmlc/xgboost/issues/2163",
        "https://github.com/dmlc/xgboost/issues/7044",
        "https://github.com/joblib/loky/issues/248",
        "https://github.com/pytorch/pytorch/issues/75147",
        "https://gcc.gnu.org/bugzilla/show_bug.cgi?id=58378",
    ),
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead forked thread that waits inside of an OpenMP runtime."""
    for wait in forks.waits(case):
        if forks.in_openmp(wait):
            yield forks.verdict(CARD, case, wait)
