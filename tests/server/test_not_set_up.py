"""A server without a version in force tells what to do, collects nothing, and goes on when terms are adopted."""

from pathlib import Path

from support.running_server import RunningServer, free_port, is_answering
from support.site import Site, fill_placeholders, wait_until


def test_a_server_in_an_empty_folder_collects_nothing_until_terms_are_adopted(tmp_path: Path) -> None:
    """Pages say how to put terms into force, in three languages; the template is never in force by itself."""
    site, port = Site(tmp_path), free_port()
    with site.start("serve", "--port", str(port)) as command:
        server = RunningServer(site, port, command)
        wait_until(lambda: is_answering(server), "the server answers")
        for language, word in (
            ("en", "nothing is collected"),
            ("pt", "nada é coletado"),
            ("zh-TW", "不蒐集"),
        ):
            for path in ("/privacy/", "/privacy/history", "/elsewhere"):
                answer = server.request(
                    "GET", path, headers={"Accept": "text/html", "Accept-Language": language}
                )
                assert answer.status == 503
                assert word in answer.body.decode()
                assert "avowal policy adopt" in answer.body.decode()
        assert server.request("GET", "/privacy/terms.json").json()["code"] == "not-set-up"
        assert server.send_event().status == 204
        assert "nothing is collected yet" in command.read_output()
        assert site.avowal("policy", "history", "--json").json() == []
        terms = site.folder / "policy" / "terms.toml"
        terms.write_text(fill_placeholders(terms.read_text()))
        assert site.avowal("policy", "adopt").status == 0
        assert server.request("GET", "/privacy/").status == 200
        assert server.send_event(url="http://127.0.0.1/a").status == 202
        server.wait_for_rows("SELECT page_path FROM views", 1)
        server.stop()
