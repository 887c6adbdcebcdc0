"""How the processes of one run find each other, their devices and the folder that they share."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather

VISIBILITY_TIMEOUT_S = 60
"""Until a host sees what another has written; NFS remembers for up to a minute that something was not there."""
SHUTDOWN_S = 60
"""That a process which ends waits for the others: one that failed would keep them for JAX's five minutes."""


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Makes this process one of several of a run; before anything else asks JAX for its devices.

    Without arguments JAX finds the others by what the machine says: on a TPU pod, under SLURM, Open MPI, Kubernetes
    or GKE. A SIGTERM for one of them is then told to all (see `PreemptionGuard`).

    Raises ValueError where only some of the arguments are given, or the others cannot be found.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < len(given):
        raise ValueError(f"{missing[0]} is missing: give --coordinator, --processes and --process, or none of them")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"--process is {process}, expected 0 to {processes - 1}: there are {processes} processes")
    try:
        jax.distributed.initialize(
            coordinator, processes, process, local_devices(os.environ), shutdown_timeout_seconds=SHUTDOWN_S
        )
    except ValueError as error:
        raise ValueError(
            "--distributed: nothing here says where the other processes are (no TPU pod, SLURM, MPI or GKE);"
            f" give --coordinator, --processes and --process ({error})"
        ) from error
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--distributed: {reason}") from error


def local_devices(environment: Mapping[str, str]) -> list[int] | None:
    """Which of the GPUs that it sees a process takes: an empty list, which to JAX is all of them, or None.

    All where SLURM or Open MPI says that it is alone on its node, or where it sees one. None leaves it to JAX, which
    gives each task under these the one GPU of its number on the node.
    """
    if "JAX_LOCAL_DEVICE_IDS" in environment:
        return None
    tasks, nodes = environment.get("SLURM_STEP_NUM_TASKS"), environment.get("SLURM_STEP_NUM_NODES")
    alone = (tasks is not None and tasks == nodes) or environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"
    seen = environment.get("CUDA_VISIBLE_DEVICES", "")
    return [] if alone or (seen and "," not in seen) else None


def print_topology() -> None:
    """Prints, on the first process, how many processes and devices the run has."""
    if jax.process_index() == 0:
        print(f"{jax.process_count()} processes, {jax.device_count()} devices: {jax.devices()[0].device_kind}")


def check_alone() -> None:
    """Raises ValueError where SLURM or Open MPI started several tasks, each of which would take the run for its own."""
    # not SLURM_NTASKS: a batch script has that too, and runs once
    slurm = "SLURM_STEP_NUM_TASKS" if "SLURM_PROCID" in os.environ else ""
    for launcher, variable in (("SLURM", slurm), ("Open MPI", "OMPI_COMM_WORLD_SIZE")):
        tasks = int(os.environ.get(variable, 1))
        if tasks > 1:
            raise ValueError(
                f"this is one of {tasks} tasks of {launcher}: give --distributed, or they would all write one run"
            )


def check_joined() -> None:
    """Raises ValueError where JAX sees several processes, as on a TPU pod, which have not joined."""
    if jax.process_count() > 1 and not jax.distributed.is_initialized():
        raise ValueError(f"this is one of {jax.process_count()} processes of one run: give --distributed")


def on_first(work: Callable[[], None]) -> None:
    """Does it on the first process, while the others wait: on their devices, and as long as it takes.

    Raises there what `work` raises of OSError and ValueError, and ValueError on the others, which would wait for it.
    """
    failure = None
    if jax.process_index() == 0:
        try:
            work()
        except (OSError, ValueError) as error:
            failure = error
    failed = np.asarray(failure is not None)
    if jax.process_count() > 1:
        failed = broadcast_one_to_all(failed)  # what the first one says
    if failed:
        raise failure or ValueError("process 0 could not begin the run, and says why")


def check_shared(folder: Path) -> None:
    """Raises ValueError, in every process alike, where one does not see what the first writes into the folder."""
    if jax.process_count() == 1:
        return
    number = np.int32(secrets.randbits(31))
    if jax.process_index() == 0:
        (folder / f".shared.{number}").touch()
    file = folder / f".shared.{int(broadcast_one_to_all(number))}"  # which is there once its number is
    blind = _blind(file)
    if jax.process_index() == 0:
        file.unlink()
    if blind:
        raise ValueError(
            f"{folder} is not one folder to all hosts: {blind} of {jax.process_count()} do not see what process 0"
            " writes there; give with --run one that they share"
        )


def agreed_checkpoint(folder: Path, found: int | None) -> int | None:
    """The newest checkpoint that any process found in the folder, once all of them see it; None where there is none.

    What NFS or a bucket's cache remembers of a folder may be old: hosts that resumed from different steps would wait
    for each other for good. Raises ValueError, in every process alike, where one does not see that checkpoint.
    """
    if jax.process_count() == 1:
        return found
    newest = int(process_allgather(np.int32(-1 if found is None else found)).max())
    if newest < 0:
        return None
    if blind := _blind(folder / str(newest)):
        raise ValueError(
            f"{folder / str(newest)} is a checkpoint that {blind} of {jax.process_count()} processes do not see after"
            f" {VISIBILITY_TIMEOUT_S} s: run the same command again once they do"
        )
    return newest


def _blind(path: Path) -> list[int]:
    """The processes that do not come to see it, by their numbers; the same list in each."""
    seen = np.ravel(process_allgather(np.asarray(_appears(path))))
    return np.flatnonzero(~seen).tolist()


def _appears(file: Path) -> bool:
    deadline = time.monotonic() + VISIBILITY_TIMEOUT_S
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    return file.exists()
