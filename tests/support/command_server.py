"""Forks commands: `support.commands` starts this, and sends each command with the files for its output.

A forked command has imported everything already, which takes longer than most commands. Its background work runs
more often than every two seconds, so that tests do not wait for it.
"""

import gc
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from typing import Any, NoReturn

from avowal.cli.main import run
from avowal.ingest import follower
from avowal.server import background

LOAD_INTERVAL_SECONDS = 0.2
POLL_SECONDS = 0.1


def execute(request: dict[str, Any], output: int) -> NoReturn:
    """Run the command in this process, and exit with its status."""
    status = 1
    try:
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        tempfile.tempdir = None
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, number)
        background.LOAD_INTERVAL_SECONDS = LOAD_INTERVAL_SECONDS
        background.lower_thread_priority = lambda: None  # tests wait for the background work
        follower.POLL_SECONDS = POLL_SECONDS
        sys.argv = ["avowal", *request["arguments"]]
        try:
            run()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(bool(error.code))
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  # after any error the process must not continue as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def supervise(request: dict[str, Any], output: int, reply: socket.socket) -> NoReturn:
    """Start the command; send its process number, and then its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        reply.close()
        execute(request, output)
    os.close(output)
    reply.sendall(f"{child}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    reply.sendall(f"{status}\n".encode())
    os._exit(0)


def main(channel: socket.socket) -> None:
    """Fork a command for each message until the channel is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are not waited for
    gc.freeze()
    while True:
        message, descriptors = b"", list[int]()
        while not message.endswith(b"\n"):
            part, descriptors_received, _, _ = socket.recv_fds(channel, 1 << 16, 2)
            if not part:
                return
            message, descriptors = message + part, descriptors + descriptors_received
        output, replying = descriptors
        if not os.fork():
            channel.close()
            supervise(json.loads(message), output, socket.socket(fileno=replying))
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
