"""The control plane under load: a status request, a crash while clients ask without pause, all crash at once.

    python -m benchmarks.control_load [--services N ...] [--requests N] [--kills N] [--clients N]

Requests go over sockets of ZeroMQ's own, from one process that leaves the replies undecoded, so that the
clients do not take the processors from the one that is measured. The restart latency is that of
benchmarks/restart_latency.py, of one service among the others.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from benchmarks.figures import machine, row
from benchmarks.restart_latency import SCRIPT, Births, kill
from supervisor_stack.control.codec import encode_request
from supervisor_stack.control.messages import Status
from tests.stack import RunningStack

SERVICE = "[services.app{number:04}]\ncommand = ['sleep', '100000']\nbackoff = {{initial = 0}}\n"
ONE = """
[services.one]
command = ['sh', '-c', '{script}']
backoff = {{initial = 0}}
start_limit = {{burst = 1000000}}
"""
ASK = encode_request(Status(id="1"))


def ask(client: zmq.Socket[bytes]) -> float:
    """Milliseconds of one status request."""
    begun = time.monotonic()
    client.send_multipart(ASK)
    client.recv_multipart()
    return (time.monotonic() - begun) * 1000


class Crowd:
    """Clients that ask for the status, each again as soon as it has its answer. `answers` counts them."""

    def __init__(self, endpoint: str, clients: int) -> None:
        self.answers = 0
        self._endpoint = endpoint
        self._clients = clients
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with zmq.Context() as context:
            poller = zmq.Poller()
            sockets = [context.socket(zmq.DEALER) for _ in range(self._clients)]
            for socket in sockets:
                socket.linger = 0
                socket.connect(self._endpoint)
                poller.register(socket, zmq.POLLIN)
                socket.send_multipart(ASK)
            while not self._over.is_set():
                for socket, _ in poller.poll(100):
                    socket.recv_multipart(copy=False)
                    socket.send_multipart(ASK)
                    self.answers += 1
            for socket in sockets:
                socket.close()

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def stack_of(count: int) -> Iterator[tuple[RunningStack, Births]]:
    """A stackd with so many services, of which one tells of its births."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:  # as /run: in memory
        folder = Path(place)
        births = Births(folder / "births")
        toml = "".join(SERVICE.format(number=number) for number in range(count - 1))
        toml += ONE.format(script=SCRIPT.format(fifo=folder / "births"))
        with RunningStack(folder, toml) as stack:
            births.wait()
            stack.until_up()
            yield stack, births


def restarts(births: Births, kills: int) -> list[float]:
    """Latencies of as many crashes."""
    found = []
    for _ in range(kills):
        time.sleep(0.05)
        found.append(kill(births.pid, births))
    return found


def crash_all(stack: RunningStack, client: zmq.Socket[bytes]) -> tuple[float, list[float]]:
    """SIGKILL to all services at once: ms until all run again, and what status requests took meanwhile."""
    before = {service.name: service for service in stack.status().services}
    begun = time.monotonic()
    for service in before.values():
        if service.pid:
            os.kill(service.pid, signal.SIGKILL)
    asked = []
    while True:
        asked.append(ask(client))
        now = stack.status().services
        if all(each.ready and each.run > before[each.name].run for each in now):
            return (time.monotonic() - begun) * 1000, asked


def main() -> None:
    """Measure each size in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, nargs="+", default=[4, 1000])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    machine()
    for count in options.services:
        with stack_of(count) as (stack, births), zmq.Context() as context:
            client = context.socket(zmq.DEALER)
            client.connect(stack.client.endpoint)
            what = f"{count} services"
            requests = sorted(ask(client) for _ in range(options.requests))
            row(f"{what}: status request", requests)
            print(f"{'':<44} p99 {requests[int(len(requests) * 0.99)]:.2f} ms")
            row(f"{what}: restart", restarts(births, options.kills))
            with Crowd(stack.client.endpoint, options.clients) as crowd:
                begun = time.monotonic()
                found = restarts(births, options.kills)
                rate = crowd.answers / (time.monotonic() - begun)
            row(f"{what}: restart, {options.clients} clients asking", found)
            print(f"{'':<44} {rate:.0f} answers a second meanwhile")
            whole, asked = crash_all(stack, client)
            print(f"{what + ': all crash at once':<44} all run again after {whole:.0f} ms")
            row(f"{what}: status request meanwhile", asked)
            client.close()


if __name__ == "__main__":
    main()
