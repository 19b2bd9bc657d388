"""Watching files with watchdog, and telling the core when they have come to rest.

watchdog works in threads of its own. They only hand over paths; what matters is decided on the
event loop. Adding a watch can wait for such a thread, so that is done in a thread as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from supervisor_stack.core.events import Event, FilesChanged
from supervisor_stack.daemon.watch_list import Fingerprint, WatchList

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver, ObservedWatch

log = logging.getLogger(__name__)

ARM_DELAY = 0.3
"""Seconds from a wish to its watches. Importing watchdog takes 60 ms of the interpreter, which the
service that is just being started should not wait for; what changes until then is found by comparing."""

LONGEST_UNREST = 10
"""How many times the debounce a stream of changes may go on before it is acted upon all the same."""

CLOSE_TIMEOUT = 1.0
"""Seconds that the end waits for the thread, which may look at a file server that does not answer."""


class Unrest:
    """Changes of one service's files that have not come to rest yet."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.timer: asyncio.TimerHandle | None = None


class Watched:
    """What is watched for a service. `read`: how it was when the service read it, as far as we know; `seen`:
    how it was when we told of it last."""

    def __init__(self, entries: WatchList, debounce: float, read: Fingerprint) -> None:
        self.entries = entries
        self.debounce = debounce
        self.read = self.seen = read


class FileWatcher:
    """Watches files for services; posts FilesChanged once for a burst of changes."""

    def __init__(self, post: Callable[[Event], None], loop: asyncio.AbstractEventLoop) -> None:
        self._post = post
        self._loop = loop
        self._watched: dict[str, Watched] = {}
        self._recalled: dict[str, Fingerprint] = {}
        self._unrest: dict[str, Unrest] = {}
        self._arming: asyncio.TimerHandle | None = None
        self._folders = Folders(self._changed_in_thread)
        self._wishes: SimpleQueue[set[str] | None] = SimpleQueue()
        # A daemon: where it cannot be waited for, it keeps nobody from leaving.
        self._thread = Thread(target=self._work, name="watch", daemon=True)
        self._is_closed = False

    def watch(self, service: str, files: Iterable[str], globs: Iterable[str], debounce: float) -> None:
        """Watch these for the service, and no others. What they are now is what it is about to read, unless
        an earlier stackd has left word of what it has read."""
        entries = WatchList(files, globs)
        read = self._recalled.pop(service, None) or entries.fingerprint()
        self._watched[service] = Watched(entries, debounce, read)
        self._arm_soon()

    def recall(self, service: str, read: Fingerprint) -> None:
        """What a service that goes on has read: a change since then is one, whoever was there to see it."""
        self._recalled[service] = read

    def read(self, service: str) -> Fingerprint:
        """How the files of a service were when it read them; empty when none are watched."""
        return self._watched[service].read if service in self._watched else self._recalled.get(service, {})

    def forget(self, service: str) -> None:
        """Watch nothing any more for a service."""
        self._recalled.pop(service, None)
        if self._watched.pop(service, None):
            self._arm_soon()

    def watching(self, service: str) -> tuple[str, ...]:
        """The folders that are watched for a service."""
        return tuple(sorted(self._watched[service].entries.folders)) if service in self._watched else ()

    def close(self) -> None:
        """Stop watching, for good: nothing is posted any more."""
        self._is_closed = True
        if self._arming:
            self._arming.cancel()
        for unrest in self._unrest.values():
            if unrest.timer:
                unrest.timer.cancel()
        if self._thread.ident is None:
            return  # it was not needed
        self._wishes.put(None)
        self._thread.join(CLOSE_TIMEOUT)
        if self._thread.is_alive():
            log.warning("a file system with watched files does not answer: leaving all the same")

    def _arm_soon(self) -> None:
        if self._arming is None and not self._is_closed:
            self._arming = self._loop.call_later(ARM_DELAY, self._arm)

    def _arm(self) -> None:
        self._arming = None
        folders = {folder for watched in self._watched.values() for folder in watched.entries.folders}
        self._wishes.put(folders)
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        """The thread: what the folders are to be, one wish after the other."""
        while (folders := self._wishes.get()) is not None:
            try:
                self._folders.watch_only(folders)
            except Exception:
                log.exception("cannot watch files: internal error")
            self._tell(self._catch_up)
        self._folders.close()

    def _tell(self, callback: Callable[..., None], *words: str) -> None:
        """From a thread to the loop, as long as there is one."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *words)

    def _catch_up(self) -> None:
        """See what changed before the watches were there."""
        for service, watched in self._watched.items():
            if watched.entries.fingerprint() != watched.seen:
                self._stir(service, watched.debounce)

    def _changed_in_thread(self, path: str) -> None:
        self._tell(self._changed, path)

    def _changed(self, path: str) -> None:
        for service, watched in self._watched.items():
            if path in watched.entries:
                self._stir(service, watched.debounce)

    def _stir(self, service: str, debounce: float) -> None:
        if self._is_closed:
            return
        now = self._loop.time()
        unrest = self._unrest.setdefault(service, Unrest(now))
        if unrest.timer:
            unrest.timer.cancel()
        rest = min(now + debounce, unrest.since + LONGEST_UNREST * debounce)
        unrest.timer = self._loop.call_at(rest, self._came_to_rest, service)

    def _came_to_rest(self, service: str) -> None:
        del self._unrest[service]
        watched = self._watched.get(service)
        if watched is None:
            return
        now, before = watched.entries.fingerprint(), watched.seen
        paths = sorted(path for path in now.keys() | before.keys() if now.get(path) != before.get(path))
        if paths:  # else a reload has read it meanwhile
            watched.seen = now
            self._post(FilesChanged(service=service, paths=tuple(paths)))


class Folders:
    """The folders that watchdog watches. Used from one thread; `changed` is called from others."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._observer: BaseObserver | None = None
        self._watches: dict[str, tuple[tuple[int, int], ObservedWatch]] = {}

    def watch_only(self, folders: set[str]) -> None:
        """Watch these folders and no others; one that was replaced by another is watched anew."""
        for folder in list(self._watches):
            if folder not in folders or self._watches[folder][0] != _identity(folder):
                self._forget(folder)
        for folder in sorted(folders - self._watches.keys()):
            try:
                self._add(folder)
            except OSError as error:
                # inotify(7): ENOSPC means fs.inotify.max_user_watches, EMFILE max_user_instances.
                log.warning(
                    "cannot watch %s: %s; changes in it are not seen, use stackctl reload",
                    folder,
                    error.strerror,
                )

    def close(self) -> None:
        """Stop the observer and its threads."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def _add(self, folder: str) -> None:
        # Imported here: it takes 60 ms that the start of the services should not wait for.
        from watchdog.events import (
            DirCreatedEvent,
            DirDeletedEvent,
            DirMovedEvent,
            FileClosedEvent,
            FileCreatedEvent,
            FileDeletedEvent,
            FileMovedEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        changed = self._changed

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                for path in (event.src_path, event.dest_path):
                    if path:
                        changed(os.fsdecode(path))

        if self._observer is None:
            self._observer = Observer()
            self._observer.start()
        # Without modifications: a log file in the same folder would wake us at every request. What
        # is written is told when it is closed, and moved, created or deleted entries at once.
        kinds = [FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileMovedEvent]
        folders = [DirCreatedEvent, DirDeletedEvent, DirMovedEvent]
        identity = _identity(folder)
        watch = self._observer.schedule(Handler(), folder, event_filter=[*kinds, *folders])
        self._watches[folder] = (identity, watch)

    def _forget(self, folder: str) -> None:
        _, watch = self._watches.pop(folder)
        if self._observer is not None:
            self._observer.unschedule(watch)


def _identity(folder: str) -> tuple[int, int]:
    try:
        found = os.stat(folder)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
