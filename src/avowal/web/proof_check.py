"""`/privacy/check`: a page that checks receipts and proofs in the browser, and sends nothing of them."""

from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.http.headers import PAGE_SCRIPT_HEADERS, SCRIPT_PAGE_HEADERS
from avowal.http.language_choice import negotiate_language
from avowal.policy.page import render_template
from avowal.web.policy_pages import PolicyPages, RenderedPage
from avowal.web.policy_routes import PROOF_CHECK_PATH, respond_with_page

PROOF_CHECK_SCRIPT_PATH = f"{PROOF_CHECK_PATH}.js"


@dataclass(frozen=True)
class ProofCheckRoutes:
    """Gives the page, with the ledger's public key, and its script."""

    policy_pages: PolicyPages
    verifier: str

    def routes(self) -> list[Route]:
        """Return the addresses."""
        return [
            Route(PROOF_CHECK_PATH, self.show_page, methods=["GET"]),
            Route(PROOF_CHECK_SCRIPT_PATH, self.send_script, methods=["GET"]),
        ]

    async def show_page(self, request: Request) -> Response:
        """Give the page, in the language that is asked for."""
        return await respond_with_page(request, self._made, headers=SCRIPT_PAGE_HEADERS)

    async def send_script(self, _: Request) -> Response:
        """Give what checks."""
        text = resources.files("avowal.web") / "assets" / "proof_check.js"
        return Response(
            text.read_text(encoding="utf-8"), headers=PAGE_SCRIPT_HEADERS, media_type="text/javascript"
        )

    def _made(self, asked: str) -> RenderedPage:
        language = negotiate_language(asked, self.policy_pages.languages() or ["en"])
        return RenderedPage(
            render_template(
                "proof_check.html",
                language,
                package="avowal.web",
                verifier=self.verifier,
                script=PROOF_CHECK_SCRIPT_PATH,
                languages=self.policy_pages.list_translations(PROOF_CHECK_PATH),
            ),
            language,
        )
