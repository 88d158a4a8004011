"""`/privacy/check`: a page that checks receipts and proofs in the browser, without sending them anywhere."""

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
    """Sends the page and its script."""

    policy_pages: PolicyPages
    verifier_key: str
    """The ledger's public key."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(PROOF_CHECK_PATH, self.show_page, methods=["GET"]),
            Route(PROOF_CHECK_SCRIPT_PATH, self.send_script, methods=["GET"]),
        ]

    async def show_page(self, request: Request) -> Response:
        """Show the page."""
        return await respond_with_page(request, self._render, headers=SCRIPT_PAGE_HEADERS)

    async def send_script(self, _: Request) -> Response:
        """Send the script that checks."""
        text = resources.files("avowal.web") / "assets" / "proof_check.js"
        return Response(
            text.read_text(encoding="utf-8"), headers=PAGE_SCRIPT_HEADERS, media_type="text/javascript"
        )

    def _render(self, accept_language: str) -> RenderedPage:
        language = negotiate_language(accept_language, self.policy_pages.languages() or ["en"])
        page = render_template(
            "proof_check.html",
            language,
            package="avowal.web",
            verifier_key=self.verifier_key,
            script_path=PROOF_CHECK_SCRIPT_PATH,
            languages=self.policy_pages.list_translations(PROOF_CHECK_PATH),
        )
        return RenderedPage(page, language)
