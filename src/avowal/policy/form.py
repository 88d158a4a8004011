"""Forms: the categories of the fields that visitors submit. Terms declare them under `[[form]]`.

The fields of a form are not part of the bounds of a version: whatever is submitted is limited to what the version in
force collects. So they can change without a new version, as long as they are of categories that are collected. What
others need to provide what a form asks for is part of the bounds (B9 in `docs/spec/terms.md`).
"""

import re
from collections.abc import Sequence

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.bounds import CompiledTerms, FormNeeds
from avowal.policy.vocabulary import Vocabulary, WordKind

SUBMISSION_TIME_CATEGORY = "submission-time"
FILE_CATEGORY = "uploaded-file"
SUBMISSION_CATEGORY = "submission"

BYTES_BY_UNIT = {"kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
DEFAULT_FILE_SIZE_LIMIT = "10 MB"
FIELDS_MAX = 100
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


class Form(msgspec.Struct, frozen=True):
    """A form that visitors submit: `POST /submit/NAME`."""

    name: str
    fields: dict[str, str]
    """The category of each field."""
    purposes: list[str] = msgspec.field(name="for")
    required_fields: list[str] = msgspec.field(name="required", default_factory=list)
    media_types: list[str] = msgspec.field(name="types", default_factory=list)
    """The media types that files may have; empty if no field is a file."""
    file_size_limit: str = msgspec.field(name="largest", default=DEFAULT_FILE_SIZE_LIMIT)
    """The largest size of a file, such as `10 MB`."""
    needed_categories: list[str] = msgspec.field(name="needs", default_factory=list)
    """The categories, or their parents, that others need to provide what the form asks for."""

    @property
    def categories(self) -> list[str]:
        """The categories of its fields, and that of the submission time."""
        return sorted({*self.fields.values(), SUBMISSION_TIME_CATEGORY})

    @property
    def file_fields(self) -> list[str]:
        """The names of its fields that are files."""
        return [name for name, category in self.fields.items() if category == FILE_CATEGORY]

    @property
    def file_bytes_max(self) -> int:
        """The largest size of a file, in bytes."""
        number, _, unit = self.file_size_limit.partition(" ")
        return int(number) * BYTES_BY_UNIT[unit]

    def find_uncollected_categories(self, collected_categories: Sequence[str]) -> list[str]:
        """Return the categories of its fields that are not collected."""
        return [category for category in self.categories if category not in collected_categories]


def compile_form_needs(forms: Sequence[Form], vocabulary: Vocabulary) -> dict[str, FormNeeds]:
    """Return what others may receive of the submissions of each form; a form that names nothing is absent."""
    return {
        form.name: FormNeeds(
            frozenset(_expand(vocabulary, "categories", form.needed_categories)),
            frozenset(_expand(vocabulary, "purposes", form.purposes)),
        )
        for form in forms
        if form.needed_categories
    }


def _expand(vocabulary: Vocabulary, kind: WordKind, words: Sequence[str]) -> set[str]:
    return {leaf for word in words for leaf in vocabulary.expand(kind, word)}


def check_forms(forms: Sequence[Form], compiled_terms: CompiledTerms, vocabulary: Vocabulary) -> None:
    """Check that each form asks only for what is collected for its purposes. Raises TermsError with the key."""
    for number, form in enumerate(forms):
        _check(f"form[{number}]", form, compiled_terms, vocabulary)
    if len({form.name for form in forms}) < len(forms):
        raise TermsError("`form` names one form twice", "write one [[form]] for each", code="duplicate-name")


def _check(key: str, form: Form, compiled: CompiledTerms, vocabulary: Vocabulary) -> None:
    if not _NAME.fullmatch(form.name):
        hint = "use lower case, digits and `-`, as in the address `/submit/contact`"
        raise TermsError(f"`{key}.name` is `{form.name}`, which is not a form's name", hint)
    if not 0 < len(form.fields) <= FIELDS_MAX:
        raise TermsError(f"`{key}.fields` has {len(form.fields)} fields", f"write 1 to {FIELDS_MAX}")
    for name, category in form.fields.items():
        _check_field(f"{key}.fields.{name}", name, category, vocabulary)
    for name in form.required_fields:
        if name not in form.fields:
            hint = strict.suggest_nearest(name, list(form.fields), "fields of the form")
            raise TermsError(f"`{key}.required` is `{name}`, which is not a field of it", hint)
    for word in form.needed_categories:
        if not vocabulary.expand("categories", word):
            hint = vocabulary.suggest_word("categories", word)
            raise TermsError(
                f"`{key}.needs` is `{word}`, which is not one of the categories", hint, code="unknown-name"
            )
    _check_files(key, form)
    _check_collected(key, form, compiled, vocabulary)


def _check_collected(key: str, form: Form, compiled: CompiledTerms, vocabulary: Vocabulary) -> None:
    for purpose in form.purposes:
        if not vocabulary.expand("purposes", purpose):
            hint = vocabulary.suggest_word("purposes", purpose)
            raise TermsError(
                f"`{key}.for` is `{purpose}`, which is not one of the purposes", hint, code="unknown-name"
            )
    purposes = _expand(vocabulary, "purposes", form.purposes)
    if not purposes:
        raise TermsError(f"`{key}.for` is empty", vocabulary.suggest_word("purposes", ""))
    for category in form.categories:
        if missing := sorted(purposes - {*compiled.collection_purposes(category)}):
            raise TermsError(
                f"`{key}` asks for `{category}`, which is not collected for {missing[0]}",
                f'declare it: a [[collect]] with `categories = ["{category}"]` and `for = ["{missing[0]}"]`',
                code="not-collected",
            )


def _check_field(key: str, name: str, category: str, vocabulary: Vocabulary) -> None:
    if not _FIELD.fullmatch(name):
        hint = "use a letter, and then letters, digits, `-` and `_`"
        raise TermsError(f"`{key}` is not a field's name", hint)
    fitting = [
        word
        for word in vocabulary.expand("categories", SUBMISSION_CATEGORY)
        if word != SUBMISSION_TIME_CATEGORY
    ]
    if category not in fitting:
        hint = strict.suggest_nearest(category, fitting, "categories of submissions")
        raise TermsError(f"`{key}` is `{category}`, which visitors do not submit by a form", hint)


def _check_files(key: str, form: Form) -> None:
    if bool(form.file_fields) is not bool(form.media_types):
        hint = 'name the accepted media types, as in `types = ["application/pdf"]`'
        raise TermsError(f"`{key}` has fields for files without `types`, or the other way round", hint)
    for kind in form.media_types:
        if not _TYPE.fullmatch(kind):
            raise TermsError(
                f"`{key}.types` is `{kind}`, which is not a media type", "write one such as `image/png`"
            )
    if not re.fullmatch(rf"[1-9]\d{{0,5}} ({'|'.join(BYTES_BY_UNIT)})", form.file_size_limit, re.ASCII):
        hint = f"write a whole number of {', '.join(BYTES_BY_UNIT)}, as in `{DEFAULT_FILE_SIZE_LIMIT}`"
        raise TermsError(f"`{key}.largest` is `{form.file_size_limit}`, which is not a size", hint)
