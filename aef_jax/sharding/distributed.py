"""How the processes of one run find each other, their devices and the folder that they share."""

import atexit
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather

from aef_jax.files.machine_limits import exit_code
from aef_jax.sharding.lost_process import HEARTBEAT_S
from configs.serialization.printable import print_lines

VISIBILITY_TIMEOUT_S = 60
"""How long a host waits to see another's file; NFS caches the absence of a file for up to a minute."""
JOIN_TIMEOUT_S = 300
"""How long a process waits for the others to start."""
LEAVE_S = 10
"""How long a process that failed waits for the others to fail as well, each with a sentence of its own."""
SHUTDOWN_S = 60
"""How long an ending process waits for the others. JAX's default of five minutes is too long after a failure."""


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    timeout_s: int = JOIN_TIMEOUT_S,
) -> None:
    """Make this process one of several of a run. Call it before anything else asks JAX for devices.

    Without arguments JAX finds the others from the environment: a TPU pod, SLURM, Open MPI, Kubernetes or GKE. A
    SIGTERM of one process is then passed to all (see `PreemptionGuard`).

    Args:
        coordinator: address of process 0, host:port.
        processes: number of processes.
        process: number of this process.
        timeout_s: seconds to wait for the others.

    Raises:
        ValueError: only some arguments are given, or the other processes are not found.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < len(given):
        raise ValueError(f"{missing[0]} is missing: pass --coordinator, --processes and --process, or none of them")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"--process is {process}, expected 0 to {processes - 1}: there are {processes} processes")
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            local_devices(os.environ),
            initialization_timeout=timeout_s,
            heartbeat_timeout_seconds=HEARTBEAT_S,
            shutdown_timeout_seconds=SHUTDOWN_S,
        )
    except ValueError as error:
        raise ValueError(
            "--distributed: there is no TPU pod, SLURM, Open MPI, Kubernetes or GKE environment;"
            f" pass --coordinator, --processes and --process ({error})"
        ) from error
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--distributed: {reason}") from error


def local_devices(environment: Mapping[str, str]) -> list[int] | None:
    """Choose the GPUs of this process.

    It takes all GPUs that it sees if SLURM or Open MPI says that it is alone on its node, or if it sees only one.
    Otherwise JAX chooses: under these launchers, each task gets the GPU whose number is the task's on its node.

    Args:
        environment: the environment variables.

    Returns:
        An empty list, which JAX takes as all GPUs, or None to let JAX choose.
    """
    if "JAX_LOCAL_DEVICE_IDS" in environment:
        return None
    tasks, nodes = environment.get("SLURM_STEP_NUM_TASKS"), environment.get("SLURM_STEP_NUM_NODES")
    alone = (tasks is not None and tasks == nodes) or environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"
    seen = environment.get("CUDA_VISIBLE_DEVICES", "")
    return [] if alone or (seen and "," not in seen) else None


def print_topology() -> None:
    """Print the number of processes and devices of the run, on the first process."""
    if jax.process_index() == 0:
        print_lines(f"{jax.process_count()} processes, {jax.device_count()} devices: {jax.devices()[0].device_kind}")


def check_alone() -> None:
    """Check that a launcher did not start several tasks, each of which would believe to be the whole run.

    Raises:
        ValueError: SLURM or Open MPI started several tasks.
    """
    # not SLURM_NTASKS: a batch script, which runs once, has it too
    slurm = "SLURM_STEP_NUM_TASKS" if "SLURM_PROCID" in os.environ else ""
    for launcher, variable in (("SLURM", slurm), ("Open MPI", "OMPI_COMM_WORLD_SIZE")):
        tasks = int(os.environ.get(variable, 1))
        if tasks > 1:
            raise ValueError(
                f"this is one of {tasks} tasks of {launcher}: pass --distributed, or all tasks would write the same run"
            )


def check_joined() -> None:
    """Check that processes which JAX sees have joined.

    Raises:
        ValueError: there are several processes, as on a TPU pod, which have not joined.
    """
    if jax.process_count() > 1 and not jax.distributed.is_initialized():
        raise ValueError(f"this is one of {jax.process_count()} processes of one run: pass --distributed")


@contextmanager
def leaving_if_it_fails() -> Iterator[None]:
    """End this process soon after an error, so that the others need not wait for it.

    An error of a collective operation is the first sign of a lost process. The context then waits until the service
    knows which one, and ends this process.

    Yields:
        Nothing.
    """
    try:
        yield
    except BaseException as error:
        if jax.distributed.is_initialized():  # asking JAX for processes would look for devices
            if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
                time.sleep(2 * HEARTBEAT_S)
            atexit.register(_leave, exit_code(error))
        raise


def _leave(code: int) -> None:
    """Exit without the minute that JAX gives the other processes to come to the same end."""
    shutdown = threading.Thread(target=jax.distributed.shutdown, daemon=True)
    shutdown.start()
    shutdown.join(LEAVE_S)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def on_first(work: Callable[[], None]) -> None:
    """Run a function on the first process while the others wait, for any time.

    Args:
        work: the function.

    Raises:
        OSError: `work` raised it; on the first process only.
        ValueError: `work` raised it on the first process; or, on the others, it raised either.
    """
    failure = None
    if jax.process_index() == 0:
        try:
            work()
        except (OSError, ValueError) as error:
            failure = error
    failed = np.asarray(failure is not None)
    if jax.process_count() > 1:
        failed = broadcast_one_to_all(failed)  # the first process's value
    if failed:
        raise failure or ValueError("process 0 could not start the run; see its error message")


def check_shared(folder: Path) -> None:
    """Check that every process sees what the first one writes into a folder.

    Args:
        folder: the folder.

    Raises:
        ValueError: some process does not; raised in every process alike.
    """
    if jax.process_count() == 1:
        return
    number = np.int32(secrets.randbits(31))
    if jax.process_index() == 0:
        (folder / f".shared.{number}").touch()
    file = folder / f".shared.{int(broadcast_one_to_all(number))}"  # it exists once its number is known
    blind = _blind(file)
    if jax.process_index() == 0:
        file.unlink()
    if blind:
        raise ValueError(
            f"{folder} is not shared by all hosts: processes {blind} of {jax.process_count()} do not see what process 0"
            " writes there; pass a shared folder as --run"
        )


def agreed_checkpoint(folder: Path, newest_seen: int | None) -> int | None:
    """Agree on the newest checkpoint that any process found in a folder, once all processes see it.

    NFS and the caches of buckets may show an old state of a folder. Hosts that resumed from different steps would wait
    for each other forever.

    Args:
        folder: the folder of checkpoints.
        newest_seen: newest checkpoint that this process sees; None if it sees none.

    Returns:
        The step of the newest checkpoint; None if no process sees any.

    Raises:
        ValueError: some process does not see that checkpoint; raised in every process alike.
    """
    if jax.process_count() == 1:
        return newest_seen
    newest = int(process_allgather(np.int32(-1 if newest_seen is None else newest_seen)).max())
    if newest < 0:
        return None
    if blind := _blind(folder / str(newest)):
        raise ValueError(
            f"{folder / str(newest)} is a checkpoint that processes {blind} of {jax.process_count()} do not see after"
            f" {VISIBILITY_TIMEOUT_S} s: run the same command again when they do"
        )
    return newest


def _blind(path: Path) -> list[int]:
    """List the numbers of the processes that do not see a path; every process gets the same list."""
    seen = np.ravel(process_allgather(np.asarray(_appears(path))))
    return np.flatnonzero(~seen).tolist()


def _appears(file: Path) -> bool:
    deadline = time.monotonic() + VISIBILITY_TIMEOUT_S
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    return file.exists()
