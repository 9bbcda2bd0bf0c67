"""Who runs the jobs: this process, several processes of this machine, or a Ray cluster. What comes out is the same."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any, Protocol

from ..manifest import DatasetFile
from .plan import Job
from .store import Store

Maker = Callable[[Store, Job], DatasetFile]

# Read by numerical libraries as they load: each worker has one core.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ENGINES = ("local", "ray")
IN_FLIGHT = 4  # jobs that wait for each of a cluster's processors
REACH_S = 10.0  # s that a cluster's head may take to answer


class Engine(Protocol):
    """Runs jobs in whatever order and yields what each one made."""

    def run(self, make: Maker, store: Store, jobs: Sequence[Job]) -> Iterator[DatasetFile]:
        """Raises what a job raises, and ChildProcessError for a worker that was killed."""


class Local:
    """Processes of this machine, one thread each; with one worker the jobs run in this process."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def run(self, make: Maker, store: Store, jobs: Sequence[Job]) -> Iterator[DatasetFile]:
        """See `Engine`."""
        if self.workers < 2 or len(jobs) < 2:
            for job in jobs:
                yield make(store, job)
            return
        with (
            _environment(ONE_THREAD),
            ProcessPoolExecutor(
                min(self.workers, len(jobs)), mp_context=get_context("spawn"), initializer=_begin_worker
            ) as pool,
        ):
            try:
                for future in as_completed([pool.submit(make, store, job) for job in jobs]):
                    yield future.result()
            except BrokenProcessPool:
                raise ChildProcessError("a worker was killed (out of memory?): --resume goes on") from None
            finally:
                pool.shutdown(cancel_futures=True)


class Ray:
    """A Ray cluster; one job a processor. Jobs of a machine that dies run again on another one.

    address: of the cluster's head (``ray://host:10001``, ``host:6379``, ``auto``); RAY_ADDRESS where it is not given,
    and without either a cluster of processes on this machine. workers: the most jobs at a time; of a cluster on this
    machine also its size. Raises ModuleNotFoundError that names the extra where Ray is not installed.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        try:
            import ray
        except ModuleNotFoundError:
            raise ModuleNotFoundError('the Ray engine needs the extra "ray": pip install "exotwin[ray]"') from None
        self._ray: Any = ray
        self.address = address or os.environ.get("RAY_ADDRESS") or None
        self.workers = workers

    def run(self, make: Maker, store: Store, jobs: Sequence[Job]) -> Iterator[DatasetFile]:
        """See `Engine`. Raises ConnectionError where there is no cluster at the address."""
        ray = self._ray
        joined = ray.is_initialized()
        if not joined:
            self._join()
        try:
            most = self.workers or IN_FLIGHT * max(1, int(ray.cluster_resources().get("CPU", 1)))
            task = ray.remote(num_cpus=1, max_retries=3)(make)
            waiting, left = set(), iter(jobs)
            while True:
                # Only as many at a time: a cluster's head keeps everything that waits in memory.
                for job in left:
                    waiting.add(task.remote(store, job))
                    if len(waiting) >= most:
                        break
                if not waiting:
                    return
                done, rest = ray.wait(list(waiting), num_returns=1)
                waiting = set(rest)
                for one in done:
                    yield self._result(one)
        finally:
            if not joined:
                ray.shutdown()

    def _join(self) -> None:
        if self.address:
            _reach(self.address)
        # Nobody is told that a data set is being made, unless the user asks for it.
        with _environment({"RAY_USAGE_STATS_ENABLED": os.environ.get("RAY_USAGE_STATS_ENABLED", "0")}):
            options: dict[str, Any] = {} if self.address else {"num_cpus": self.workers, "include_dashboard": False}
            try:
                self._ray.init(
                    self.address,
                    log_to_driver=False,
                    logging_level="ERROR",
                    runtime_env={"env_vars": ONE_THREAD},
                    **options,
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConnectionError(f"no Ray cluster at {self.address}: {str(error).splitlines()[0]}") from None

    def _result(self, reference: Any) -> DatasetFile:
        exceptions = self._ray.exceptions
        try:
            made: DatasetFile = self._ray.get(reference)
        except exceptions.RayTaskError as error:
            # The job's own exception, without Ray's account of where it was.
            raise error.cause from None
        except exceptions.RayError as error:
            said = str(error).splitlines()[0]
            raise ChildProcessError(f"a Ray worker was killed ({said}): --resume goes on") from None
        return made


def _reach(address: str) -> None:
    """ConnectionError where nobody listens at host:port; Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise ConnectionError(f"no Ray cluster at {address}: {error}") from None


def engine_of(name: str, workers: int | None, address: str | None = None) -> Engine:
    """The engine ``local`` or ``ray``. Raises ValueError for an address that belongs to no Ray engine."""
    if name == "ray":
        return Ray(address, workers)
    if address:
        raise ValueError(f"the address {address!r} is for the engine 'ray', not for {name!r}")
    return Local(workers or 1)


def _begin_worker() -> None:
    """What a worker of this machine does first."""
    # Ctrl-C reaches the whole process group: the parent answers it, the workers end the recording they are at.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process when its parent has been killed: nobody waits for what it makes."""
    if parent := parent_process():
        connection.wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that processes started within inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
