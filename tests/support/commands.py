"""Commands as processes of their own, forked by a process that has imported everything already."""

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

SCRIPT = Path(__file__).with_name("command_server.py")


class Command:
    """A running command, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self._received = b""
        self._returncode: int | None = None
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return the exit status, or None while the command runs."""
        if self._returncode is None:
            self._reply.settimeout(0)
            try:
                self._returncode = self._number()
            except BlockingIOError:
                return None
            self._reply.close()
        return self._returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit status. Raises TimeoutError if it takes too long."""
        if self._returncode is None:
            self._reply.settimeout(timeout)
            self._returncode = self._number()
            self._reply.close()
        return self._returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if the command still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the command if it still runs."""
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        while b"\n" not in self._received:
            part = self._reply.recv(64)
            assert part, "the command server has ended"
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return int(line)


@functools.cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(theirs.fileno())], pass_fds=[theirs.fileno()]
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def start_command(
    folder: Path, environment: Mapping[str, str], arguments: Sequence[str], output: IO[bytes]
) -> Command:
    """Start `avowal` in a folder; its output goes to a file."""
    ours, theirs = socket.socketpair()
    request = {"folder": str(folder), "environment": dict(environment), "arguments": list(arguments)}
    message = json.dumps(request).encode() + b"\n"
    with theirs:
        sent = socket.send_fds(_server(), [message], [output.fileno(), theirs.fileno()])
        _server().sendall(message[sent:])
    return Command(ours)
