"""Web servers with the settings of the manual before a server."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.manual import read_snippet
from support.programs import APACHE_START, NGINX_START, find_program, run_program
from support.running_server import free_port

NGINX = (
    NGINX_START
    + """ access_log off;
    server {{ listen 127.0.0.1:{port}; {snippet}
        location = /metrics {{ proxy_pass http://127.0.0.1:8080; proxy_set_header X-Forwarded-For $remote_addr; }} }}
}}
"""
)
APACHE = (
    APACHE_START
    + """LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
<VirtualHost *:{port}>
{snippet}
ProxyPass "/metrics" "http://127.0.0.1:8080/metrics"
</VirtualHost>
"""
)
HAPROXY = """
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend site
    bind 127.0.0.1:{port}
{snippet}
    use_backend avowal if {{ path /metrics }}
backend avowal
    server avowal 127.0.0.1:8080
"""
CADDY = """
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://:{port} {{
    bind 127.0.0.1
    {snippet}
    reverse_proxy /metrics 127.0.0.1:8080
}}
"""
WEB_SERVERS = {
    "nginx": (NGINX, "nginx, in the", ["-e", "{folder}/error.log", "-c", "{config}"]),
    "apache2": (APACHE, "sent was removed:", ["-X", "-f", "{config}"]),
    "caddy": (CADDY, "Caddy, in the", ["run", "--config", "{config}", "--adapter", "caddyfile"]),
    "haproxy": (HAPROXY, "HAProxy, in the", ["-f", "{config}"]),
}


@contextmanager
def run_web_server(name: str, folder: Path, behind: int, rules: Sequence[str] = ()) -> Iterator[int]:
    """Run a web server with the settings of the manual before a server; yields its port.

    Each of `rules` replaces the line of the settings that begins like it, which says what is passed on.
    """
    program = find_program(name)
    template, after, words = WEB_SERVERS[name]
    port, config = free_port(), folder / "config"
    snippet = read_snippet("## Serving", after)
    for rule in rules:
        first_word = rule.split()[0]
        snippet = re.sub(rf"(?m)^ *{first_word} .*$", rule.replace("\\", r"\\"), snippet)
    text = template.format(folder=folder, port=port, snippet=snippet)
    config.write_text(text.replace("127.0.0.1:8080", f"127.0.0.1:{behind}"))
    arguments = (word.format(folder=folder, config=config) for word in words)
    with run_program([program, *arguments], port, folder / "output"):
        yield port
