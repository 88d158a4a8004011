"""The message that tells a recipient to delete what was released to it."""

from email.headerregistry import Address
from email.message import EmailMessage

from avow.errors import MisuseError
from avow.keep.releases import Release
from avow.policy.terms import Terms

TEXT = """\
On {released} (UTC) we released to {recipient} the package `{reference}`, on the ground `{ground}`.

We recall it: {reason}

Delete the package, and everything that was made of it, and tell us by answering this message that it is done. Its terms
of use say so; whoever holds the package finds the reference in its `manifest.json`, beside its hash:

    {manifest}

{controller}
{contact}
"""


def notice(release: Release, contact: str, reason: str, terms: Terms) -> bytes:
    """Return the message (RFC 5322), ready to be sent. Raises MisuseError where a header cannot hold the contact."""
    message = EmailMessage()
    try:
        message["From"] = _address(terms.controller, terms.contact)
        message["To"] = _address(release.recipient, contact)
        message["Subject"] = f"Recall of the release {release.reference}"
        message["Date"] = release.recalled_at
    except ValueError:
        raise MisuseError("the contact cannot stand in a message", "tell the recipient yourself") from None
    told = {name: getattr(release, name) for name in ("recipient", "reference", "ground", "manifest")}
    released = f"{release.released_at:%Y-%m-%d %H:%M}"
    text = TEXT.format(
        **told, released=released, reason=reason, controller=terms.controller, contact=terms.contact
    )
    message.set_content(text)
    return message.as_bytes()


def _address(name: str, contact: str) -> str:
    """Return somebody as a header names them; an empty address where the contact is none of e-mail."""
    user, found, host = contact.rpartition("@")
    return str(Address(name, user, host)) if found and " " not in contact else f"{Address(name)!s}"
