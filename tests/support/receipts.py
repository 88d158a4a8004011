"""Changes of receipts, none of which may pass."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any


class Members(list[tuple[str, Any]]):
    """The members of a JSON object, which may have one name twice."""


def dump(node: Any) -> str:
    """Return the JSON of a value whose objects are `Members`."""
    if isinstance(node, Members):
        return "{" + ", ".join(f"{json.dumps(name)}: {dump(value)}" for name, value in node) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(dump, node)) + "]"
    return json.dumps(node)


def yield_receipt_changes(text: str) -> Iterator[tuple[str, str]]:
    """Yield a description of each single change of a receipt, with the changed receipt.

    Each value is changed, each member left out, exchanged for another name, or written twice, and members and elements
    are added.
    """
    receipt = json.loads(text, object_pairs_hook=Members)
    for description in _change(receipt, lambda _: None, ""):
        yield description, dump(receipt)
    yield "text after it", f"{text}{{}}"
    yield "itself twice", text * 2


def _change(node: Any, replace: Callable[[Any], None], path: str) -> Iterator[str]:
    """Change a value in place in each way, yield after each change, and undo it."""
    if isinstance(node, Members):
        yield from _change_members(node, path)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _change(value, partial(node.__setitem__, index), f"{path}/{index}")
        node.append(node[0] if node else "forged")
        yield f"{path}: an element more"
        node.pop()
    else:
        replace(change_value(node))
        yield f"{path}: another value"
        replace(node)


def _change_members(members: Members, path: str) -> Iterator[str]:
    for index, (name, value) in enumerate(list(members)):
        place = f"{path}/{name}"
        yield from _change(value, partial(_set_value, members, index, name), place)
        del members[index]
        yield f"{place}: left out"
        members.insert(index, (f"{name}_", value))
        yield f"{place}: of another name"
        members[index] = (name, value)
        for at in (index, index + 1):
            members.insert(at, (name, "forged"))
            yield f"{place}: twice"
            del members[at]
    for name in ("note", "__proto__", "constructor", ""):
        members.append((name, "forged"))
        yield f"{path}: a member `{name}` more"
        members.pop()


def _set_value(members: Members, index: int, name: str, value: Any) -> None:
    members[index] = (name, value)


def change_value(value: Any) -> Any:
    """Return another value of the same type."""
    if value is None or isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return change_middle_character(value) if value else f"{value}x"


def change_middle_character(text: str) -> str:
    """Return a text with its middle character replaced by another of its kind."""
    middle = len(text) // 2
    replacement = (
        "1" if text[middle] == "0" else "0" if text[middle].isdigit() else "b" if text[middle] == "a" else "a"
    )
    return text[:middle] + replacement + text[middle + 1 :]
