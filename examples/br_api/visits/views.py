"""Pages that need nothing, MySQL, Redis, or time."""

import time
from collections.abc import Callable

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from redis import RedisError

from visits.models import Visit

LONGEST_SLEEP_MS = 60_000


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Answer without any backend: nginx, uWSGI and Django are enough."""
    return render(request, "page.html", {"title": "br_api", "lines": ["This page needs no backend."]})


@require_safe
def database(request: HttpRequest) -> HttpResponse:
    """Write a row to MySQL, and read the latest ones."""
    visit = Visit.objects.create(agent=request.headers.get("User-Agent", "")[:200])
    lines = [f"visit number {visit.pk}", *map(str, Visit.objects.all()[:5])]
    return render(request, "page.html", {"title": "MySQL", "lines": lines})


@require_safe
def cached(request: HttpRequest) -> HttpResponse:
    """Use Redis as a cache and as a counter."""
    cache.add("hits", 0, timeout=None)
    hits = cache.incr("hits")
    made = cache.get_or_set("made", lambda: f"{timezone.now():%H:%M:%S}", timeout=10)
    lines = [f"hit number {hits}", f"this line was made at {made} and is kept for ten seconds"]
    return render(request, "page.html", {"title": "Redis", "lines": lines})


@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Tell which backends answer: 200 when all do, else 503."""
    backends = {"mysql": answer(ask_mysql), "redis": answer(lambda: cache.get("hits"))}
    healthy = set(backends.values()) == {"ok"}
    return JsonResponse({"healthy": healthy, "backends": backends}, status=200 if healthy else 503)


@require_safe
def slow(request: HttpRequest) -> HttpResponse:
    """Answer after `ms` milliseconds."""
    ms = request.GET.get("ms", "1000")
    if not ms.isdecimal() or int(ms) > LONGEST_SLEEP_MS:
        return HttpResponseBadRequest(
            f"ms: a number from 0 to {LONGEST_SLEEP_MS}\n", content_type="text/plain"
        )
    time.sleep(int(ms) / 1000)
    return HttpResponse(f"slept {int(ms)} ms\n", content_type="text/plain")


def ask_mysql() -> None:
    """Have the server evaluate something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def answer(ask: Callable[[], object]) -> str:
    """What a backend says when asked: "ok", or its error."""
    try:
        ask()
    except (DatabaseError, RedisError) as error:
        return f"{type(error).__name__}: {error}"
    return "ok"
