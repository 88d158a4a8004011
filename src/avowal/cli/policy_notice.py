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
    language: Annotated[
        str, typer.Option(help="The language; the first one of each notice unless given.")
    ] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Show the notice of each version: what changes, when it is displayed, and where it was posted."""
    with closing(open_folder_register(data)) as register:
        notices, displays = register.notices.all(), register.notices.displays()
    today, by_version = utc_now().date(), dict[int, list[Notice]]()
    for notice in notices:
        by_version.setdefault(notice.version, []).append(notice)
    if as_json:
        print_json(
            [_notices_to_object(translations, displays, today) for translations in by_version.values()]
        )
        return
    for translations in by_version.values():
        notice = next((notice for notice in translations if notice.language == language), translations[0])
        state = "displayed now" if notice.is_displayed(today) else "not displayed now"
        print_line(f"version {notice.version}: {notice.relation}")
        print_line(f"  displayed from {notice.first_day} to {notice.last_day} ({state})")
        for title, sentences in (
            ("only for data collected from then on", notice.looser),
            ("also for data collected before", notice.stricter),
        ):
            for sentence in sentences:
                print_line(f"  {title}: {sentence}")
        for display in displays:
            if display.version == notice.version:
                print_line(
                    f"  posted by {display.recorded_at:%Y-%m-%d %H:%M} UTC, by your statement: {display.location}"
                )
    if not notices:
        print_line("there is no notice, as there is only one version")


def _notices_to_object(
    translations: list[Notice], displays: list[NoticeDisplay], today: date
) -> dict[str, Any]:
    """Return the object that `--json` prints of a version's notice in all its languages."""
    first = translations[0]
    return {
        "version": first.version,
        "first_day": first.first_day,
        "last_day": first.last_day,
        "displayed": first.is_displayed(today),
        "languages": {
            notice.language: {
                "relation": notice.relation,
                "looser": notice.looser,
                "stricter": notice.stricter,
            }
            for notice in translations
        },
        "shown": [display for display in displays if display.version == first.version],
    }
