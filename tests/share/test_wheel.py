"""What is built of the project: a wheel, a wheel of the source distribution, an editable one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from share.files import FILES

ROOT = Path(__file__).parents[2]


def wheel(source: Path, folder: Path) -> zipfile.ZipFile:
    """The wheel that pip makes, with the tools that are installed."""
    run("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (made,) = folder.glob("*.whl")
    return zipfile.ZipFile(made)


def run(*words: str, cwd: Path = ROOT) -> None:
    ran = subprocess.run(
        [sys.executable, *words], cwd=cwd, check=False, capture_output=True, encoding="utf-8"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def shared(made: zipfile.ZipFile) -> dict[str, bytes]:
    """The files that go to share/, by their place below it."""
    return {
        name.partition(".data/data/share/")[2]: made.read(name)
        for name in made.namelist()
        if ".data/data/share/" in name
    }


@pytest.fixture(scope="module")
def of_checkout(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_the_pages_and_the_completions(of_checkout: zipfile.ZipFile) -> None:
    found = shared(of_checkout)

    expected = {place: made().encode() for place, made in FILES.items()}
    assert {place: found[place] for place in FILES} == expected
    # What was there before is there still.
    assert "supervisor-stack/stackd.toml" in found


def test_the_wheel_says_that_it_is_typed(of_checkout: zipfile.ZipFile) -> None:
    assert "supervisor_stack/py.typed" in of_checkout.namelist()


def test_what_makes_them_is_not_in_it(of_checkout: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in of_checkout.namelist()}

    assert {top for top in tops if not top.startswith("supervisor_stack-")} == {"supervisor_stack"}


def test_a_wheel_of_the_source_distribution_is_the_same(of_checkout: zipfile.ZipFile, tmp_path: Path) -> None:
    run("-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path))
    (archive,) = tmp_path.glob("*.tar.gz")
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    (source,) = (each for each in tmp_path.iterdir() if each.is_dir())

    made = wheel(source, tmp_path)

    assert set(made.namelist()) == set(of_checkout.namelist())
    assert shared(made) == shared(of_checkout)


def test_an_editable_install_has_them_too(tmp_path: Path) -> None:
    run("-c", f"from hatchling.build import build_editable; build_editable({str(tmp_path)!r})")
    (made,) = tmp_path.glob("*.whl")

    assert set(FILES) <= set(shared(zipfile.ZipFile(made)))
