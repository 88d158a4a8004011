"""Messages that ask recipients to delete a release that is recalled."""

import re
import smtplib
import ssl
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default

from avowal.disclose.loopback import LOOPBACK_HOSTS
from avowal.errors import InvalidInputError, RefusedError
from avowal.policy.terms import Terms
from avowal.register.releases import Release

SMTP_TIMEOUT_SECONDS = 30.0

MESSAGE_TEMPLATE = """\
On {released} (UTC) we released to {recipient} the package `{reference}`, on the ground `{ground}`.

We recall it: {reason}

Delete the package, and everything that was made of it, and tell us by answering this message that it is done. Its terms
of use say so; whoever holds the package finds the reference in its `manifest.json`, beside its hash:

    {manifest_hash}

{controller}
{contact}
"""


def send_message(message: bytes, recipient_address: str, mail_server: str) -> None:
    """Send a message through a mail server, with TLS unless the server is on this machine.

    Raises RefusedError if the server does not accept it.
    """
    host, _, port = mail_server.rpartition(":")
    host = host.strip("[]")
    try:
        with smtplib.SMTP(host, int(port), timeout=SMTP_TIMEOUT_SECONDS) as connection:
            if connection.has_extn("starttls") or host not in LOOPBACK_HOSTS:
                connection.starttls(context=ssl.create_default_context())
            connection.send_message(message_from_bytes(message, policy=default), to_addrs=[recipient_address])
    except (OSError, smtplib.SMTPException) as error:
        raise RefusedError(
            f"`{mail_server}` does not accept the message ({type(error).__name__})",
            "the release is recalled; tell its recipient yourself",
            code="delivery-failed",
        ) from None


def is_email_address(contact: str) -> bool:
    """Return whether a contact is an e-mail address."""
    return bool(re.fullmatch(r"[^\s@<>,;]+@[a-zA-Z0-9.-]+", contact))


def build_recall_message(release: Release, contact: str, reason: str, terms: Terms) -> bytes:
    """Return the message (RFC 5322). Raises InvalidInputError if a header cannot hold the contact."""
    message = EmailMessage()
    try:
        message["From"] = _format_address(terms.controller, terms.contact)
        message["To"] = _format_address(release.recipient, contact)
        message["Subject"] = f"Recall of the release {release.summary.reference}"
        message["Date"] = release.recalled_at
    except ValueError:
        raise InvalidInputError(
            "the contact cannot stand in a message",
            "the release is recalled: tell its recipient yourself",
            code="invalid-address",
        ) from None
    text = MESSAGE_TEMPLATE.format(
        recipient=release.recipient,
        reference=release.summary.reference,
        ground=release.summary.ground,
        manifest_hash=release.manifest_hash,
        released=f"{release.summary.released_at:%Y-%m-%d %H:%M}",
        reason=reason,
        controller=terms.controller,
        contact=terms.contact,
    )
    message.set_content(text)
    return message.as_bytes()


def _format_address(name: str, contact: str) -> str:
    """Return the address for a header: only the name if the contact is not an e-mail address."""
    user, _, host = contact.rpartition("@")
    return str(Address(name, user, host) if is_email_address(contact) else Address(name))
