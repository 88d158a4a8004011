"""Convert pasted formats into templates: Apache's `LogFormat`, nginx's and HAProxy's `log-format`, and Envoy's.

What stands around the format in its configuration, and blanks at its end, are ignored.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches

from avowal.errors import LogFormatError
from avowal.logs.json_keys import FORWARDED_HEADERS, normalise_key
from avowal.logs.pattern import FIELD_MARK, build_time_regex, mark_field, mark_fields


def parse_pasted_format(text: str) -> str:
    """Convert a pasted format of any of these servers into a template.

    Raises LogFormatError if a directive or variable is unknown, or if the format has no time or no request.
    """
    text = text.strip()
    if re.match(r"log-format\b", text) or re.search(HAPROXY_REGEX, text):
        return parse_haproxy_format(text)
    if re.search(ENVOY_REGEX, text):
        return parse_envoy_format(text)
    return parse_nginx_format(text) if re.search(r"\$[{\w]", text) else parse_apache_format(text)


def find_header_field(name: str, *, of_response: bool = False) -> str:
    """Return the field that a header fills, `any_text` if none."""
    key = normalise_key(name)
    if of_response:
        return "content_type" if key == "contenttype" else "any_text"
    return HEADER_FIELDS.get(key, "any_text")


HEADER_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(FORWARDED_HEADERS, "forwarded"),
    "useragent": "user_agent",
    "referer": "referrer",
    "referrer": "referrer",
    "host": "host",
}
"""The fields that headers of a request fill, by their keys."""


APACHE_DIRECTIVES = {
    **dict.fromkeys("AfHIklLnpPRSuXCex", ""),
    **dict.fromkeys("ah", "address"),
    **dict.fromkeys("bBO", "bytes"),
    **dict.fromkeys("vV", "host"),
    "D": "microseconds",
    "m": "method",
    "q": "raw_query",
    "r": "request",
    "s": "status",
    "U": "raw_path",
}
APACHE_TIME_FORMATS = {
    **dict.fromkeys(["sec", "msec", "usec"], "time_epoch"),
    "msec_frac": "time=%3f",
    "usec_frac": "time=%6f",
}
APACHE_DURATION_UNITS = {"": "seconds", "s": "seconds", "ms": "milliseconds", "us": "microseconds"}

_DIRECTIVE = re.compile(r"%(?:!?\d{3}(?:,\d{3})*)?[<>]?(?:\{([^}]*)\})?(\^t[io]|.|$)", re.DOTALL)
_SPLIT_TIME = re.compile(
    f"{FIELD_MARK}time=([^{FIELD_MARK}]*){FIELD_MARK}([^{FIELD_MARK}%]*){FIELD_MARK}time="
)


def parse_apache_format(text: str) -> str:
    """Convert an Apache `LogFormat` (mod_log_config), with or without the name of its directive, into a template.

    Raises LogFormatError if a directive is unknown, or if the format has no time or no request.
    """
    if match := re.fullmatch(r'\s*(?:LogFormat|CustomLog\s+\S+)\s+"((?:[^"\\]|\\.)*)".*', text, re.DOTALL):
        text = match[1]
    marked = _DIRECTIVE.sub(_apache_field, _unescape_backslashes(text))
    while marked != (marked := _SPLIT_TIME.sub(rf"{FIELD_MARK}time=\1\2", marked)):
        pass  # `%{%T}t.%{msec_frac}t` is one time in two pieces
    return _check_template(marked)


def _apache_field(match: re.Match[str]) -> str:
    argument, letter = match[1] or "", match[2]
    if letter == "%":
        return "%"
    if letter == "t" and not argument:
        return mark_fields("[<time>]")
    if letter == "t":
        time_format = argument.removeprefix("begin:").removeprefix("end:")
        name = APACHE_TIME_FORMATS.get(time_format) or (
            "time_epoch" if time_format == "%s" else f"time={time_format}"
        )
    elif letter in {"i", "o"}:
        name = find_header_field(argument, of_response=letter == "o")
    elif letter == "T" and argument in APACHE_DURATION_UNITS:
        name = APACHE_DURATION_UNITS[argument]
    elif letter.startswith("^"):
        name = "any_text"
    elif letter in APACHE_DIRECTIVES:
        name = APACHE_DIRECTIVES[letter]
    else:
        raise LogFormatError(
            f"unknown directive `{match[0]}` in the log format",
            f"known directives are %t, %T, %{{…}}i, %{{…}}o and {', '.join(APACHE_DIRECTIVES)}",
        )
    return mark_field(name)


NGINX_VARIABLES = {
    "remote_addr": "address",
    **dict.fromkeys(["proxy_add_x_forwarded_for", "proxy_protocol_addr"], "forwarded"),
    "time_local": "time",
    "time_iso8601": "time_iso",
    "msec": "time_epoch",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    **dict.fromkeys(["uri", "document_uri"], "raw_path"),
    **dict.fromkeys(["args", "query_string"], "raw_query"),
    "is_args": "question_mark",
    "status": "status",
    **dict.fromkeys(["body_bytes_sent", "bytes_sent"], "bytes"),
    "request_time": "seconds",
    **dict.fromkeys(["host", "http_host", "server_name", "ssl_server_name"], "host"),
    **dict.fromkeys(["sent_http_content_type", "upstream_http_content_type"], "content_type"),
    **dict.fromkeys(
        [
            "remote_user",
            "remote_port",
            "scheme",
            "server_port",
            "server_protocol",
            "request_id",
            "request_length",
        ],
        "",
    ),
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
MISSPELLING_SIMILARITY_MIN = 0.87
"""How similar to a known variable an unknown one must be to count as a misspelling, from 0 to 1."""


def parse_nginx_format(text: str) -> str:
    """Convert an nginx `log_format`, with or without the name of its directive and quotes, into a template.

    Raises LogFormatError if a variable is misspelt, or if the format has no time or no request.
    """
    body = re.sub(r"^\s*log_format\s+\S+\s+(?:escape=\w+\s+)?|\s*;\s*$", "", text)
    if re.match(r"\s*'", body):
        body = "".join(re.findall(r"'((?:[^'\\]|\\.)*)'", body))
    return _check_template(_VARIABLE.sub(_nginx_field, _unescape_backslashes(body)))


def _nginx_field(match: re.Match[str]) -> str:
    variable = (match[1] or match[2]).lower()  # as nginx does
    if variable in NGINX_VARIABLES:
        return mark_field(NGINX_VARIABLES[variable])
    if variable.startswith("http_") and (name := find_header_field(variable[5:])) != "any_text":
        return mark_field(name)
    known = [*NGINX_VARIABLES, "http_referer", "http_user_agent", "http_x_forwarded_for", "http_x_real_ip"]
    if near := get_close_matches(variable, known, 1, MISSPELLING_SIMILARITY_MIN):
        raise LogFormatError(
            f"unknown variable `${variable}` in the log format", f"did you mean `${near[0]}`?"
        )
    if variable.startswith("remote_addr"):  # operators use such names for masked addresses
        return mark_field("address")
    name = "any_text" if variable.startswith(("http_", "sent_http_", "cookie_", "arg_")) else ""
    return mark_field("value_list" if variable.startswith("upstream_") else name)


HAPROXY_VARIABLES = {
    "ci": "address", "cp": "port", "t": "time_without_zone", "tr": "time_without_zone", "T": "time", "trg": "time",
    "Tl": "time", "trl": "time", "Ts": "time_epoch",
    "r": "request_hashed", "HM": "method", "HU": "target", "HP": "raw_path", "HPO": "raw_path", "HQ": "raw_query",
    "ST": "status", "B": "bytes", "Ta": "milliseconds", "Tt": "milliseconds", "hr": "captures",
}  # fmt: skip
"""The variables of HAProxy's `log-format` that fill fields. All others are skipped."""

HAPROXY_HEADER_EXPRESSION = re.compile(
    r"(?:capture\.req\.|req\.|req_)?f?hdr(?:_ip)?\(([^),]+)|txn\.([A-Za-z_]+)", re.IGNORECASE
)
HAPROXY_EXPRESSIONS = {
    "src": "address", "capture.req.method": "method", "method": "method", "capture.req.uri": "target", "url": "target",
    "pathq": "target", "path": "raw_path", "query": "raw_query", "status": "status", "capture.res.status": "status",
    "base": "schemeless",
}  # fmt: skip
_HAPROXY_VARIABLE = re.compile(r"%(?:\{([^}]*)\})?(?:([A-Za-z]{1,3})|\[((?:[^\[\]]|\[[^\]]*\])*)\]|%)")
HAPROXY_REGEX = r"%(?:\{[+-][^}]*\})?(?:\[|(?:ci|trg?|ST|HM|HU|HPO?|tsc?|TR|Tt|Ta|ac|hrl?)\b)|%\{[+-][QXE]"
"""What HAProxy's formats have and those of Apache do not."""


def parse_haproxy_format(text: str) -> str:
    """Convert HAProxy's `log-format`, with or without the name of its directive and quotes, into a template.

    Raises LogFormatError if the format has no time or no request.
    """
    text = re.sub(r"^log-format(?:-sd)?\s+", "", text.strip())
    if re.match(r'"(?:[^"\\]|\\.)*"$', text) or re.match("'[^']*'$", text):
        text = text[1:-1]
    marked = _HAPROXY_VARIABLE.sub(_haproxy_field, re.sub(r"\\(.)", r"\1", text))
    # captured headers are absent, with the blank after them, where nothing was captured
    captures, captured = mark_field("captures"), mark_field("captured")
    marked = re.sub(f"(?:{captures} |{captured} )+", captures, marked)
    return _check_template(marked.replace(captured, mark_field("any_text")))


def _haproxy_field(match: re.Match[str]) -> str:
    flags, variable, expression = match[1] or "", match[2], match[3]
    quote = '"' if "+Q" in flags else ""
    if expression is not None:
        first = expression.split(",")[0].strip()
        header = HAPROXY_HEADER_EXPRESSION.match(first)
        name = HAPROXY_EXPRESSIONS.get(first) or (
            find_header_field((header[1] or header[2]).replace("_", "-")) if header else "any_text"
        )
    elif variable is None:
        return "" if flags else "%"
    elif variable == "o" and flags:
        return ""  # flags for all that follows
    else:
        name = {"hs": "captured"}.get(variable) or HAPROXY_VARIABLES.get(variable, "")
    return f"{quote}{mark_field(name)}{quote}"


ENVOY_OPERATORS = {
    "START_TIME": "time_iso", "PROTOCOL": "", "RESPONSE_CODE": "status", "BYTES_SENT": "bytes",
    "DURATION": "milliseconds", "DOWNSTREAM_REMOTE_ADDRESS": "peer",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": "peer", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": "peer",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": "peer",
}  # fmt: skip
"""The operators of Envoy's formats that fill fields. All others are skipped."""

ENVOY_REGEX = r"%(?:REQ|RESP|START_TIME|RESPONSE_CODE|DOWNSTREAM_[A-Z_]+|PROTOCOL)(?:\([^)]*\))?(?::\d+)?%"
_ENVOY_OPERATOR = re.compile(r"%([A-Z_0-9]+)(?:\(([^)]*)\))?(?::\d+)?%")


def parse_envoy_format(text: str) -> str:
    """Convert a format of Envoy's access log into a template.

    Raises LogFormatError if the format has no time or no request.
    """
    marked = _ENVOY_OPERATOR.sub(_envoy_field, re.sub(r"\\n", "", text.strip()))
    for request in ('"<method> <target> <>"', '"<method> <target>"'):
        marked = marked.replace(mark_fields(request), mark_fields('"<request>"'))
    return _check_template(marked)


def _envoy_field(match: re.Match[str]) -> str:
    operator, argument = match[1], (match[2] or "").lower()
    if operator == "REQ":
        names = argument.split("?")
        name = "method" if ":method" in names else "target" if ":path" in names else ""
        name = name or ("host" if ":authority" in names else find_header_field(names[0]))
    elif operator == "RESP":
        name = find_header_field(argument, of_response=True)
    elif operator == "START_TIME" and argument:
        name = f"time={match[2]}"
    else:
        name = ENVOY_OPERATORS.get(operator, "any_text")
    return mark_field(name)


def _unescape_backslashes(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"t": "\t", "n": "\n"}.get(match[1], match[1]), text)


def _check_template(marked: str) -> str:
    """Return the template without blanks at its end, where lines have none.

    Raises LogFormatError if it has no time or no request, or an invalid time format.
    """
    marked = marked.strip(" \t\r\n")
    names = marked.split(FIELD_MARK)[1::2]
    if not any(name.startswith("time") for name in names):
        raise LogFormatError(
            "the log format has no time", "add `%t` (Apache) or `$time_iso8601` (nginx) to it"
        )
    if not {"request", "request_hashed", "target", "raw_path", "schemeless"} & set(names):
        raise LogFormatError(
            "the log format has no request", 'add `"%r"` (Apache) or `"$request"` (nginx) to it'
        )
    for name in names:
        if name.startswith("time="):
            build_time_regex(name.removeprefix("time="))
    return marked
