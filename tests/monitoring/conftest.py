"""promtool, and Prometheus servers on free loopback ports, ended by their process id."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "monitoring"
DURATION = re.compile(r"(?<=\[)\d+[smh](?=\])|(?<=for: )\d+[smh]\b")
SECONDS = {"s": 1, "m": 60, "h": 3600}

Promtool = Callable[..., "subprocess.CompletedProcess[str]"]


def find(tool: str) -> str:
    """The tool's path. Without it a test skips; in CI it fails."""
    path = shutil.which(tool)
    if path is None:
        missing = f"{tool} is missing: install the package prometheus (apt-get install prometheus)"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return path


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Run promtool with these arguments; what it says is in stdout and stderr, its verdict in returncode."""
    path = find("promtool")

    def run(*arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [path, *map(str, arguments)]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="session")
def monitoring() -> Path:
    """The folder of the rules and the dashboard."""
    return MONITORING


@pytest.fixture(scope="session")
def rules() -> dict[str, dict[str, Any]]:
    """The alerts of alerts.yml by name."""
    (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def loaded(file: Path) -> ModuleType:
    """The module in a file that no package has."""
    spec = importlib.util.spec_from_file_location(f"loaded_{file.stem}", file)
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def dashboard() -> ModuleType:
    """The script that writes the dashboard."""
    return loaded(MONITORING / "dashboard.py")


@pytest.fixture
def proxies() -> Iterator[Any]:
    """Those of the node's own tests, between its members: `route`, `cut`, `heal`."""
    made = loaded(ROOT / "tests" / "reference" / "node" / "conftest.py").Proxies()
    yield made
    made.close()


def scaled(rules: str, factor: int) -> str:
    """The same rules for a world in which everything happens `factor` times as fast: each duration (`for`
    and ranges) is divided by it, each threshold stays."""

    def shorter(found: re.Match[str]) -> str:
        amount, unit = int(found[0][:-1]), found[0][-1]
        return f"{amount * SECONDS[unit] * 1000 // factor}ms"

    return DURATION.sub(shorter, rules)


@dataclass
class Prometheus:
    """A server that runs."""

    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str, **query: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return found

    def firing(self) -> list[dict[str, str]]:
        """The labels of the alerts that fire now."""
        return [alert["labels"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False


def wait_for(what: Callable[[], bool], seconds: float, words: str) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {words}"
        time.sleep(0.05)


Start = Callable[[list[dict[str, Any]], int], Prometheus]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a server that scrapes these targets twice a second, by rules `factor` times as fast."""
    path = find("prometheus")
    started: list[subprocess.Popen[bytes]] = []

    def start(targets: list[dict[str, Any]], factor: int) -> Prometheus:
        folder = tmp_path_factory.mktemp("prometheus")
        (folder / "alerts.yml").write_text(scaled((MONITORING / "alerts.yml").read_text(), factor))
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "oneleader", "static_configs": targets}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        arguments = {
            "config.file": folder / "prometheus.yml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": "127.0.0.1:0",
            "query.lookback-delta": f"{300_000 // factor}ms",
        }
        command = [path, *(f"--{name}={value}" for name, value in arguments.items())]
        log = folder / "prometheus.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        started.append(process)

        def address() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text()
            return re.search(r'msg="Listening on" address=(\S+)', log.read_text())

        wait_for(lambda: address() is not None, 30, "Prometheus listens")
        found = address()
        assert found
        server = Prometheus(f"http://{found[1]}", process)
        wait_for(server.is_ready, 30, "Prometheus is ready")
        return server

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)
