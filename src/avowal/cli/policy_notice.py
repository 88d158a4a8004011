"""`avowal policy notice`: show the notices of versions."""

from contextlib import closing
from datetime import date
from typing import Annotated, Any

import typer

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.register.notices import Notice, NoticeDisplay

app = create_app()


@app.command("notice")
def show_notices(
    language: Annotated[str, typer.Option(help="The language; the first of each notice unless given.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Show the notice of each version: what changes, when it is displayed, and where it was posted."""
    with closing(open_folder_register(data)) as register:
        found, displays = register.notices.all(), register.notices.displays()
    today, versions = utc_now().date(), dict[int, list[Notice]]()
    for one in found:
        versions.setdefault(one.version, []).append(one)
    if as_json:
        print_json([_notice_object(told, displays, today) for told in versions.values()])
        return
    for told in versions.values():
        one = next((one for one in told if one.language == language), told[0])
        state = "displayed now" if one.is_displayed(today) else "not displayed now"
        print_line(f"version {one.version}: {one.relation}")
        print_line(f"  displayed from {one.first_day} to {one.last_day} ({state})")
        for title, sentences in (
            ("only for data collected from then on", one.looser),
            ("also for data collected before", one.stricter),
        ):
            for sentence in sentences:
                print_line(f"  {title}: {sentence}")
        for display in displays:
            if display.version == one.version:
                print_line(
                    f"  shown since {display.recorded_at:%Y-%m-%d %H:%M} UTC, by your word: {display.location}"
                )
    if not found:
        print_line("there is no notice: there is only one version")


def _notice_object(told: list[Notice], displays: list[NoticeDisplay], today: date) -> dict[str, Any]:
    one = told[0]
    return {
        "version": one.version,
        "first_day": one.first_day,
        "last_day": one.last_day,
        "displayed": one.is_displayed(today),
        "languages": {
            one.language: {"relation": one.relation, "looser": one.looser, "stricter": one.stricter}
            for one in told
        },
        "shown": [display for display in displays if display.version == one.version],
    }
