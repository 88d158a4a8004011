"""Forms: which of a form's fields has which category; terms declare them under `[[form]]`.

A form is a way in, and no promise: whatever comes in by it is bounded by what the version in force collects. So a form
can be changed without a new version, as long as its fields stay within the categories that are collected.
"""

import re
from collections.abc import Sequence

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.bounds import Compiled
from avowal.policy.vocabulary import Vocabulary

TIME = "submission-time"
FILE = "uploaded-file"
PARENT = "submission"

SIZES = {"kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
LARGEST = "10 MB"
FIELDS_MAX = 100
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


class Form(msgspec.Struct, frozen=True):
    """A form that visitors hand something over by: `POST /submit/NAME`."""

    name: str
    fields: dict[str, str]
    """The category of each field."""
    purposes: list[str] = msgspec.field(name="for")
    required: list[str] = []
    types: list[str] = []
    """The media types that files may have; none where there is no field for files."""
    largest: str = LARGEST
    """How large each file may be."""
    needs: list[str] = []
    """What somebody else has to have for what is asked by it: categories, or their parents."""

    @property
    def categories(self) -> list[str]:
        """The categories of its fields, and the time."""
        return sorted({*self.fields.values(), TIME})

    @property
    def files(self) -> list[str]:
        """Its fields for files."""
        return [name for name, category in self.fields.items() if category == FILE]

    @property
    def bytes_max(self) -> int:
        """How large each file may be, in bytes."""
        number, _, unit = self.largest.partition(" ")
        return int(number) * SIZES[unit]

    def uncollected(self, kept: Sequence[str]) -> list[str]:
        """Return the categories that it asks for, and that are not among those collected."""
        return [category for category in self.categories if category not in kept]


def check_forms(forms: Sequence[Form], compiled: Compiled, words: Vocabulary) -> None:
    """Raise TermsError with the key that is wrong: each form asks for what is collected for its purposes."""
    for number, form in enumerate(forms):
        _check(f"form[{number}]", form, compiled, words)
    if len({form.name for form in forms}) < len(forms):
        raise TermsError("`form` names one form twice", "write one [[form]] for each")


def _check(key: str, form: Form, compiled: Compiled, words: Vocabulary) -> None:
    if not _NAME.fullmatch(form.name):
        hint = "use lower case, digits and `-`, as in the address `/submit/contact`"
        raise TermsError(f"`{key}.name` is `{form.name}`, which is no form's name", hint)
    if not 0 < len(form.fields) <= FIELDS_MAX:
        raise TermsError(f"`{key}.fields` has {len(form.fields)} fields", f"write 1 to {FIELDS_MAX}")
    for name, category in form.fields.items():
        _check_field(f"{key}.fields.{name}", name, category, words)
    for name in form.required:
        if name not in form.fields:
            hint = strict.nearest(name, list(form.fields), "fields of the form")
            raise TermsError(f"`{key}.required` is `{name}`, which is no field of it", hint)
    for word in form.needs:
        if not words.leaves("categories", word):
            hint = words.nearest("categories", word)
            raise TermsError(f"`{key}.needs` is `{word}`, which is none of the categories", hint)
    _check_files(key, form)
    _check_collected(key, form, compiled, words)


def _check_collected(key: str, form: Form, compiled: Compiled, words: Vocabulary) -> None:
    for purpose in form.purposes:
        if not words.leaves("purposes", purpose):
            hint = words.nearest("purposes", purpose)
            raise TermsError(f"`{key}.for` is `{purpose}`, which is none of the purposes", hint)
    purposes = {leaf for purpose in form.purposes for leaf in words.leaves("purposes", purpose)}
    if not purposes:
        raise TermsError(f"`{key}.for` is empty", words.nearest("purposes", ""))
    for category in form.categories:
        if missing := sorted(purposes - {*compiled.purposes(category)}):
            raise TermsError(
                f"`{key}` asks for `{category}`, which is not collected for {missing[0]}",
                f'declare it: a [[collect]] with `categories = ["{category}"]` and `for = ["{missing[0]}"]`',
            )


def _check_field(key: str, name: str, category: str, words: Vocabulary) -> None:
    if not _FIELD.fullmatch(name):
        hint = "use a letter, and then letters, digits, `-` and `_`"
        raise TermsError(f"`{key}` is no field's name", hint)
    fitting = [word for word in words.leaves("categories", PARENT) if word != TIME]
    if category not in fitting:
        hint = strict.nearest(category, fitting, "categories of what is handed over")
        raise TermsError(f"`{key}` is `{category}`, which nobody hands over by a form", hint)


def _check_files(key: str, form: Form) -> None:
    if bool(form.files) is not bool(form.types):
        hint = 'name the media types that are taken, as in `types = ["application/pdf"]`'
        raise TermsError(f"`{key}` has fields for files without `types`, or the other way round", hint)
    for kind in form.types:
        if not _TYPE.fullmatch(kind):
            raise TermsError(
                f"`{key}.types` is `{kind}`, which is no media type", "write one such as `image/png`"
            )
    if not re.fullmatch(rf"[1-9]\d{{0,5}} ({'|'.join(SIZES)})", form.largest, re.ASCII):
        hint = f"write a whole number of {', '.join(SIZES)}, as in `{LARGEST}`"
        raise TermsError(f"`{key}.largest` is `{form.largest}`, which is no size", hint)
