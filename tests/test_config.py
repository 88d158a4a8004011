from pathlib import Path

import pytest

from avowal.config import Settings, locate_folder, read_settings
from support.errors import raises_code


def write_settings(folder: Path, text: str) -> Path:
    path = folder / "avowal.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        '[site]\ntimezone = "Middle/Earth"',
        '[site]\nday_start = "4:00"',
        '[store]\nmemory_limit = "much"',
        "[collect]\nvisit_gap_minutes = 0",
        "[collect]\nvisit_gap_minutes = 1441",
        '[serve]\nallowed_origins = ["example.org"]',
        '[serve]\nsyslog_address = "5140"',
        '[serve]\ntrusted_proxies = ["10.0.0.0/33"]',
        '[serve]\nbase_path = "stats"',
        '[serve]\nbase_path = "/stats/"',
        '[serve]\nbase_path = "/"',
        '[serve]\nbase_path = "/a//b"',
        '[serve]\nbase_path = "/a?b"',
        '[serve]\nbase_path = "/../b"',
        '[mail]\nsmtp_server = "mail"',
        '[probe]\nurls = ["ftp://example.org/"]',
        "[query]\nmax_rows = 0",
        '[[feed]]\nprocessor = "a"\ndestination = "b"\ninterval_seconds = 0',
    ],
)
def test_a_value_that_is_not_valid_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file, the setting and the value, and has a hint."""
    key = text.splitlines()[-1].partition(" = ")[0]
    with raises_code("invalid-setting") as error_info:
        read_settings(write_settings(tmp_path, text))
    assert f".{key}`" in error_info.value.message
    assert error_info.value.message.startswith(str(tmp_path))
    assert error_info.value.hint


def test_a_probe_timeout_must_not_exceed_the_interval(tmp_path: Path) -> None:
    """A probe time-out that is longer than the interval is refused."""
    with raises_code("conflicting-options"):
        read_settings(write_settings(tmp_path, "[probe]\ninterval_seconds = 5\ntimeout_seconds = 6"))


def test_an_empty_file_has_the_defaults(tmp_path: Path) -> None:
    """An empty settings file gives the default settings, and so does a missing one."""
    assert read_settings(write_settings(tmp_path, "")) == Settings()
    (tmp_path / "avowal.toml").unlink()
    assert locate_folder(tmp_path, None, {}).settings == Settings()


def test_the_data_folder_comes_from_argument_environment_or_setting(tmp_path: Path) -> None:
    """The argument takes precedence over the environment, and that over the setting; the keys folder follows."""
    write_settings(tmp_path, 'data_folder = "mine"\nkeys_folder = "secret"')
    inside = tmp_path / "some" / "folder"
    for argument, environment, data, keys in (
        (None, {}, "mine", "secret"),
        (None, {"AVOWAL_DATA": str(tmp_path / "theirs")}, "theirs", "theirs.keys"),
        (tmp_path / "other", {"AVOWAL_DATA": "theirs"}, "other", "other.keys"),
        (tmp_path / "mine", {}, "mine", "secret"),
    ):
        folder = locate_folder(inside, argument, environment)
        assert (folder.data_folder, folder.keys_folder) == (tmp_path / data, tmp_path / keys)
        assert folder.policy_folder == tmp_path / "policy"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('[site]\nhost = "Bücher.Example."', "xn--bcher-kva.example"),
        ('[site]\nhost = "www.example.org:443"', "www.example.org"),
        ('[site]\nhost = "https://WWW.example.org/"', "www.example.org"),
        ('[site]\nother_hosts = ["Example.ORG/", "例子.測試"]', ("example.org", "xn--fsqu00a.xn--g6w251d")),
        (
            '[serve]\nallowed_origins = ["HTTPS://Bücher.example:443/", "http://a.example:8080"]',
            ("https://xn--bcher-kva.example", "http://a.example:8080"),
        ),
        ('[probe]\nurls = ["https://Bücher.example/café"]', ("https://xn--bcher-kva.example/caf%C3%A9",)),
        ('[collect]\nstatic_paths = ["/café/*", "/%7euser/*"]', ("/caf%C3%A9/*", "/~user/*")),
        ('[collect]\nupload_paths = ["/caf%c3%a9"]', ("/caf%C3%A9",)),
    ],
)
def test_names_are_written_as_they_are_compared(tmp_path: Path, text: str, value: object) -> None:
    """Hosts and paths have the form in which browsers and servers send them, so that they can match."""
    section, key = text.replace("[", "").replace("]", " ").split()[:2]
    settings = read_settings(write_settings(tmp_path, text))
    assert getattr(getattr(settings, section), key) == value


@pytest.mark.parametrize(
    "text",
    [
        '[site]\nhost = "example.org/shop"',
        '[site]\nhost = "user@example.org"',
        '[site]\nhost = "two words"',
        '[site]\nother_hosts = ["-"]',
        '[collect]\nstatic_paths = ["images/*"]',
        '[collect]\nupload_paths = ["https://example.org/upload"]',
        '[collect]\nstatic_paths = ["/a#b"]',
        '[collect]\nstatic_extensions = ["*.css"]',
        '[collect]\ndownload_extensions = ["tar.gz"]',
        '[serve]\nallowed_origins = ["https://example.org/page"]',
        '[serve]\ntrusted_proxies = ["::ffff:10.0.0.0/104"]',
    ],
)
def test_a_value_that_can_never_match_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing that a browser or a server sends equals it."""
    with raises_code("invalid-setting"):
        read_settings(write_settings(tmp_path, text))
