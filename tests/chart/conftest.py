"""Renders the chart with the real helm."""

import copy
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster_harness.build import HELM, binaries
from tests.cluster_harness.commands import HarnessError

from support.command_line import REPOSITORY

CHART = REPOSITORY / "charts" / "hybridjob"

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


class Helm:
    """The helm program, and what it makes of the chart."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
        )

    def template(self, *arguments: object, **values: Any) -> subprocess.CompletedProcess[str]:
        """`helm template` of release `hybridjob` in namespace `system`; `a__b=1` sets the value a.b."""
        options = [
            option
            for path, value in values.items()
            for option in ("--set-json", f"{path.replace('__', '.')}={json.dumps(value)}")
        ]
        return self("template", "hybridjob", CHART, "--namespace", "system", *options, *arguments)


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm as the cluster harness builds it. Who has no Go skips the chart's tests; CI must not."""
    try:
        return Helm(binaries(HELM) / "helm")
    except HarnessError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the chart's tests do not run: {error}")


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """The manifests of some options and values; each call returns objects of its own."""
    rendered: dict[str, list[Manifest]] = {}

    def render(*arguments: object, **values: Any) -> list[Manifest]:
        key = json.dumps([arguments, values])
        if key not in rendered:
            done = helm.template(*arguments, **values)
            assert done.returncode == 0, done.stderr
            documents = yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            rendered[key] = [document for document in documents if document]
        return copy.deepcopy(rendered[key])

    return render


@pytest.fixture(scope="session")
def everything(render: Render) -> list[Manifest]:
    """The chart with all that can be switched on."""
    return render(
        serviceMonitor__enabled=True,
        prometheusRule__enabled=True,
        priorityClasses__create=True,
        flowControl__enabled=True,
    )
