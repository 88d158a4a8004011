"""`avowal policy publish`: publish the next version of the terms."""

from contextlib import closing
from typing import Annotated

import typer

from avowal.app.folder import find_folder, open_folder_register
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.draft_check import require_acknowledgement, require_no_placeholders
from avowal.change.publish import PublishOutcome, PublishResult, publish_version
from avowal.cli.options import AcknowledgeOption, DataFolderOption, JsonOption, create_app
from avowal.cli.output import (
    print_contract_result,
    print_differences,
    print_json,
    print_line,
    version_to_object,
)
from avowal.cli.text_table import create_console
from avowal.clock import utc_now
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.policy.describe import describe_witnesses

app = create_app()


@app.command("publish")
def publish_terms(
    accept_weaker: Annotated[
        bool, typer.Option("--accept-weaker", help="Publish although the new terms protect less.")
    ] = False,
    acknowledge: AcknowledgeOption = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Publish the folder's terms as the next version, from their `updated` day; or corrected documents of the last."""
    folder = find_folder(data)
    with closing(open_folder_register(data)) as register:
        draft = load_draft(find_terms_path(folder))
        require_no_placeholders(draft)
        versions = register.versions()
        require_acknowledgement(
            draft, acknowledge, register.prose_checks(versions[-1].number) if versions else []
        )
        with register.publication_lock():
            result = publish_version(register, draft, utc_now(), accept_weaker=accept_weaker)
        insufficient = find_insufficient_contracts(
            register, result.version.compiled_terms, result.version.effective_at.date()
        )
    if as_json:
        looser, stricter = map(describe_witnesses, (result.comparison.looser, result.comparison.stricter))
        changes = {"relation": result.comparison.relation, "looser": looser, "stricter": stricter}
        names = [processor.name for processor, _ in insufficient]
        print_json(
            {
                "outcome": result.outcome,
                **version_to_object(result.version),
                **changes,
                "deficient_processors": names,
            }
        )
        return
    print_line(_describe_result(result))
    console = create_console()
    print_differences("protects less, for data collected from then on", result.comparison.looser, console)
    print_differences("protects more, also for data collected before", result.comparison.stricter, console)
    for processor, comparison in insufficient:
        print_contract_result(processor.name, comparison, f"version {result.version.number}")


def _describe_result(result: PublishResult) -> str:
    version = result.version
    if result.outcome is PublishOutcome.UNCHANGED:
        return f"the terms and documents are those of version {version.number}: nothing was published"
    if result.outcome is PublishOutcome.CORRECTED:
        return f"the terms are those of version {version.number}: its corrected documents were recorded"
    since = f"{version.effective_at:%Y-%m-%d %H:%M} UTC"
    relation = result.comparison.relation
    return f"version {version.number} ({version.identity}) was published, and is in force from {since}: {relation}"
