"""`avowal policy history`: list the versions of the terms."""

from contextlib import closing

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line, version_to_object
from avowal.cli.text_table import TextTable, create_console
from avowal.clock import utc_now

app = create_app()


@app.command("history")
def list_versions(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """List the versions, when each took effect, and the languages of its documents."""
    with closing(open_folder_register(data)) as register:
        versions = register.versions()
        languages = [[page.language for page in register.documents(version.number)] for version in versions]
    if as_json:
        print_json(
            [
                {**version_to_object(version), "documents": document_languages}
                for version, document_languages in zip(versions, languages, strict=True)
            ]
        )
        return
    if not versions:
        print_line("no version is in force yet: `avowal policy adopt` adopts the first")
        return
    table = TextTable(
        "version", "in force from (UTC)", "published (UTC)", "documents", "identity", numbers=["version"]
    )
    for version, document_languages in zip(versions, languages, strict=True):
        scheduled = " (scheduled)" if version.effective_at > utc_now() else ""
        since = f"{version.effective_at:%Y-%m-%d %H:%M}{scheduled}"
        published = f"{version.published_at:%Y-%m-%d %H:%M}"
        table.add_row(version.number, since, published, ", ".join(document_languages), version.identity)
    table.print(create_console())
