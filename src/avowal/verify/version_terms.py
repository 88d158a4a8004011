"""Check that each version permits what its text says: the bounds are enforced, and people read the text."""

from collections.abc import Iterator

import msgspec

from avowal.errors import TermsError
from avowal.policy.terms import compile_terms, parse_terms
from avowal.register.register import Version
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding


def check_version_terms(state: RegisterState) -> Iterator[Finding]:
    """Compile the text of each version once more, and compare the identity (B10)."""
    for version in state.register.versions():
        if not _means_its_text(version):
            sentence = (
                f"the bounds of version {version.number} are not those of its text, or of unknown rules"
            )
            yield Finding("version-terms-mismatch", sentence)


def _means_its_text(version: Version) -> bool:
    try:
        compiled = compile_terms(parse_terms(version.terms_text, f"version {version.number}"))
        recorded = version.compiled_terms
    except (TermsError, msgspec.MsgspecError):
        return False
    return compiled.identity == recorded.identity
