"""Sites that are made once per process, and copied for each test that changes them."""

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from support.site import Site

TEMPLATE_FOLDERS: list[Path] = []
"""The folders of these sites; the last one is that of this run."""


def make_once(make: Callable[..., Site]) -> Callable[..., Site]:
    """Run a function that makes a site once per arguments; other calls get a copy of its site."""
    templates: dict[tuple[object, ...], Path] = {}

    @functools.wraps(make)
    def copy_template(folder: Path, *arguments: object) -> Site:
        if arguments not in templates:
            template = Path(tempfile.mkdtemp(prefix="template-", dir=TEMPLATE_FOLDERS[-1]))
            make(template, *arguments)
            templates[arguments] = template
        shutil.copytree(
            templates[arguments], folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock")
        )
        return Site(folder)

    return copy_template
