"""A browser for each test, and one house whose friends and strangers are origins of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, Page, find_chromium, running_chromium
from tests.support.house import House, running_house
from tests.support.page_server import serving_pages


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the browser's path. Missing, it skips; under CI=true, where it belongs, it fails."""
    program = find_chromium()
    if program is None:
        missing = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return program


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    """Return a browser without a past."""
    with running_chromium(chromium) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Page:
    """Return a tab."""
    return browser.new_page()


@pytest.fixture(scope="session")
def friend() -> Iterator[str]:
    """Return the origin of pages that may follow."""
    with serving_pages() as origin:
        yield origin


@pytest.fixture(scope="session")
def stranger() -> Iterator[str]:
    """Return the origin of the same pages that may not."""
    with serving_pages() as origin:
        yield origin


@pytest.fixture(scope="session")
def house(chromium: str, friend: str) -> Iterator[House]:
    """Return a house that knows its friend."""
    allowed = {"ALLOWED_ORIGINS": friend, "CORS_ALLOWED_ORIGINS": friend}
    with running_house(**allowed) as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Return the folder for screenshots, for people to look at."""
    return Path(__file__).resolve().parents[2] / ".data" / "pictures"
