"""The draft of a version: the terms of a folder and the documents beside them; and how the first one begins."""

from importlib import resources
from pathlib import Path

from avowal import strict
from avowal.change.publish import VersionDraft, adopt_first_version
from avowal.clock import utc_now
from avowal.config import Folder
from avowal.errors import RefusedError, TermsError
from avowal.policy.document import Document, load_document
from avowal.policy.form import Form
from avowal.policy.terms import load_terms
from avowal.register.register import Register

TERMS_FILE = "terms.toml"


def find_terms_path(folder: Folder) -> Path:
    """Return where the folder's terms are: those that come with Avowal where no folder was made."""
    if folder.policy_folder is not None:
        return folder.policy_folder / TERMS_FILE
    return Path(str(resources.files("avowal.policy") / "defaults" / TERMS_FILE))


def load_forms(folder: Folder) -> dict[str, Form]:
    """Return the forms that the folder's terms declare, by name. Raises TermsError where these do not check."""
    return {form.name: form for form in load_terms(find_terms_path(folder)).forms}


def load_draft(path: Path) -> VersionDraft:
    """Read terms and the documents beside them, as they would be promised. Raises TermsError where one is wrong."""
    return VersionDraft(load_terms(path), strict.read_text(path, TermsError), load_documents(path))


def load_documents(terms_file: Path) -> dict[str, Document]:
    """Return the documents beside a file of terms, by language. Raises TermsError where one does not check."""
    found: dict[str, Document] = {}
    for path in sorted(terms_file.parent.glob("*.md")):
        document = load_document(path)
        if document.language in found:
            raise TermsError(
                f"{path}: there are two documents in `{document.language}`",
                "keep one for each language",
                code="duplicate-document",
            )
        found[document.language] = document
    return found


def adopt_first_version_if_none(register: Register, folder: Folder) -> None:
    """Adopt the folder's terms, where there is no version yet: whoever collects first does so."""
    if register.versions():
        return
    try:
        adopt_first_version(register, load_draft(find_terms_path(folder)), utc_now())
    except RefusedError:  # unless another process did so at this moment
        if not register.versions():
            raise
