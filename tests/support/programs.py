"""Web servers and proxies that tests run beside Avowal."""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.site import wait_until

NGINX_START = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; worker_rlimit_nofile 256;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
"""
"""How settings of nginx begin that write into one folder; a template for `str.format`, which a test completes."""

APACHE_START = """
ServerRoot {folder}
PidFile {folder}/pid
Listen 127.0.0.1:{port}
ServerName www.example.org
ErrorLog {folder}/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
"""
"""The same for Apache."""

SEARCH_PATH = "/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"


def find_program(name: str) -> str:
    """Return the path of a program; skips the test if it is not installed."""
    path = shutil.which(name, path=SEARCH_PATH)
    if not path:
        pytest.skip(f"{name} is not installed: `apt install {name}`")
    return path


def is_listening(port: int) -> bool:
    """Return whether a process listens on a port of the loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def run_program(command: Sequence[str], port: int, output: Path) -> Iterator[None]:
    """Run a program until the block ends, which begins once it listens on a port; its output goes to a file."""
    environment = {"HOME": str(output.parent), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)

    def is_ready() -> bool:
        assert process.poll() is None, output.read_text(errors="replace")
        return is_listening(port)

    try:
        wait_until(is_ready, f"{command[0]} to listen on port {port}")
        yield
    finally:
        process.terminate()
        process.wait(30)
