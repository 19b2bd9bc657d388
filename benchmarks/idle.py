"""What an idle stackd with four services costs: processor time, wake-ups and memory.

    python -m benchmarks.idle [SECONDS]

`wake-ups` are the voluntary context switches of all its threads, as the kernel counts them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.figures import machine
from tests.stack import RunningStack


def wakeups(pid: int) -> int:
    """Voluntary context switches so far (proc(5), /proc/PID/task/TID/status)."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                count += int(line.split()[1])
    return count


def main() -> None:
    """Let it settle, then do nothing for a while."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    machine()
    with tempfile.TemporaryDirectory() as folder:
        watched = Path(folder) / "watched"
        watched.write_text("")
        toml = "".join(f"[services.app{number}]\ncommand = ['sleep', '100000']\n" for number in range(4))
        toml += f"watch = {{paths = ['{watched}'], action = 'restart'}}\n"
        with RunningStack(Path(folder), toml) as stack:
            stack.until_up()
            stack.client.close()
            time.sleep(2)
            stackd = psutil.Process(stack.pid)
            before, woken = stackd.cpu_times(), wakeups(stack.pid)
            time.sleep(seconds)
            after, woken = stackd.cpu_times(), wakeups(stack.pid) - woken
            used = after.user + after.system - before.user - before.system
            print(f"processor: {used / seconds:.3%} of one core over {seconds:g} s ({used:.2f} s)")
            print(f"wake-ups:  {woken} of {stackd.num_threads()} threads")
            print(f"memory:    {stackd.memory_info().rss / 2**20:.1f} MB RSS")


if __name__ == "__main__":
    main()
