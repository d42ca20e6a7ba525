"""Running programs, and failing with what they said."""

import subprocess


class HarnessError(Exception):
    """The harness cannot go on; the message says what is missing or what failed."""


def run(*command: object) -> str:
    """Run a program that must succeed, and return its standard output."""
    words = [*map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HarnessError(f"{' '.join(words)[:200]} failed: {done.stderr.strip()[-1500:]}")
    return done.stdout
