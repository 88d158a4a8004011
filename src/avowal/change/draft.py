"""Drafts of versions: the terms in a folder and the documents next to them; and the adoption of the first version.

A draft decides nothing until it is published: what is permitted and done depends on the versions in the register.
"""

from importlib import resources
from pathlib import Path

from avowal import strict
from avowal.change.draft_check import find_placeholders, require_acknowledgement
from avowal.change.publish import VersionDraft, adopt_first_version
from avowal.clock import utc_now
from avowal.config import Folder
from avowal.errors import RefusedError, TermsError
from avowal.policy.document import Document, load_document
from avowal.policy.terms import load_terms
from avowal.register.register import Register

TERMS_FILE = "terms.toml"


def find_terms_path(folder: Folder) -> Path:
    """Return the path of the folder's terms; that of the default terms if the folder has none."""
    if folder.policy_folder is not None:
        return folder.policy_folder / TERMS_FILE
    return Path(str(resources.files("avowal.policy") / "defaults" / TERMS_FILE))


def load_draft(path: Path) -> VersionDraft:
    """Load terms and the documents in their folder. Raises TermsError if one of them is not valid."""
    return VersionDraft(load_terms(path), strict.read_text(path, TermsError), load_documents(path))


def load_documents(terms_file: Path) -> dict[str, Document]:
    """Load the documents in the folder of a file of terms, by language. Raises TermsError if one is not valid."""
    documents: dict[str, Document] = {}
    for path in sorted(terms_file.parent.glob("*.md")):
        document = load_document(path)
        if document.language in documents:
            raise TermsError(
                f"{path}: there are two documents in `{document.language}`",
                "keep one for each language",
                code="duplicate-document",
            )
        documents[document.language] = document
    return documents


def adopt_first_version_if_none(register: Register, folder: Folder, *, adopt_template: bool) -> None:
    """Adopt the folder's terms as the first version, if there is none yet.

    Terms with placeholders of the template are adopted with `adopt_template` only: for a trial, not for a server.

    Raises RefusedError if their documents have findings, which nobody acknowledged.
    """
    if register.versions():
        return
    try:
        draft = load_draft(find_terms_path(folder))
        if not adopt_template and any(find_placeholders(draft)):
            return
        require_acknowledgement(draft, "", [])
        adopt_first_version(register, draft, utc_now())
    except RefusedError:  # another process may have adopted them at the same moment
        if not register.versions():
            raise
