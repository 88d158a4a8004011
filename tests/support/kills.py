"""Commands that are killed at a moment, and the states in which kills can leave a folder."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from support.site import Site

KILLED = -9
NOT_KILLED = ("", 0)
SNAPSHOTS = "snapshots"

Moment = tuple[str, int]
"""The name of a moment and its number."""


class KillServer:
    """A process that forks commands; it is started once, as importing everything takes longer than a command."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("faults.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def play(self, folder: Path, **scene: Any) -> dict[str, Any]:
        """Play a scene in a folder; returns the exit status of its processes."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"folder": str(folder), "arguments": [], **scene}) + "\n")
        statuses = json.loads(self._process.stdout.readline())
        assert isinstance(statuses, dict)
        return statuses

    def kill(self, site: Site, command: Sequence[str], moment: Moment) -> int:
        """Run a command that is killed at a moment; returns its exit status."""
        (status,) = self.play(site.folder, command=command, imports=[moment])["imports"]
        assert isinstance(status, int)
        return status

    def states(self, site: Site, **scene: Any) -> list[tuple[str, Path]]:
        """Run a command to its end; returns a copy of each state in which a kill can leave the folder.

        Each copy is named by the moments that leave this state.
        """
        statuses = self.play(site.folder, imports=[NOT_KILLED], snapshots=True, **scene)
        assert statuses["imports"] == [0], (site.folder / "import.output").read_text()
        folder = site.folder / SNAPSHOTS
        names = json.loads((folder / "moments.json").read_text())
        return [(", ".join(moments), folder / number) for number, moments in names.items()]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def count_moments(folder: Path, role: str = "import") -> dict[str, int]:
    """Return how often each moment came in the last scene of a folder, for a role."""
    moments = json.loads((folder / f"{role}.moments").read_text())
    assert isinstance(moments, dict)
    return moments


def choose_moments(moments: dict[str, int], limit: int | None) -> list[Moment]:
    """Choose up to `most` occurrences of each moment, with the first and the last; None chooses all."""
    return [
        (name, number)
        for name, times in sorted(moments.items())
        if name != "byte"
        for number in _spread(times, limit)
    ]


def _spread(times: int, limit: int | None) -> Iterable[int]:
    if limit is None:
        return range(1, times + 1)
    return sorted({1 + step * (times - 1) // max(limit - 1, 1) for step in range(limit)})
