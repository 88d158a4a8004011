"""Check that every journal that waits for the store is there, and undamaged."""

from collections.abc import Iterator
from pathlib import Path

from avowal.collect.journal import list_journals
from avowal.store.interface import Store, StoreRegistry
from avowal.verify.verification import Finding
from avowal.workspace.layout import JOURNALS_FOLDER


def check_journals(data_folder: Path, store: Store, registry: StoreRegistry) -> Iterator[Finding]:
    """Compare the journals that were noted with the files; journals may be loaded and removed meanwhile."""
    noted = registry.noted_journals()
    journals = list_journals(data_folder / JOURNALS_FOLDER)
    loaded = store.loaded_journals()
    for name in sorted((noted & registry.noted_journals()) - {journal.name for journal in journals} - loaded):
        yield Finding("journal-missing", f"the journal `{name}` is missing, which had acknowledged events")
    for journal in journals:
        try:
            if journal.is_damaged:
                yield Finding("journal-damaged", f"the journal `{journal.name}` is damaged")
            elif journal.name not in noted | loaded | registry.noted_journals() and not journal.is_empty:
                yield Finding("journal-unknown", f"the journal `{journal.name}` was not written by Avowal")
        except FileNotFoundError:  # loaded meanwhile
            continue
