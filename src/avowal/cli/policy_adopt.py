"""`avowal policy adopt`: put the first version of the terms in force."""

from contextlib import closing

from avowal.app.folder import find_folder, open_folder_register
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.draft_check import require_acknowledgement, require_no_placeholders
from avowal.change.publish import adopt_first_version
from avowal.cli.options import AcknowledgeOption, DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line, version_to_object
from avowal.clock import utc_now

app = create_app()


@app.command("adopt")
def adopt_terms(
    acknowledge: AcknowledgeOption = "", as_json: JsonOption = False, data: DataFolderOption = None
) -> None:
    """Put the folder's terms in force as the first version, from their `updated` day, which must be in the past."""
    folder = find_folder(data)
    with closing(open_folder_register(data)) as register:
        draft = load_draft(find_terms_path(folder))
        require_no_placeholders(draft)
        require_acknowledgement(draft, acknowledge, [])
        version = adopt_first_version(register, draft, utc_now())
    if as_json:
        print_json(version_to_object(version))
    else:
        print_line(f"version 1 ({version.identity}) is in force since {version.effective_at:%Y-%m-%d}")
        if version.published_at.date() > version.effective_at.date():
            print_line(f"  its page says that it was adopted on {version.published_at:%Y-%m-%d}")
