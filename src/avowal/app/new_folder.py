"""Create a folder with the default settings and policy."""

from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path

import msgspec

from avowal import strict
from avowal.config import SETTINGS_FILE
from avowal.errors import InvalidInputError, RefusedError

TERMS_FILE = "terms.toml"
POLICIES_FOLDER = resources.files("avowal.policy")
DEFAULT_POLICY_FOLDER = POLICIES_FOLDER / "defaults"
EXAMPLES_FOLDER = POLICIES_FOLDER / "examples"

DEFAULT_POLICY_DATE = "2026-11-22"
"""The date in the default policy; it is replaced by the day on which a folder is created."""


def create_folder(
    folder: Path, today: date, example: str = "", languages: Sequence[str] = ("en",)
) -> list[Path]:
    """Write the default settings and policy, or that of an example, into a folder, and return the files.

    The policy is in force from `today`, with a document in each of `languages`. Keys of data that was collected here
    before stay in use. Raises RefusedError if one of the files exists, and InvalidInputError if there is no such
    example or no document in a language; then nothing is written.
    """
    policy_folder = EXAMPLES_FOLDER / example if example else DEFAULT_POLICY_FOLDER
    if example and example not in list_examples():
        raise InvalidInputError(
            f"there is no example `{example}`",
            strict.suggest_nearest(example, list_examples(), "examples"),
            code="unknown-name",
        )
    names = [TERMS_FILE, *(f"privacy-policy.{language}.md" for language in languages)]
    available = {file.name for file in policy_folder.iterdir()}
    if missing := [name for name in names if name not in available]:
        have = sorted(name.split(".")[1] for name in available if name.endswith(".md"))
        raise InvalidInputError(
            f"there is no document in `{missing[0].split('.')[1]}` here",
            f"there are: {', '.join(have)}; write others yourself, and name them in `languages` of the terms",
            code="unknown-name",
        )
    policy = {
        folder / "policy" / name: (policy_folder / name)
        .read_text(encoding="utf-8")
        .replace(DEFAULT_POLICY_DATE, today.isoformat())
        .replace('languages = ["en"] ', f"languages = {msgspec.json.encode(languages).decode()} ", 1)
        for name in names
    }
    settings = (resources.files("avowal") / SETTINGS_FILE).read_text(encoding="utf-8")
    files = {folder / SETTINGS_FILE: settings, **policy}
    if existing := [path for path in files if path.exists()]:
        raise RefusedError(
            f"`{existing[0]}` exists, and nothing was changed",
            "choose another folder",
            code="file-exists",
        )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    earlier_keys, keys = folder / "data.keys", folder / "keys"
    if earlier_keys.is_dir() and not keys.exists():
        earlier_keys.rename(keys)
    keys.mkdir(mode=0o700, exist_ok=True)
    return list(files)


def list_examples() -> list[str]:
    """Return the names of the policies that come with Avowal besides the default one."""
    return sorted(folder.name for folder in EXAMPLES_FOLDER.iterdir())
