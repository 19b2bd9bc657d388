"""An open-loop load: requests leave on schedule, whatever becomes of the earlier ones.

    python -m benchmarks.load [--rate N] [--timeout S] [--count N] --out FILE URL...

Each request has a connection of its own; the URLs take turns. `http://HOST:PORT/PATH` wants status 200 and
the whole body, `mysql://HOST:PORT` the greeting of the server. Prints one line when the first request
leaves. Ends after --count requests, or on SIGTERM; in both cases it waits for what is under way, then
writes one JSON object for each request to FILE.

It must never wait for an answer before the next request leaves, since a real visitor does not know that
others are waiting: a generator that does would hide an outage by asking less ("coordinated omission").
For the same reason a request's time runs from when it was due, not from when it could be sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from itertools import count, cycle
from pathlib import Path
from urllib.parse import urlsplit

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
LARGEST_ANSWER = 1 << 20
GREETING = 10  # protocol version 10: the first byte after the header of HandshakeV10


@dataclass(frozen=True)
class Result:
    """What became of a request. Times are CLOCK_MONOTONIC, which all processes of a machine share.

    `kind`: `ok`, `refused`, `reset` (also an answer that ends too early), `timeout`, an HTTP status other
    than 200, or the name of another error. `late`: seconds from when it was due until it left.
    """

    url: str
    due: float
    late: float
    done: float
    kind: str


async def ask(url: str) -> str:
    """Make one request; returns the kind of its end as far as the server decides it."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=LARGEST_ANSWER)
    with closing(writer):
        if parts.scheme == "mysql":
            header = await reader.readexactly(5)
            return "ok" if header[4] == GREETING else "error packet"
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        # HTTP/1.0: the end of the connection is the end of the answer, and there are no chunks.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode())
        return judge(await reader.read(-1))


def judge(answer: bytes) -> str:
    """The kind of an HTTP answer."""
    status = STATUS.match(answer)
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = LENGTH.search(head + b"\r\n")
    if not status or not separator or (length and len(body) < int(length[1])):
        return "reset"
    return "ok" if status[1] == b"200" else status[1].decode()


async def request(url: str, due: float, patience: float) -> Result:
    """Make one request and note its end, whatever that is."""
    clock = asyncio.get_running_loop().time
    late = clock() - due
    try:
        async with asyncio.timeout_at(due + patience):
            kind = await ask(url)
    except ConnectionRefusedError:
        kind = "refused"
    except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError):
        kind = "reset"
    except TimeoutError:
        kind = "timeout"
    except OSError as error:
        kind = error.strerror or type(error).__name__
    return Result(url, due, late, clock(), kind)


async def run(urls: list[str], rate: float, patience: float, numbers: Iterator[int]) -> list[Result]:
    """Send until the numbers or SIGTERM end it, and wait for all answers."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    print("sending", flush=True)
    begun = loop.time()
    tasks = []
    for number, url in zip(numbers, cycle(urls), strict=False):
        due = begun + number / rate
        try:
            async with asyncio.timeout_at(due):
                await stop.wait()
                break
        except TimeoutError:
            tasks.append(loop.create_task(request(url, due, patience)))
    return await asyncio.gather(*tasks)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second, all URLs together")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds that a client waits")
    parser.add_argument("--count", type=int, help="requests; default: until SIGTERM")
    parser.add_argument("--out", type=Path, required=True, help="the file for the results")
    parser.add_argument("urls", nargs="+", metavar="URL")
    options = parser.parse_args()
    # A site that hangs for the whole timeout keeps rate x timeout connections open.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(PermissionError):
        # The visitors have a machine of their own: what runs here must not delay them (sched(7)).
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    numbers = count() if options.count is None else iter(range(options.count))
    results = asyncio.run(run(options.urls, options.rate, options.timeout, numbers))
    with options.out.open("w") as out:
        out.writelines(json.dumps(asdict(result)) + "\n" for result in results)


if __name__ == "__main__":
    main()
