"""Fixtures of the end-to-end tests. Run with `python3 -m pytest tests/e2e`; $MIDREG names the binary."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toolkit.endpoint import Endpoint  # noqa: E402
from toolkit.house import House  # noqa: E402
from toolkit.midreg import BINARY, LEAKS_SEEN  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also the cases that wait for full SIP timers")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for full SIP timers, half a minute and more")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_report_header(config):
    return [] if LEAKS_SEEN else ["/proc is not mounted: leaks are not looked for"]


def pytest_sessionstart(session):
    if not BINARY.exists():
        raise pytest.UsageError("%s is not there: build it, or name another with MIDREG=..." % BINARY)


@pytest.fixture
def house(tmp_path):
    """midreg (not yet started) and a main registrar; both end with the test."""
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def endpoint():
    """Makes bare endpoints that end with the test."""
    made = []

    def make(*args, **kwargs):
        made.append(Endpoint(*args, **kwargs))
        return made[-1]
    yield make
    for e in made:
        e.close()
