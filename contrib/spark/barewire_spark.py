"""Replays an archive of captures on Spark: a task for each map and each reduce, retried by Spark, and finish in the end.

    spark-submit [--master MASTER] barewire_spark.py --out URI --partitions N URI... -- [OPTIONS OF BAREWIRE]

Without spark-submit, as a program of Python with the package pyspark, it starts Spark in this process, on loopback.
"""

import contextlib
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "archive"))
import steps


def main(arguments):
    own, options = steps.split(arguments)
    parser = steps.parser("barewire_spark.py", "Replay an archive of captures on Spark.")
    parser.add_argument("--workers", type=steps.positive, metavar="N", help="tasks at once where no master is named (2)")
    return steps.drive("barewire_spark.py", parser.parse_args(own), options, "pyspark", scheduled)


@contextlib.contextmanager
def scheduled(typed, folder):
    import pyspark
    import pyspark.cloudpickle

    # Executors have no copy of that file.
    pyspark.cloudpickle.register_pickle_by_value(steps)
    spark = pyspark.SparkContext(conf=configured(pyspark.SparkConf(), typed))
    try:
        yield lambda named: run_all(spark, named, folder, typed.retries)
    finally:
        spark.stop()


def configured(conf, typed):
    master = conf.get("spark.master") or f"local[{typed.workers or 2}]"
    local = re.fullmatch(r"local(?:\[(\d+|\*)\])?", master)
    if typed.workers and local:
        local = re.fullmatch(r"local\[(.*)\]", f"local[{typed.workers}]")
    if local:
        # Threads of one process retry nothing unless the master's name says how often.
        master = f"local[{local[1] or 1},{typed.retries + 1}]"
    if master.startswith("local"):
        for name in ("spark.driver.host", "spark.driver.bindAddress"):
            conf.setIfMissing(name, "127.0.0.1")
        conf.setIfMissing("spark.ui.enabled", "false")
    conf.setIfMissing("spark.app.name", "barewire archive")
    return conf.setMaster(master).set("spark.task.maxFailures", str(typed.retries + 1))


def run_all(spark, named, folder, retries):
    import pyspark

    def run(numbered):
        at, command = numbered
        try:
            steps.run(command, folder)
        except RuntimeError as why:
            # A task that fails for the last time would end all others.
            if pyspark.TaskContext.get().attemptNumber() < retries:
                raise
            return at, str(why)
        return at, None

    commands = [(at, command) for at, (_, command) in enumerate(named)]
    ends = spark.parallelize(commands, len(commands)).map(run).collect()
    return [(named[at][0], why) for at, why in ends if why is not None]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
