"""A Spark of the test's own, as a company runs it: a master and a worker on loopback, and a Connect server on them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

SPARK = Path(pyspark.__file__).parent
STARTING_SECONDS = 120.0
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Cluster:
    """Where the Connect server in front of it answers, as ``--spark-master`` takes it, and what its processes see."""

    connect: str
    environment: Mapping[str, str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str], log: Path, environment: Mapping[str, str], is_up: Callable[[str], bool]
) -> Iterator[None]:
    """A process in a group of its own until the end. Errors: AssertionError with its log when it does not come up."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=log.parent, start_new_session=True
        )
    try:
        until = time.monotonic() + STARTING_SECONDS
        while not is_up(log.read_text()):
            assert process.poll() is None, f"{command[1]} ended:\n{log.read_text()[-3000:]}"
            assert time.monotonic() < until, f"{command[1]} is not up:\n{log.read_text()[-3000:]}"
            time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@contextmanager
def spark_cluster(folder: Path, conf: Path) -> Iterator[Cluster]:
    """One executor of one core in a process of its own: nothing is shared with the client but the network."""
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK),
        "SPARK_CONF_DIR": str(conf),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_WORKER_DIR": str(folder / "work"),
        "PYSPARK_PYTHON": sys.executable,
    }
    master, connect = free_port(), free_port()
    address = f"spark://{LOOPBACK}:{master}"
    run = str(SPARK / "bin" / "spark-class")
    with ExitStack() as stack:
        place = ["--host", LOOPBACK, "--webui-port", "0"]
        stack.enter_context(
            started(
                [run, "org.apache.spark.deploy.master.Master", *place, "--port", str(master)],
                folder / "master.log", environment, lambda log: "I have been elected leader" in log,
            )
        )  # fmt: skip
        stack.enter_context(
            started(
                [run, "org.apache.spark.deploy.worker.Worker", *place, "--cores", "2", "--memory", "3g", address],
                folder / "worker.log", environment, lambda log: "Successfully registered with master" in log,
            )
        )  # fmt: skip
        settings = {
            "spark.connect.grpc.binding.address": LOOPBACK,
            "spark.connect.grpc.binding.port": str(connect),
            "spark.driver.host": LOOPBACK,
            "spark.ui.enabled": "false",
            "spark.cores.max": "1",
            "spark.executor.memory": "1g",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
        stack.enter_context(
            started(
                [
                    str(SPARK / "bin" / "spark-submit"), "--master", address,
                    "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                    *(part for pair in settings.items() for part in ("--conf", "=".join(pair))), "spark-internal",
                ],
                folder / "connect.log", environment,
                lambda log: re.search(r"Spark Connect server started at", log) is not None,
            )
        )  # fmt: skip
        yield Cluster(f"sc://{LOOPBACK}:{connect}", environment)
