"""`/privacy/check`: a page that checks receipts and proofs in the browser, and sends nothing of them."""

from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.policy.page import rendered
from avowal.web.policy_pages import Page, Policy, chosen
from avowal.web.policy_routes import CHECK, SCRIPTED, given

SCRIPT = f"{CHECK}.js"


@dataclass(frozen=True)
class Checking:
    """Gives the page, with the ledger's public key, and its script."""

    policy: Policy
    verifier: str

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route(CHECK, self.page, methods=["GET"]),
            Route(SCRIPT, self.script, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """Give the page, in the language that is asked for."""
        return await given(request, self._made, headers=SCRIPTED)

    async def script(self, _: Request) -> Response:
        """Give what checks."""
        text = resources.files("avowal.web") / "assets" / "check.js"
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(text.read_text(encoding="utf-8"), headers=headers, media_type="text/javascript")

    def _made(self, asked: str) -> Page:
        language = chosen(asked, self.policy.languages() or ["en"])
        return Page(
            rendered(
                "check.html",
                language,
                room="avowal.web",
                verifier=self.verifier,
                script=SCRIPT,
                languages=self.policy.in_languages(CHECK),
            ),
            language,
        )
