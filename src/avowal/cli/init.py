"""`avowal init`: create a folder with settings and a default policy."""

from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from avowal.cli.options import create_app
from avowal.config import SETTINGS_FILE
from avowal.errors import RefusedError

DEFAULT_POLICY_FOLDER = resources.files("avowal.policy") / "defaults"

DEFAULT_POLICY_DATE = "2026-11-22"
"""The date in the default policy; it is replaced by the day on which a folder is created."""

app = create_app()


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="The folder; it is created if needed.")],
) -> None:
    """Create a folder with settings and a policy that is in force from today, as terms and as a document."""
    made = create_folder(folder)
    console = Console(highlight=False)
    for path in made:
        console.print(f"created {path}", markup=False)
    console.print(
        f"\nRead and edit them, then run: cd {folder} && avowal import /var/log/nginx/access.log*",
        markup=False,
    )


def create_folder(folder: Path) -> list[Path]:
    """Write the default settings and policy into a folder, and return the files.

    Raises RefusedError if one of them exists.
    """
    today = datetime.now(UTC).date().isoformat()
    policy = {
        folder / "policy" / file.name: file.read_text(encoding="utf-8").replace(DEFAULT_POLICY_DATE, today)
        for file in sorted(DEFAULT_POLICY_FOLDER.iterdir(), key=lambda file: file.name)
        if file.name.endswith((".toml", ".md"))
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
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    return list(files)
