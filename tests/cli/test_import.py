"""The command `avowal import`: what it stores, what it prints, and what it refuses."""

import bz2
import codecs
import gzip
import itertools
import lzma
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from avowal.app.session import TRIAL_MESSAGE
from support.site import CHROME, FIREFOX, GOOGLEBOT, NOON, Site, line, read_store

LINES = [line(minute, f"/page/{minute}", address=f"192.0.2.{minute % 5}") for minute in range(40)]
TEXT = "".join(LINES)
MARK = "marker7c1e"
"""Stands in lines whose text no message may repeat."""

NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent"'
)
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}
TIMED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent" $request_time'
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture
def other_site(tmp_path: Path) -> Site:
    """Give another folder, whose store a test compares with."""
    folder = tmp_path / "other"
    folder.mkdir()
    return Site(folder)


def test_json_accounts_for_every_line(site: Site) -> None:
    """`--json` prints one object, whose numbers are those of the log and add up to its lines."""
    log = site.log(
        "access.log",
        line(0, "/"),
        line(1, "/style.css"),
        line(2, "/paper.pdf"),
        line(3, "/next"),
        line(40, "/late"),
        line(0, "/", address="2001:db8::1", agent=CHROME),
        line(0, "/", agent=GOOGLEBOT),
        line(0, "/gone", status=404),
        "\n",
        "no line of a log\n",
    )
    report = site.import_logs(log, "--max-unparsable-percent", "100")
    assert list(report) == [
        "files",
        "format",
        "counts",
        "views",
        "visits",
        "duration_seconds",
        "missing_fields",
        "file_reports",
    ]
    assert (report["files"], report["format"], report["views"], report["visits"]) == (1, "combined", 4, 3)
    assert {**report["counts"], "early_requests": 0} == {
        "lines": 10,
        "requests": 8,
        "bot_requests": 1,
        "late_requests": 0,
        "early_requests": 0,
        "known_fields": {"address": 8, "method": 8, "status": 8, "bytes": 8, "user_agent": 8},
        "dropped": {"blank": 1},
        "unparsable": {"malformed": 1},
    }
    (file,) = report["file_reports"]
    assert (file["name"], file["counts"], file["damage"], file["error"]) == (
        str(log),
        report["counts"],
        "",
        "",
    )


def test_the_table_shows_the_same_numbers(site: Site) -> None:
    """Without `--json`, a table and a sentence show the same numbers."""
    result = site.avowal("import", site.log("access.log", TEXT, "rubbish\n"))
    assert result.status == 1
    assert "41 lines in" in result.out
    assert "40 requests, 40 views, 5 visits" in result.out
    assert "1 unparsable: malformed" in result.out
    assert result.err.startswith("no avowal.toml here or above: using the default terms")
    assert site.avowal("init", ".").status == 0
    assert site.avowal("import", site.log("access.log", TEXT, "rubbish\n")).err == f"{TRIAL_MESSAGE}\n"


def test_the_same_file_again_adds_nothing(site: Site) -> None:
    """A log is not read again under another name, or when it is named twice in one command."""
    log = site.log("access.log", TEXT)
    assert site.import_logs(log, log)["counts"]["requests"] == 40
    before = read_store(site)
    assert site.import_logs(log)["counts"]["lines"] == 0
    assert site.import_logs(log.rename(site.folder / "access.log.1"))["counts"]["lines"] == 0
    assert read_store(site) == before


def test_a_grown_file_adds_only_its_new_lines(site: Site, other_site: Site) -> None:
    """Only the new lines of a grown log count, and their views join the visits that they continue."""
    for end in (1, 7, 7, 33, 40):
        log = site.log("access.log", *LINES[:end])
        site.import_logs(log)
    other_site.import_logs(log)
    assert read_store(site) == read_store(other_site)


@pytest.mark.parametrize("written_bytes", [1, 9, 40, 60, 100, -2, -1], ids=lambda n: f"{n} bytes written")
@pytest.mark.parametrize("complete_lines", [0, 39], ids=["first line", "last line"])
def test_an_unfinished_last_line_is_replaced_when_it_is_complete(
    site: Site, other_site: Site, written_bytes: int, complete_lines: int
) -> None:
    """A last line that was read before it was complete counts once, in its complete form."""
    log = site.log("access.log", *LINES[:complete_lines], LINES[complete_lines][:written_bytes])
    site.avowal("import", log, "--format", "combined")
    assert site.rows("SELECT sum(lines) FROM logs") == [(complete_lines + 1,)]
    site.log("access.log", *LINES[: complete_lines + 1])
    assert site.import_logs(log, "--format", "combined")["counts"]["lines"] == 0
    log.write_text(TEXT)
    assert site.import_logs(log, "--format", "combined")["counts"]["lines"] == 40 - (complete_lines + 1)
    other_site.import_logs(log)
    assert read_store(site) == read_store(other_site)


def test_an_unfinished_last_line_is_read_once(site: Site) -> None:
    """Importing a log without a last line feed again adds nothing, and a later import adds the lines that follow."""
    log = site.log("access.log", TEXT.removesuffix("\n"))
    assert site.import_logs(log)["counts"]["lines"] == 40
    assert site.import_logs(log)["counts"]["lines"] == 0
    log.write_text(TEXT + line(90, "/more").removesuffix("\n"))
    assert site.import_logs(log)["counts"]["lines"] == 1
    assert site.rows("SELECT count(*) FROM requests") == [(41,)]


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compressed_logs_are_read(site: Site, other_site: Site, name: str) -> None:
    """A compressed log gives the same result as the plain log."""
    log = site.folder / f"access.log.{name}"
    log.write_bytes(COMPRESSIONS[name](TEXT.encode()))
    assert site.import_logs(log)["counts"]["lines"] == 40
    other_site.import_logs(other_site.log("access.log", TEXT))
    assert read_store(site) == read_store(other_site)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gz"])
def test_standard_input_is_read(site: Site, compress: Callable[[bytes], bytes]) -> None:
    """`-` reads standard input, which may be compressed; the same log as a file is then known."""
    assert site.import_logs("-", stdin=compress(TEXT.encode()))["counts"]["requests"] == 40
    assert site.import_logs("-", stdin=compress(TEXT.encode()))["counts"]["lines"] == 0
    assert site.import_logs(site.log("access.log", TEXT, line(99)))["counts"]["lines"] == 1


def test_the_compressed_copy_of_a_known_log_adds_nothing(site: Site) -> None:
    """A log that was compressed after it was read is the same log; if it grew in between, only its growth is added."""
    site.import_logs(site.log("access.log", TEXT))
    for name, compress in COMPRESSIONS.items():
        packed = site.folder / f"access.log.{name}"
        packed.write_bytes(compress(TEXT.encode()))
        assert site.import_logs(packed)["counts"]["lines"] == 0
    packed.write_bytes(zstandard.ZstdCompressor().compress((TEXT + line(50)).encode()))
    assert site.import_logs(packed)["counts"]["lines"] == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_rotated_files_are_read_in_order_of_time(
    site: Site, other_site: Site, order: tuple[int, ...]
) -> None:
    """Files in any order are read from the oldest on, and give the same result as one file."""
    packed = site.folder / "access.log.2.gz"
    packed.write_bytes(gzip.compress("".join(LINES[:10]).encode()))
    files = [packed, site.log("access.log.1", *LINES[10:25]), site.log("access.log", *LINES[25:])]
    report = site.import_logs(*(files[number] for number in order))
    assert [file["name"] for file in report["file_reports"]] == list(map(str, files))
    other_site.import_logs(other_site.log("access.log", TEXT))
    assert read_store(site) == read_store(other_site)


def test_a_log_that_begins_like_a_known_one_is_refused(site: Site) -> None:
    """A log that begins like a known one and continues differently is refused with a hint; the other logs are read."""
    site.import_logs(site.log("access.log", TEXT))
    other = site.log("other.log", *LINES[:35], line(70, "/else"), line(71, "/else"))
    third = site.log("third.log", line(80, "/third"))
    result = site.avowal("import", other, third, "--json")
    assert result.status == 1
    refused = next(file for file in result.json()["file_reports"] if file["error"])
    assert refused["name"] == str(other)
    assert "--as-new-log" in refused["hint"]
    assert result.json()["counts"]["requests"] == 1
    assert site.rows("SELECT count(*) FROM requests") == [(41,)]


def test_a_truncated_log_is_refused(site: Site) -> None:
    """A log that is shorter than the part that was read is refused."""
    log = site.log("access.log", TEXT)
    site.import_logs(log)
    site.log("access.log", *LINES[:35])
    result = site.avowal("import", log, "--json")
    assert (result.status, result.json()["file_reports"][0]["error_code"]) == (1, "log-mismatch")
    assert site.rows("SELECT count(*) FROM requests") == [(40,)]


def test_as_new_log_reads_a_log_that_begins_like_a_known_one(site: Site) -> None:
    """`--as-new-log` reads a log that begins like a known one as another log, and only once."""
    site.import_logs(site.log("access.log", TEXT))
    other = site.log("other.log", *LINES[:35], line(70, "/else"))
    assert site.import_logs(other, "--as-new-log")["counts"]["lines"] == 36
    assert site.import_logs(other, "--as-new-log")["counts"]["lines"] == 0
    assert site.import_logs(other)["counts"]["lines"] == 0
    assert site.import_logs(site.log("access.log", TEXT, line(99)))["counts"]["lines"] == 1


@pytest.mark.parametrize(
    ("unparsable", "arguments", "status"),
    [
        (1, [], 0),
        (2, [], 1),
        (2, ["--max-unparsable-percent", "2"], 0),
        (1, ["--max-unparsable-percent", "0"], 1),
        (0, ["--max-unparsable-percent", "0"], 0),
    ],
)
def test_too_many_unparsable_lines_give_exit_status_1(
    site: Site, unparsable: int, arguments: list[str], status: int
) -> None:
    """The exit status is 1 above `--max-unparsable-percent` (1 by default); the other lines are stored."""
    lines = [line(minute / 10) for minute in range(100 - unparsable)] + ["rubbish\n"] * unparsable
    assert site.avowal("import", site.log("access.log", *lines), *arguments).status == status
    assert site.rows("SELECT count(*) FROM requests") == [(100 - unparsable,)]


def test_an_empty_file_is_not_an_error(site: Site) -> None:
    """An empty log has no lines, and is read once it has some."""
    log = site.log("access.log")
    result = site.avowal("import", log, "--json")
    assert (result.status, result.json()["counts"]["lines"]) == (0, 0)
    packed = site.folder / "empty.gz"
    packed.write_bytes(gzip.compress(b""))
    assert site.avowal("import", packed).status == 0
    log.write_text(TEXT)
    assert site.import_logs(log)["counts"]["lines"] == 40


@pytest.mark.parametrize(("path", "code"), [(".", "not-a-file"), ("missing.log", "file-missing")])
def test_folders_and_missing_files_are_refused(site: Site, path: str, code: str) -> None:
    """A folder or a missing file ends the command with exit status 2 and a hint before anything is read."""
    log = site.log("access.log", TEXT)
    result = site.avowal("import", log, path)
    assert (result.status, result.code) == (2, code)
    assert f"`{path}`" in result.err
    assert len(result.err.splitlines()) == 2
    assert not site.data.exists()


def test_a_truncated_gz_file_is_read_up_to_its_end(site: Site, other_site: Site) -> None:
    """A truncated compressed log is reported with exit status 1, its lines are stored, and the whole file adds the rest."""
    lines = [line(n / 60, f"/{random.Random(n).random()}") for n in range(4000)]
    packed = gzip.compress("".join(lines).encode())
    log = site.folder / "access.log.gz"
    log.write_bytes(packed[: len(packed) // 2])
    result = site.avowal("import", log)
    assert result.status == 1
    assert "was read only up to its damage: it ends in the middle of its compressed data" in result.out
    ((count,),) = site.rows("SELECT count(*) FROM requests")
    assert 500 < count < 4000
    log.write_bytes(packed)
    site.import_logs(log)
    other_site.import_logs(log)
    assert read_store(site) == read_store(other_site)


def test_a_damaged_compressed_file_is_read_up_to_the_damage(site: Site) -> None:
    """A compressed log that is damaged in its middle is reported, and the lines before the damage are stored."""
    lines = [line(n / 60, f"/{random.Random(n).random()}") for n in range(4000)]
    for name, compress in COMPRESSIONS.items():
        packed = bytearray(compress("".join(lines).encode()))
        middle = len(packed) * 3 // 4
        packed[middle : middle + 100] = bytes(100)
        log = site.folder / f"{name}.{name}"
        log.write_bytes(packed)
        result = site.avowal("import", log, "--as-new-log", "--format", "combined", "--json")
        assert result.status == 1
        assert "damaged" in result.json()["file_reports"][0]["damage"], name


@pytest.mark.parametrize(
    "rubbish",
    [
        random.Random(1).randbytes(200_000),
        bytes(100_000),
        b"\x1f\x8b" + random.Random(2).randbytes(1000),
        b"\n" * 1000,
        b"\xff\xfe" + random.Random(3).randbytes(999),
        b"\x7fELF" + bytes(range(256)) * 40,
    ],
    ids=["random", "null bytes", "no gzip", "line feeds", "no UTF-16", "a program"],
)
@pytest.mark.parametrize("arguments", [[], ["--format", "combined"]], ids=["detected", "named"])
def test_a_file_that_is_not_a_log_is_reported(site: Site, rubbish: bytes, arguments: list[str]) -> None:
    """A file that is not a log gives a message and no requests; the other logs are read."""
    (site.folder / "rubbish").write_bytes(rubbish)
    good = site.log("access.log", TEXT)
    result = site.avowal("import", "rubbish", good, "--json", *arguments)
    assert result.json()["counts"]["requests"] == 40
    (file,) = (file for file in result.json()["file_reports"] if file["name"] == "rubbish")
    counts = file["counts"]
    unparsable = sum(counts["unparsable"].values())
    assert file["error"] or file["damage"] or unparsable or set(counts["dropped"]) == {"blank"}
    has_too_many = unparsable > 0.01 * result.json()["counts"]["lines"]
    assert result.status == int(bool(file["error"] or file["damage"] or has_too_many))


@pytest.mark.parametrize("megabytes", [10, 20])
def test_an_overlong_line_does_not_affect_other_lines(site: Site, megabytes: int) -> None:
    """A line that is too long becomes a dead letter with its position; the other lines are read."""
    long = line(5, "/" + "x" * megabytes * 1_000_000)
    log = site.log("access.log", *LINES[:20], long, *LINES[20:])
    report = site.import_logs(log, "--max-unparsable-percent", "10")
    assert (report["counts"]["requests"], report["counts"]["unparsable"]) == (40, {"too-long": 1})
    assert site.rows("SELECT offset_bytes, length_bytes FROM unparsable_lines") == [
        (len("".join(LINES[:20])), len(long) - 1)
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_other_encodings_are_read(site: Site, other_site: Site, encoding: str) -> None:
    """A log in UTF-16, or with a byte order mark, gives the same result as the plain log."""
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    log = site.folder / "access.log"
    log.write_bytes(mark + TEXT.encode(encoding))
    site.import_logs(log)
    other_site.import_logs(other_site.log("access.log", TEXT))
    tables = [name for name in read_store(site) if name != "unparsable_lines"]
    assert read_store(site, tables) == read_store(other_site, tables)


def test_latin_1_is_read(site: Site) -> None:
    """A line that is not valid UTF-8 is read as Latin-1; the other lines are read as UTF-8."""
    log = site.folder / "access.log"
    lines = [line(0, "/caf\xe9").encode("latin-1"), line(1, "/caf\xe9").encode(), line(2, "/plain").encode()]
    log.write_bytes(b"".join(lines))
    assert site.import_logs(log)["counts"]["requests"] == 3
    paths = [path for (path,) in site.rows("SELECT page_path FROM requests ORDER BY request_time")]
    assert paths == ["/caf%C3%A9", "/caf%C3%A9", "/plain"]


def test_requests_in_the_future_are_dropped(site: Site) -> None:
    """Requests dated in the future become dead letters; a clock that is a few hours fast is tolerated."""
    now = datetime.now(UTC).replace(tzinfo=None)
    log = site.log(
        "access.log",
        line(0, start=now),
        line(0, start=now + timedelta(hours=20)),
        line(0, start=now + timedelta(hours=28)),
        line(0, start=now + timedelta(days=4000)),
    )
    result = site.avowal("import", log, "--json")
    assert result.status == 1
    assert (result.json()["counts"]["requests"], result.json()["counts"]["unparsable"]) == (
        2,
        {"in-the-future": 2},
    )


def test_lines_with_impossible_dates_are_dropped(site: Site) -> None:
    """A line with an impossible date becomes a dead letter, and does not crash the import."""
    good = line(0)
    for bad in ("31/Feb/2026", "00/Jan/2026", "05/Jan/0000", "05/Xyz/2026", "05/Jan/9999"):
        log = site.log(f"{bad[:2]}{bad[3:6]}{bad[7:]}.log", *LINES, good.replace("05/Jan/2026", bad))
        report = site.import_logs(log, "--as-new-log", "--max-unparsable-percent", "100")
        assert (report["counts"]["requests"], sum(report["counts"]["unparsable"].values())) == (40, 1)


def test_a_log_of_unknown_format_is_refused(site: Site) -> None:
    """A text that no format parses is refused with a hint, and nothing of it is printed or stored."""
    log = site.log("access.log", *(f"{MARK} {n} something else entirely\n" for n in range(50)))
    result = site.avowal("import", log, "--json")
    (file,) = result.json()["file_reports"]
    assert (result.status, file["error_code"]) == (1, "log-format-not-detected")
    assert ("50 lines" in file["error"], "LogFormat" in file["hint"]) == (True, True)
    assert MARK not in result.out + result.err
    assert site.rows("SELECT count(*) FROM logs") == [(0,)]


@pytest.mark.parametrize(
    "log_format",
    [
        "combined",
        '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
        r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"",
        NGINX,
    ],
    ids=["name", "LogFormat", "LogFormat with escapes", "log_format"],
)
def test_a_format_can_be_named_or_given_as_a_directive(site: Site, other_site: Site, log_format: str) -> None:
    """The name of a format, an Apache LogFormat and an nginx log_format read the same log the same way."""
    log = site.log("access.log", TEXT)
    report = site.import_logs(log, "--format", log_format)
    assert (report["format"], report["file_reports"][0]["confidence"]) == (log_format, None)
    other_site.import_logs(log)
    assert read_store(site) == read_store(other_site)
    log.write_text(TEXT + line(99))
    assert site.import_logs(log)["counts"]["lines"] == 1


def test_the_format_can_be_a_setting(site: Site) -> None:
    """`collect.log_format` names the format of all logs, and `--format` overrides it."""
    site.init(settings='[collect]\nlog_format = "common"\n')
    log = site.log("access.log", TEXT)
    assert site.import_logs(log)["format"] == "common"
    assert (
        site.import_logs(site.log("other.log", line(0, "/other")), "--format", "combined")["format"]
        == "combined"
    )


def test_a_misspelt_format_is_refused_with_the_nearest(site: Site) -> None:
    """The name of an unknown format is refused, and the hint names the nearest one."""
    result = site.avowal("import", site.log("access.log", TEXT), "--format", "combned")
    assert (result.status, result.code) == (2, "unknown-log-format")
    assert "`combned`" in result.err
    assert "did you mean `combined`?" in result.err


def test_a_known_log_continues_in_the_given_format(site: Site) -> None:
    """After a change of the log format, `--format` names the format of the new lines."""
    log = site.log("access.log", TEXT)
    site.import_logs(log)
    log.write_text(TEXT + f"{line(99).strip()} 0.250\n")
    report = site.import_logs(log, "--format", TIMED)
    assert (report["counts"]["requests"], report["format"]) == (1, TIMED)
    assert site.rows("SELECT response_time_us FROM requests WHERE response_time_us IS NOT NULL") == [
        (250_000,)
    ]


def test_a_lost_log_key_stops_the_import(site: Site) -> None:
    """Without the key that identifies known logs, nothing is read unless a new key is requested."""
    log = site.log("access.log", TEXT)
    site.import_logs(log)
    key = site.data.with_name("data.keys") / "log.key"
    kept_key = key.read_bytes()
    key.unlink()
    result = site.avowal("import", log, "--json")
    assert (result.status, result.json()["file_reports"][0]["error_code"]) == (1, "key-missing")
    assert not key.exists()
    assert site.avowal("follow", log).status == 1
    assert site.rows("SELECT count(*) FROM requests") == [(40,)]
    key.write_bytes(kept_key)
    key.chmod(0o600)
    assert site.import_logs(log)["counts"]["lines"] == 0
    key.unlink()
    assert site.import_logs(log, "--as-new-log")["counts"]["lines"] == 40


def test_formats_with_field_directives_continue_in_a_grown_log(site: Site) -> None:
    """A grown log that names its fields only at its beginning is read on with these fields."""
    head = "#Software: Example\n#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)\n"
    rows = [
        f"2026-01-05 12:{n:02}:00 192.0.2.1 GET /{n} 200 Mozilla/5.0+(X11;+Linux;+rv:128.0)+Gecko/20100101+Firefox/128.0\n"
        for n in range(9)
    ]
    log = site.log("access.log", head, *rows[:4])
    assert site.import_logs(log)["counts"]["requests"] == 4
    log.write_text(head + "".join(rows))
    assert site.import_logs(log)["counts"]["requests"] == 5
    assert site.rows("SELECT count(*), sum(views) FROM visits") == [(1, 9)]


def test_the_data_folder_can_be_chosen(site: Site, tmp_path: Path) -> None:
    """`--data` overrides `AVOWAL_DATA`, which overrides the setting `data`; keys are never in the data folder."""
    log = site.log("access.log", TEXT)
    variable, option = tmp_path / "variable", tmp_path / "option"
    through_variable = Site(site.folder, {"AVOWAL_DATA": str(variable)})
    assert through_variable.import_logs(log)["counts"]["lines"] == 40
    assert through_variable.import_logs(log, "--data", option)["counts"]["lines"] == 40
    assert site.import_logs(log, "--data", variable)["counts"]["lines"] == 0
    site.init(settings='data_folder = "elsewhere"\n')
    site.import_logs(log)
    for data in (variable, option, site.folder / "elsewhere"):
        assert (data / "avowal.duckdb").exists()
        assert not [path for path in data.rglob("*") if "salt" in path.name or path.suffix == ".key"]
    assert not site.data.exists()
    assert (site.folder / "keys" / "salts.json").exists()
    assert (tmp_path / "option.keys" / "salts.json").stat().st_mode & 0o077 == 0


def test_commands_work_in_subfolders(site: Site) -> None:
    """The settings of the folder are found from any folder below it."""
    site.init()
    log = site.log("access.log", TEXT)
    subfolder = site.folder / "logs" / "2026"
    subfolder.mkdir(parents=True)
    Site(subfolder).import_logs(log)
    assert (site.data / "avowal.duckdb").exists()
    assert not (subfolder / "data").exists()


def test_changed_terms_are_a_draft_until_they_are_published(site: Site) -> None:
    """While a version is in force, changed terms in the folder only add a message, and a changed comment not even that."""
    site.init()
    log = site.log("access.log", TEXT)
    terms = site.folder / "policy" / "terms.toml"
    adopted_text = terms.read_text()
    terms.write_text(adopted_text.replace('full = "7 days"', 'full = "9 days"', 1))
    assert site.avowal("report").status == 0  # whoever merely looks takes nothing into force
    terms.write_text(adopted_text)
    site.import_logs(log)
    terms.write_text(f"# The same promise.\n{adopted_text}")
    assert site.avowal("import", log).err == ""
    terms.write_text(adopted_text.replace('"bytes", ', "", 1))
    log.write_text(TEXT + line(99))
    result = site.avowal("import", log)
    assert result.status == 0
    assert "are a draft: version 1" in result.err
    assert "`avowal policy publish`" in result.err
    assert site.rows("SELECT count(bytes) = count(*) FROM requests") == [(True,)]


def test_messages_contain_nothing_of_the_log(site: Site) -> None:
    """Whatever is wrong with a log, nothing of its lines is printed without `--show-unparsable`."""
    marked = line(1, f"/{MARK}?q={MARK}", referrer=f"https://example.org/{MARK}", agent=MARK, user=MARK)
    bad = [f"{MARK} no line\n", marked[:60] + "\n", marked.replace("05/Jan", "35/Jan"), f'{{"{MARK}": 1}}\n']
    for name, lines, arguments in (
        ("bad lines", [*LINES, *bad], []),
        ("no format", bad, []),
        ("wrong format", [marked] * 5, ["--format", "caddy-json"]),
        ("wrong pasted", [marked] * 5, ["--format", "%h %t %T %U"]),
        ("future", [marked.replace("2026", "2926")] * 5, []),
        ("unfinished", [marked, marked[:70]], []),
        ("binary", [*LINES, f"\0{MARK}\0\n", MARK * 10_000, "\n"], []),
    ):
        result = site.avowal("import", site.log(name, *lines), "--as-new-log", *arguments)
        assert MARK not in result.out + result.err, name
        result = site.avowal("import", site.folder / name, "--as-new-log", "--show-unparsable", *arguments)
        assert MARK not in result.err, name
        assert (MARK in result.out) == (name != "no format"), name


def test_show_unparsable_prints_the_lines_of_the_file(site: Site) -> None:
    """`--show-unparsable` prints each unparsable line as in the file, with its position and reason, also in later imports."""
    log = site.log("access.log", *LINES[:3], "first bad one\n", *LINES[3:], "second bad one\n")
    expected = [
        f"{log}: byte {len(''.join(LINES[:3]))}, malformed: first bad one",
        f"{log}: byte {len(TEXT) + 14}, malformed: second bad one",
    ]
    for _ in range(2):
        assert site.avowal("import", log, "--show-unparsable").out.splitlines()[-2:] == expected
    packed = site.folder / "access.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    lines = site.avowal("import", packed, "--show-unparsable").out.splitlines()[-2:]
    assert [text.partition(": ")[2] for text in lines] == [text.partition(": ")[2] for text in expected]


def test_show_unparsable_escapes_control_characters(site: Site) -> None:
    """Control characters of a printed line are escaped, so that it cannot control the terminal."""
    evil = "\x1b]0;title\x07 \x1b[2J \x9b31m \u202e \r [red]x[/red]"
    log = site.log("access.log", *LINES, f"{evil} bad\n")
    last_line = site.avowal("import", log, "--show-unparsable").out.splitlines()[-1]
    assert last_line.isprintable()
    assert "[red]x[/red] bad" in last_line


def test_show_unparsable_and_json_exclude_each_other(site: Site) -> None:
    """`--show-unparsable` together with `--json` is refused."""
    assert site.avowal("import", site.log("access.log", TEXT), "--show-unparsable", "--json").status == 2


@pytest.mark.parametrize("name", ["a[/b].log", "[red]a.log", "a b;c.log", "caf\xe9.log", "-a.log", "=a.log"])
def test_file_names_are_printed_without_markup(site: Site, name: str) -> None:
    """The name of a file is printed as text, even if it looks like markup."""
    log = site.log(name, TEXT, "bad\n")
    result = site.avowal("import", log, "--show-unparsable")
    assert result.status == 1
    assert f"{log} " in result.out
    assert f"{log}: byte" in result.out


def test_imports_of_several_logs_add_up(site: Site, other_site: Site) -> None:
    """Logs of the same period, imported one after the other, give the same visits as one log of all."""
    lines = [line(n, f"/{n}", address=f"192.0.2.{n % 3}") for n in range(60)]
    for part in range(4):
        site.import_logs(site.log(f"{part}.log", *lines[part::4]))
    other_site.import_logs(other_site.log("access.log", *lines))
    assert read_store(site) == read_store(other_site)


def test_virtual_hosts_have_separate_visits(site: Site) -> None:
    """The same visitor on two hosts makes two visits, each with its host."""
    log = site.log(
        "access.log",
        *(line(n, host=host) for n in range(4) for host in ("a.example.org:80", "b.example.org:80")),
    )
    assert site.import_logs(log)["visits"] == 2
    assert site.rows("SELECT host, views FROM visits ORDER BY host") == [
        ("a.example.org", 4),
        ("b.example.org", 4),
    ]


def test_old_lines_are_coarsened_by_their_age(site: Site) -> None:
    """Values that the terms permit for a limited time are coarsened by the age of each line."""
    now = datetime.now(UTC).replace(tzinfo=None)
    ages = (1, 30, 200)
    lines = [line(0, f"/{age}", start=now - timedelta(days=age), address="198.51.100.7") for age in ages]
    site.init().import_logs(site.log("access.log", *lines))
    assert site.rows("SELECT page_path, ip_address FROM requests ORDER BY request_time DESC") == [
        ("/1", "198.51.100.7"),
        ("/30", "198.51.100.0/24"),
        ("/200", None),
    ]


def test_lines_too_old_for_the_terms_are_dropped(site: Site) -> None:
    """Requests older than the retention period of their time are dropped and counted."""
    kept_times = '"response-time"]\nkeep = { full = "forever" }'
    site.init((kept_times, kept_times.replace("forever", "30 days")))
    now = datetime.now(UTC).replace(tzinfo=None)
    recent, old = now - timedelta(days=2), NOON.replace(year=2020)
    report = site.import_logs(
        site.log("access.log", line(0, start=recent), line(0, start=old), line(1, start=old))
    )
    assert (report["counts"]["requests"], report["counts"]["dropped"]) == (1, {"too-old": 2})
    assert "2 dropped: too-old" in site.avowal("import", site.log("b.log", *[line(1, start=old)] * 2)).out


def test_requests_older_than_the_first_version_are_counted(site: Site) -> None:
    """Requests from before the first version are bound to it, and their number is printed."""
    site.init(("updated = 2026-11-22", "updated = 2026-01-06"))
    log = site.log("access.log", line(0), line(11 * 60 + 59), line(12 * 60), line(13 * 60))
    assert site.import_logs(log)["counts"]["early_requests"] == 2
    assert (
        "1 requests are older than the first version" in site.avowal("import", site.log("b.log", line(1))).out
    )


def test_requests_of_bots_make_no_visits(site: Site) -> None:
    """The requests of a bot are stored as requests, and make neither views nor visits."""
    log = site.log("access.log", *(line(n, agent=GOOGLEBOT) for n in range(5)), line(0, agent=FIREFOX))
    report = site.import_logs(log)
    assert (
        report["counts"]["requests"],
        report["counts"]["bot_requests"],
        report["views"],
        report["visits"],
    ) == (6, 5, 1, 1)


COMMON = '192.0.2.1 - - [02/Jan/2026:12:00:05 +0000] "GET /a HTTP/1.1" 200 12\n'


def test_fields_that_no_line_has_are_named(site: Site) -> None:
    """The import says which fields no line had and what that costs, as text and as JSON, of each file."""
    site.init()
    plain = site.log("plain.log", COMMON)
    report = site.import_logs(plain)
    assert list(report["missing_fields"]) == ["user_agent", "referrer", "host"]
    assert "bots" in report["missing_fields"]["user_agent"]
    named = site.log("named.log", f"example.org:80 {COMMON}".replace("/a", "/b"))
    result = site.avowal("import", named, plain)
    assert result.status == 0
    assert "no user agent: browsers are unknown" in result.out
    assert "no host" not in result.out
    assert site.import_logs(plain)["missing_fields"] == {}


@pytest.mark.parametrize(
    ("log_format", "line", "words"),
    [
        (
            '%t "%r" %>s',
            '[02/Jan/2026:12:00:05 +0000] "GET /a HTTP/1.1" 200',
            "no address: visitors and visits",
        ),
        ("%h %t %U %>s", "192.0.2.1 [02/Jan/2026:12:00:05 +0000] /a 200", "no method: no page views"),
        (
            '{"t":"$time_iso8601","r":"$request"}',
            '{"t":"2026-01-02T12:00:05Z","r":"GET /a HTTP/1.1"}',
            "no address",
        ),
    ],
)
def test_a_pasted_format_without_an_address_is_told_of_at_once(
    site: Site, log_format: str, line: str, words: str
) -> None:
    """Before anything is read, the import says what the pasted format does not name, also with `--json`."""
    site.init()
    for options in ([], ["--json"]):
        result = site.avowal("import", "--format", log_format, *options, site.log("access.log", f"{line}\n"))
        assert words in result.err


@pytest.mark.parametrize("log_format", [None, "nginx-json", "caddy-json", '{"t":"$msec","r":"$request"}'])
def test_json_without_requests_is_refused_before_it_is_loaded(site: Site, log_format: str | None) -> None:
    """Renamed keys give an error that names what was looked for; the log can be imported in another format then."""
    site.init()
    log = site.log(
        "access.log",
        '{"when":"2026-01-02T12:00:05Z","what":"GET /a HTTP/1.1","who":"192.0.2.1","s":200}\n' * 3,
    )
    options = ["--format", log_format] if log_format else []
    result = site.avowal("import", *options, log)
    assert result.status == 1
    assert "no object" in result.out
    assert "request" in result.out
    pasted = '{"when":"$time_iso8601","what":"$request","who":"$remote_addr","s":$status}'
    assert site.import_logs("--format", pasted, log)["counts"]["requests"] == 3


def rotated_log(site: Site, name: str, day: int) -> Path:
    lines = (
        f'192.0.2.{n + 1} - - [{day:02}/Jan/2026:12:{n // 60:02}:{n % 60:02} +0000] "GET /{n} HTTP/1.1" 200 5 "-" "{FIREFOX}"\n'
        for n in range(100)
    )
    return site.log(name, *lines)


@pytest.mark.parametrize("order", ["abc", "bac", "ab", "a", "abca"])
def test_logs_that_are_joined_count_once(site: Site, order: str) -> None:
    """Of known logs one after the other only what follows them is new, and it is known afterwards."""
    site.init()
    logs = {name: rotated_log(site, f"{name}.log", day) for day, name in enumerate("abc", 3)}
    assert site.import_logs(logs["a"], logs["b"])["counts"]["requests"] == 200
    joined = site.log("joined.log", *(logs[name].read_text(encoding="utf-8") for name in order))
    new = 100 * order.count("c") + (100 if order.endswith("ca") else 0)
    assert site.import_logs(joined)["counts"]["requests"] == new
    assert site.import_logs(joined)["counts"]["requests"] == 0
    if order in {"abc", "bac"}:
        assert site.import_logs(*logs.values())["counts"]["requests"] == 0


def test_identical_lines_in_a_log_stay_two(site: Site) -> None:
    """Lines of one log that are the same are two requests, as they were logged twice."""
    site.init()
    assert site.import_logs(site.log("access.log", COMMON, COMMON))["counts"]["requests"] == 2


def test_a_report_says_that_no_line_had_an_address(site: Site) -> None:
    """A report without visits says why; it does not once there are addresses."""
    site.init()
    without = f'- - - [02/Jan/2026:12:00:05 +0000] "GET /a HTTP/1.1" 200 5 "-" "{FIREFOX}"\n'
    assert "address" in site.import_logs(site.log("access.log", without))["missing_fields"]
    assert (
        "no request of this period has a visitor"
        in site.avowal("report", "overview", "--json").json()["notes"][0]
    )
    site.import_logs(site.log("other.log", without.replace("- -", "192.0.2.1 -", 1)))
    assert site.avowal("report", "overview", "--json").json()["notes"] == []
