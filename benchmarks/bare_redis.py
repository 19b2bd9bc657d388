"""How long redis-server takes by itself, from its start to its first PONG, while the site is under load.

Measured beside the one of the site, in the same moments, since a busy machine delays both.
"""

from __future__ import annotations

import shutil
import subprocess
import time

from benchmarks.site import Site, ended

PATIENCE = 10.0


def bare_start(site: Site) -> float:
    """Seconds that a copy of the site's Redis takes to start, on a port and in a folder of its own."""
    port = max(site.ports.values()) + 1
    server = next(each for each in site.servers() if each.name == "redis")
    folder = site.folder / "bare"
    assert server.user is not None
    shutil.copytree(site.folder / "redis", folder)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, server.user)
    argv = (*server.argv, "--port", str(port), "--dir", str(folder))
    begun = time.monotonic()
    process = subprocess.Popen(
        argv, user=server.user, group=server.user, extra_groups=[], cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with ended(process):
            while not site.answers("redis", port=port):
                assert time.monotonic() < begun + PATIENCE, "redis-server does not start"
                time.sleep(0.001)
            return time.monotonic() - begun
    finally:
        shutil.rmtree(folder)
