"""A changed stackd.toml is applied to the four real servers."""

from __future__ import annotations

from supervisor_stack.control.messages import Accepted, Apply, Finished
from supervisor_stack.control.plans import Plan
from tests.system.site import Site
from tests.system.visitors import visitors

UWSGI = "[services.uwsgi.env]\n"
REDIS = "[services.redis]\n"


def apply(site: Site, old: str, new: str) -> tuple[Plan, Finished]:
    """With this change of the file."""
    text = site.config.read_text()
    assert text.count(old) == 1
    site.config.write_text(text.replace(old, new))
    first, *_, last = site.client.operate(Apply())
    assert isinstance(first, Accepted)
    assert first.plan
    assert isinstance(last, Finished)
    return first.plan, last


def test_nothing_differs_of_a_site_that_just_started(site: Site) -> None:
    assert site.client.request(Apply(plan=True)).plan.changes == ()


def test_another_limit_of_a_log_restarts_none_of_the_four(site: Site) -> None:
    names = ("mysqld", "redis", "uwsgi", "nginx")
    pids = [site.pid_of(name) for name in names]

    plan, end = apply(site, REDIS, f'{REDIS}log = {{ max_bytes = "1MiB" }}\n')

    assert [change.why for change in plan.changes] == [
        "nothing restarts: log.max_bytes is taken up at once"
    ]  # fmt: skip
    assert end.outcomes == ()
    assert [site.pid_of(name) for name in names] == pids


def test_another_environment_of_uwsgi_fails_no_request(site: Site) -> None:
    with visitors(f"http://127.0.0.1:{site.port}/") as visits:
        plan, end = apply(site, UWSGI, f'{UWSGI}COLOUR = "blue"\n')
        site.until_alone("uwsgi")

    (change,) = plan.changes
    assert change.why == "restarts: env.COLOUR changed; the new run takes over when it is ready"
    assert end.ok
    assert site.service("uwsgi").run == 2
    assert dict(visits.failed) == {}


def test_an_environment_that_breaks_the_application_is_not_taken_up(site: Site) -> None:
    pid = site.pid_of("uwsgi")

    _, end = apply(
        site, f'{UWSGI}DJANGO_SETTINGS_MODULE = "br_api.prod"', f'{UWSGI}DJANGO_SETTINGS_MODULE = "no"'
    )

    (outcome,) = end.outcomes
    assert not end.ok
    assert "no" in outcome.error
    assert outcome.detail[-1] == f"uwsgi goes on as it was (pid {pid}, run 1)."
    assert site.get("/")[0] == 200
    assert [change.effect for change in site.client.request(Apply(plan=True)).plan.changes] == ["restart"]
