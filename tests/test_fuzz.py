"""The inputs that fuzzing starts from are accepted: what is refused at once leads to no code behind the refusal."""

import sys
from pathlib import Path

import pytest

from avowal.app.verification import verify_entry
from avowal.disclose.package import check_package
from avowal.policy.document import parse_document
from avowal.policy.terms import compile_terms, parse_terms
from support.ledgers import SIGNER
from support.packages import NOW

FUZZ = Path(__file__).parent.parent / "fuzz"


@pytest.fixture(scope="module")
def seeds() -> dict[str, list[bytes]]:
    sys.path.insert(0, str(FUZZ))
    try:
        from seeds import SEEDS
    finally:
        sys.path.remove(str(FUZZ))
    return dict(SEEDS)


def test_what_is_signed_is_accepted(seeds: dict[str, list[bytes]], tmp_path: Path) -> None:
    """The receipt and the package that fuzzing changes are valid."""
    for receipt in seeds["receipt"]:
        verify_entry(receipt.decode(), SIGNER.verifier)
    for package in seeds["package"]:
        (tmp_path / "package").write_bytes(package)
        check_package(tmp_path / "package", SIGNER.verifier, NOW)


def test_policies_are_accepted(seeds: dict[str, list[bytes]]) -> None:
    """The terms and documents that fuzzing changes are valid."""
    for terms in seeds["terms"]:
        compile_terms(parse_terms(terms.decode(), "terms.toml"))
    for document in seeds["document"]:
        parse_document(document.decode(), "document.md")
