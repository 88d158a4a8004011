"""Strict reading of TOML: an unknown key or a wrong type is an error that names its place and what helps."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from avowal.errors import InvalidInputError

T = TypeVar("T")

TEXT_BYTES_MAX = 1 << 26
"""The longest file of text that is read, unless a shorter one is the limit."""

JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding JSON raises for bytes that are no JSON, of another type, not UTF-8, or nested too deeply."""

_REMEDIES = {
    "array": "write a list: `[…]`",
    "bool": "write `true` or `false`, without quotes",
    "date": "write a day, without quotes: `2026-11-22`",
    "int": "write a whole number, without quotes",
    "object": "write a table",
    "str": "write it in quotes",
}
"""What to write where msgspec expected a type."""

_REFERENCE = "see the reference for what each key takes"

_HEADER = re.compile(r"\s*\[(\[?)\s*([\w.-]+)\s*\]")


def load_toml(path: Path, struct_type: type[T], error_type: type[InvalidInputError]) -> T:
    """Read a TOML file as a msgspec Struct.

    Raises `error_type` with the file, the line, the key and the nearest valid name if the file is not valid.
    """
    return parse_toml(read_text(path, error_type), struct_type, source_name=str(path), error_type=error_type)


def parse_toml(
    text: str, struct_type: type[T], *, source_name: str, error_type: type[InvalidInputError]
) -> T:
    """Parse the text of a TOML file; errors call it `source_name`. Raises as `load_toml` does."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise error_type(
            f"{source_name}: {_lower(str(error))}",
            "https://toml.io describes how TOML is written",
            code="invalid-toml",
        ) from None
    return convert_toml(data, struct_type, source_name=source_name, error_type=error_type, text=text)


def read_text(path: Path, error_type: type[InvalidInputError], bytes_max: int = TEXT_BYTES_MAX) -> str:
    """Read a file in UTF-8, with or without a byte order mark; line ends are not changed.

    Raises `error_type` if it cannot be read, or is longer than `bytes_max`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
        if len(content) > bytes_max:
            raise error_type(
                f"`{path}` is longer than {bytes_max:,} bytes", "give another file", code="input-too-long"
            )
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise error_type(
            f"there is no file `{path}`", "`avowal init DIR` creates one", code="file-missing"
        ) from None
    except UnicodeDecodeError as error:
        raise error_type(
            f"{path}: byte {error.start} is not UTF-8", "save the file as UTF-8", code="not-utf8"
        ) from None
    except OSError as error:
        reason = _lower(error.strerror or "")
        raise error_type(
            f"`{path}` cannot be read: {reason}", "give a file that you can read", code="file-unreadable"
        ) from None


def convert_toml(
    data: Any, struct_type: type[T], *, source_name: str, error_type: type[InvalidInputError], text: str = ""
) -> T:
    """Convert parsed TOML to a msgspec Struct; errors name lines of `text`, from which it was parsed."""
    for key, problem, hint in _find_unknown_names(data, struct_type):
        raise error_type(f"{source_name}{_line(text, key)}: `{key}` {problem}", hint, code="unknown-key")
    try:
        return msgspec.convert(data, struct_type, builtin_types=(date,))
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        key = path.rstrip("`").removesuffix("[...]").lstrip(".")
    place = f"{source_name}{_line(text, key)}"
    if missing := re.search(r"missing required field `(.+)`", problem):
        dotted = f"{key}.{missing[1]}".lstrip(".")
        raise error_type(f"{place}: `{dotted}` is missing", _REFERENCE, code="missing-key")
    expected = re.match(r"Expected `(\w+)", problem)
    remedy = _REMEDIES.get(expected[1], _REFERENCE) if expected else _REFERENCE
    raise error_type(f"{place}: `{key}`: {_lower(problem)}", remedy)


def suggest_nearest(word: str, known_words: list[str], plural_label: str) -> str:
    """Return a hint that names the nearest known word, or all of them if none is near."""
    near = get_close_matches(word, known_words, 1)
    return f"did you mean `{near[0]}`?" if near else f"the {plural_label} are: {', '.join(known_words)}"


def _find_unknown_names(data: Any, kind: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield key, problem and hint of each key that `kind` does not have, and of each word that it does not permit."""
    if isinstance(kind, UnionType):
        kind = next(member for member in get_args(kind) if member is not NoneType)
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        if isinstance(data, str) and data not in inner:
            yield key, f"is `{data}`", suggest_nearest(data, list(inner), "words here")
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from _find_unknown_names(item, inner[0] if inner else Any, f"{key}[{number}]")
    elif isinstance(data, dict):
        is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        kinds = {field.encode_name: field.type for field in msgspec.structs.fields(kind)} if is_struct else {}
        for name, value in data.items():
            dotted = f"{key}.{name}".lstrip(".")
            if is_struct and name not in kinds:
                yield dotted, "is not a known key", suggest_nearest(name, list(kinds), "keys here")
            yield from _find_unknown_names(value, kinds.get(name, inner[-1] if inner else Any), dotted)


def _line(text: str, key: str) -> str:
    """Return the line of a key for a message; empty if it was not found."""
    seen: Counter[str] = Counter()
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = header[2]
            table = f"{name}[{seen[name]}]" if header[1] else name
            seen[name] += 1
            is_key = key in {name, table}
        else:
            name = line.partition("=")[0].strip(" \t\"'")
            full_name = f"{table}.{name}".lstrip(".")
            is_key = bool(name) and (key == full_name or key.startswith((f"{full_name}.", f"{full_name}[")))
        if is_key:
            return f", line {number}"
    return ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
