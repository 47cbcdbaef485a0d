"""A forked child that uses a native library whose threads the fork did not copy.

    fork_native.py polars|tokio|rayon|grpc|openmp|forest fork|process|pool [WORKERS [HELPER]]

Prints `ready PID...` once the workers exist, and `done` when they have finished, which the hang prevents. HELPER:
`thread` is one of the parent that sleeps, `idler` one of each worker; `nested` lets a child fork the workers.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures

LIBRARY, KIND = sys.argv[1:3]
WORKERS = int((*sys.argv[3:], "1")[0])
HELPER = (*sys.argv[4:], "")[0]
os.environ.pop("TOKENIZERS_PARALLELISM", None)
os.environ["OMP_NUM_THREADS"] = "2"  # a team of one needs no other thread
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
if LIBRARY == "rayon":
    os.environ["TOKENIZERS_PARALLELISM"] = "true"


def with_polars() -> Callable[[], object]:
    import polars

    frame = polars.DataFrame({"a": range(1000), "b": [number % 7 for number in range(1000)]})
    return lambda: frame.group_by("b").agg(polars.col("a").sum())


def with_tokenizer() -> Callable[[], object]:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))

    async def encode() -> object:
        return await tokenizer.async_encode_batch(["a a", "a"])

    if LIBRARY == "rayon":
        return lambda: tokenizer.encode_batch(["a a", "a"])
    return lambda: asyncio.run(encode())


def with_grpc() -> Callable[[], object]:
    import grpc  # type: ignore[import-untyped]

    server = grpc.server(futures.ThreadPoolExecutor(2))
    echo = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", {"Echo": echo}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    call = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/Test/Echo")
    return lambda: call(b"x")


def with_openmp() -> Callable[[], object]:
    import numpy
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]

    points = numpy.random.default_rng(0).random((2000, 4))
    return lambda: KMeans(4, n_init=1).fit(points)


def with_forest() -> Callable[[], object]:
    import numpy
    from sklearn.ensemble import HistGradientBoostingRegressor  # type: ignore[import-untyped]

    points = numpy.random.default_rng(0).random((500, 3))
    return lambda: HistGradientBoostingRegressor(max_iter=2).fit(points, points[:, 0])


LIBRARIES = {
    "polars": with_polars,
    "tokio": with_tokenizer,
    "rayon": with_tokenizer,
    "grpc": with_grpc,
    "openmp": with_openmp,
    "forest": with_forest,
}


def idle() -> None:
    while True:
        time.sleep(1)


def in_worker(_: int = 0) -> None:
    if HELPER == "idler":
        threading.Thread(target=idle, daemon=True).start()
    work()


def with_fork() -> None:
    pids = []
    for _ in range(WORKERS):
        if (pid := os.fork()) == 0:
            in_worker()
            os._exit(0)
        pids.append(pid)
    print("ready", *pids, flush=True)
    for pid in pids:
        os.waitpid(pid, 0)


def with_processes() -> None:
    processes = [multiprocessing.get_context("fork").Process(target=in_worker) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    print("ready", *(process.pid for process in processes), flush=True)
    for process in processes:
        process.join()


def with_pool() -> None:
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        print("ready", *(child.pid for child in multiprocessing.active_children()), flush=True)
        pool.map(in_worker, range(WORKERS), chunksize=1)


def drive() -> None:
    {"fork": with_fork, "process": with_processes, "pool": with_pool}[KIND]()


work = LIBRARIES[LIBRARY]()

if __name__ == "__main__":
    work()  # starts the native threads
    if HELPER == "nested":
        if (child := os.fork()) == 0:
            drive()
            os._exit(0)
        os.waitpid(child, 0)
    else:
        if HELPER == "thread":
            threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
        drive()
    print("done", flush=True)
