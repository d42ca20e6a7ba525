from pathlib import Path

import pytest

from support.command_line import CommandLine


@pytest.fixture
def hybridjob_command(tmp_path: Path) -> CommandLine:
    """`hybridjob`, with a fresh state directory."""
    return CommandLine(tmp_path / "state")
