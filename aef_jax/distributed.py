"""How the processes of one run find each other."""

import jax


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Makes this process one of several of a run; before anything else asks JAX for its devices.

    Without arguments JAX finds the others by what the machine says: on a TPU pod, under SLURM, Open MPI, Kubernetes
    or GKE. A SIGTERM for one of them is then told to all (see `StopRequest`).

    Raises ValueError where only some of the arguments are given, or the others cannot be found.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < len(given):
        raise ValueError(f"{missing[0]} is missing: give --coordinator, --processes and --process, or none of them")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"--process is {process}, expected 0 to {processes - 1}: there are {processes} processes")
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except ValueError as error:
        raise ValueError(
            "--distributed: nothing here says where the other processes are (no TPU pod, SLURM, MPI or GKE);"
            f" give --coordinator, --processes and --process ({error})"
        ) from error
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--distributed: the processes did not find each other: {reason}") from error
