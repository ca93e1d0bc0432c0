"""Replays an archive of captures on Dask: a task for each map and each reduce, retried by Dask, and finish in the end.

    python barewire_dask.py --out URI --partitions N [--scheduler ADDRESS | --workers N] URI... -- [OPTIONS OF BAREWIRE]

Workers import this file again: nothing happens when it is imported.
"""

import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "archive"))
import steps


def main(arguments):
    own, options = steps.split(arguments)
    parser = steps.parser("barewire_dask.py", "Replay an archive of captures on Dask.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://10.0.0.1:8786")
    where.add_argument("--workers", type=steps.positive, metavar="N", help="processes of a cluster here, on loopback (2)")
    return steps.drive("barewire_dask.py", parser.parse_args(own), options, "distributed", scheduled)


@contextlib.contextmanager
def scheduled(typed, folder):
    import cloudpickle
    import dask
    import distributed

    # Workers have no copy of that file.
    cloudpickle.register_pickle_by_value(steps)
    # That a worker died is no fault of the step that it ran.
    patience = dask.config.set({"distributed.scheduler.allowed-failures": typed.retries})
    with patience, contextlib.ExitStack() as open_ones:
        if typed.scheduler is None:
            cluster = distributed.LocalCluster(
                n_workers=typed.workers or 2,
                threads_per_worker=1,
                host="127.0.0.1",
                scheduler_port=0,
                # Any port that is free, for there may be several clusters.
                dashboard_address="127.0.0.1:0",
            )
            open_ones.enter_context(cluster)
        client = open_ones.enter_context(distributed.Client(typed.scheduler or cluster))

        def run_all(named):
            commands = [command for _, command in named]
            futures = client.map(steps.run, commands, folder=folder, retries=typed.retries, pure=False, key="barewire")
            distributed.wait(futures)
            ends = [(name, future) for (name, _), future in zip(named, futures) if future.status != "finished"]
            return [(name, future.exception() if future.status == "error" else future.status) for name, future in ends]

        yield run_all


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
