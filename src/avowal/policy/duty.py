"""The duties of bounds by name, as versions are compared by them: those of `[duties]`, of grounds and of forms.

Owing more of a duty is more protective (B6). The rules B6, B8 and B9 are in `docs/spec/terms.md`.
"""

from typing import NamedTuple

from avowal.policy.bounds import Bounds

EVIDENCE, APPROVALS, CLOSED = "needs", "approvals", "closed"
WITHHOLDS, HEEDS = "withholds", "heeds"
_FORM = "form"


class DutyName(NamedTuple):
    """The parts of a duty's name: of a ground or a form what is owed, and the word that this is about, if any."""

    subject: str
    kind: str
    word: str = ""


def parse_duty_name(name: str) -> DutyName:
    """Return the parts of a duty's name; of one of `[duties]`, an empty subject and its name as the kind.

    >>> parse_duty_name("instrument needs issuer"), parse_duty_name("form order withholds message").subject
    (DutyName(subject='instrument', kind='needs', word='issuer'), 'order')
    """
    words = name.removeprefix(f"{_FORM} ").split(" ")
    return DutyName(words[0], words[1], "".join(words[2:])) if len(words) > 1 else DutyName("", name)


def find_duty_differences(old: Bounds, new: Bounds) -> list[tuple[str, int, int]]:
    """Return every duty of which two bounds owe different amounts, with the old and the new amount.

    A ground that opens or closes is one difference, which stands for all its evidence and approvals. So is each
    category of a form that others need now and did not before, or the other way round.
    """
    owed = [
        (name, old.duties.get(name, 0), new.duties.get(name, 0))
        for name in sorted(old.duties.keys() | new.duties.keys())
    ]
    for ground in sorted(old.grounds.keys() | new.grounds.keys()):
        owed += _list_ground_duties(old, new, ground)
    for form in sorted(old.form_needs.keys() | new.form_needs.keys()):
        owed += _list_form_duties(old, new, form)
    return [(duty, before, after) for duty, before, after in owed if before != after]


def _list_ground_duties(old: Bounds, new: Bounds, ground: str) -> list[tuple[str, int, int]]:
    """Return the amounts of each duty of a ground that is open in one of two bounds at least (B8)."""
    before, after = old.grounds.get(ground), new.grounds.get(ground)
    if before is None or after is None:
        return [(f"{ground} {CLOSED}", int(before is None), int(after is None))]
    kinds = before.merge(after).evidence
    return [
        *(
            (f"{ground} {EVIDENCE} {kind}", int(kind in before.evidence), int(kind in after.evidence))
            for kind in kinds
        ),
        (f"{ground} {APPROVALS}", before.approvals, after.approvals),
    ]


def _list_form_duties(old: Bounds, new: Bounds, form: str) -> list[tuple[str, int, int]]:
    """Return the amounts of each duty of a form that others need something of in one of two bounds at least (B9)."""
    before, after = old.form_needs.get(form), new.form_needs.get(form)
    needed = (before.categories if before else frozenset()), (after.categories if after else frozenset())
    duties = [
        (
            f"{_FORM} {form} {WITHHOLDS} {category}",
            int(category not in needed[0]),
            int(category not in needed[1]),
        )
        for category in sorted(needed[0] | needed[1])
    ]
    if before and after:
        duties += [
            (
                f"{_FORM} {form} {HEEDS} {purpose}",
                int(purpose in before.purposes),
                int(purpose in after.purposes),
            )
            for purpose in sorted(before.purposes | after.purposes)
        ]
    return duties
