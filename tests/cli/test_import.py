"""The command `avowal import`: what it takes in, what it says, and what it refuses."""

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

from support.site import CHROME, FIREFOX, GOOGLEBOT, NOON, Site, kept, line

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
def beside(tmp_path: Path) -> Site:
    """Give another folder, whose store a test compares with."""
    folder = tmp_path / "beside"
    folder.mkdir()
    return Site(folder)


def test_the_object_tells_what_became_of_every_line(site: Site) -> None:
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
    report = site.take_in(log, "--max-unparsable-percent", "100")
    assert list(report) == [
        "files",
        "format",
        "counts",
        "views",
        "visits",
        "duration_seconds",
        "file_reports",
    ]
    assert (report["files"], report["format"], report["views"], report["visits"]) == (1, "combined", 4, 3)
    assert {**report["counts"], "early_requests": 0} == {
        "lines": 10,
        "requests": 8,
        "bot_requests": 1,
        "late_requests": 0,
        "early_requests": 0,
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


def test_people_are_told_the_same(site: Site) -> None:
    """Without `--json` the same numbers stand in a table and a sentence."""
    ran = site.avowal("import", site.log("access.log", TEXT, "rubbish\n"))
    assert ran.status == 1
    assert "41 lines in" in ran.out
    assert "40 requests, 40 views, 5 visits" in ran.out
    assert "1 unparsable: malformed" in ran.out
    assert ran.err.startswith("no avowal.toml here or above: using the default terms")
    site.init()
    assert site.avowal("import", site.log("access.log", TEXT, "rubbish\n")).err == ""


def test_the_same_file_again_adds_nothing(site: Site) -> None:
    """A log that was read, under any name, and also twice in one command, is not read again."""
    log = site.log("access.log", TEXT)
    assert site.take_in(log, log)["counts"]["requests"] == 40
    before = kept(site)
    assert site.take_in(log)["counts"]["lines"] == 0
    assert site.take_in(log.rename(site.folder / "access.log.1"))["counts"]["lines"] == 0
    assert kept(site) == before


def test_a_grown_file_adds_only_what_is_new(site: Site, beside: Site) -> None:
    """Of a log that has grown only the new lines count, and views join the visits that they go on with."""
    for end in (1, 7, 7, 33, 40):
        log = site.log("access.log", *LINES[:end])
        site.take_in(log)
    beside.take_in(log)
    assert kept(site) == kept(beside)


@pytest.mark.parametrize("written", [1, 9, 40, 60, 100, -2, -1], ids=lambda n: f"{n} bytes written")
@pytest.mark.parametrize("whole", [0, 39], ids=["first line", "last line"])
def test_an_unfinished_last_line_gives_way_to_its_end(
    site: Site, beside: Site, written: int, whole: int
) -> None:
    """A last line that was read before it was written to its end counts once, as what it became."""
    log = site.log("access.log", *LINES[:whole], LINES[whole][:written])
    site.avowal("import", log, "--format", "combined")
    assert site.rows("SELECT sum(lines) FROM logs") == [(whole + 1,)]
    site.log("access.log", *LINES[: whole + 1])
    assert site.take_in(log, "--format", "combined")["counts"]["lines"] == 0
    log.write_text(TEXT)
    assert site.take_in(log, "--format", "combined")["counts"]["lines"] == 40 - (whole + 1)
    beside.take_in(log)
    assert kept(site) == kept(beside)


def test_an_unfinished_last_line_is_read_once(site: Site) -> None:
    """A log without a last line feed, imported again as it is, adds nothing; and then more of it does."""
    log = site.log("access.log", TEXT.removesuffix("\n"))
    assert site.take_in(log)["counts"]["lines"] == 40
    assert site.take_in(log)["counts"]["lines"] == 0
    log.write_text(TEXT + line(90, "/more").removesuffix("\n"))
    assert site.take_in(log)["counts"]["lines"] == 1
    assert site.rows("SELECT count(*) FROM requests") == [(41,)]


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compressed_logs_are_read(site: Site, beside: Site, name: str) -> None:
    """A compressed log gives what the plain one gives."""
    log = site.folder / f"access.log.{name}"
    log.write_bytes(COMPRESSIONS[name](TEXT.encode()))
    assert site.take_in(log)["counts"]["lines"] == 40
    beside.take_in(beside.log("access.log", TEXT))
    assert kept(site) == kept(beside)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gz"])
def test_standard_input_is_read(site: Site, compress: Callable[[bytes], bytes]) -> None:
    """`-` is standard input, also compressed; as a file later, it is known."""
    assert site.take_in("-", stdin=compress(TEXT.encode()))["counts"]["requests"] == 40
    assert site.take_in("-", stdin=compress(TEXT.encode()))["counts"]["lines"] == 0
    assert site.take_in(site.log("access.log", TEXT, line(99)))["counts"]["lines"] == 1


def test_the_compressed_copy_of_a_known_log_adds_nothing(site: Site) -> None:
    """A log that was compressed since it was read is the same log, and one that grew before that adds its growth."""
    site.take_in(site.log("access.log", TEXT))
    for name, compress in COMPRESSIONS.items():
        packed = site.folder / f"access.log.{name}"
        packed.write_bytes(compress(TEXT.encode()))
        assert site.take_in(packed)["counts"]["lines"] == 0
    packed.write_bytes(zstandard.ZstdCompressor().compress((TEXT + line(50)).encode()))
    assert site.take_in(packed)["counts"]["lines"] == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_rotated_set_is_read_in_order_of_time(site: Site, beside: Site, order: tuple[int, ...]) -> None:
    """Files given in any order are read from the oldest on, and give what one file gives."""
    packed = site.folder / "access.log.2.gz"
    packed.write_bytes(gzip.compress("".join(LINES[:10]).encode()))
    files = [packed, site.log("access.log.1", *LINES[10:25]), site.log("access.log", *LINES[25:])]
    report = site.take_in(*(files[number] for number in order))
    assert [file["name"] for file in report["file_reports"]] == list(map(str, files))
    beside.take_in(beside.log("access.log", TEXT))
    assert kept(site) == kept(beside)


def test_a_log_that_begins_like_a_known_one_is_refused(site: Site) -> None:
    """A log that begins like a known one and goes on otherwise is refused with a hint, and others are read."""
    site.take_in(site.log("access.log", TEXT))
    other = site.log("other.log", *LINES[:35], line(70, "/else"), line(71, "/else"))
    third = site.log("third.log", line(80, "/third"))
    ran = site.avowal("import", other, third, "--json")
    assert ran.status == 1
    refused = next(file for file in ran.json()["file_reports"] if file["error"])
    assert refused["name"] == str(other)
    assert "--as-new-log" in refused["hint"]
    assert ran.json()["counts"]["requests"] == 1
    assert site.rows("SELECT count(*) FROM requests") == [(41,)]


def test_a_log_that_was_truncated_is_refused(site: Site) -> None:
    """A log that is shorter than what was read of it is not its growth."""
    log = site.log("access.log", TEXT)
    site.take_in(log)
    site.log("access.log", *LINES[:35])
    ran = site.avowal("import", log, "--json")
    assert (ran.status, ran.json()["file_reports"][0]["error_code"]) == (1, "log-mismatch")
    assert site.rows("SELECT count(*) FROM requests") == [(40,)]


def test_again_reads_a_log_that_begins_like_a_known_one(site: Site) -> None:
    """With `--as-new-log`, a log that begins like a known one is another log; known as such, it is then not read again."""
    site.take_in(site.log("access.log", TEXT))
    other = site.log("other.log", *LINES[:35], line(70, "/else"))
    assert site.take_in(other, "--as-new-log")["counts"]["lines"] == 36
    assert site.take_in(other, "--as-new-log")["counts"]["lines"] == 0
    assert site.take_in(other)["counts"]["lines"] == 0
    assert site.take_in(site.log("access.log", TEXT, line(99)))["counts"]["lines"] == 1


@pytest.mark.parametrize(
    ("bad", "arguments", "status"),
    [
        (1, [], 0),
        (2, [], 1),
        (2, ["--max-unparsable-percent", "2"], 0),
        (1, ["--max-unparsable-percent", "0"], 1),
        (0, ["--max-unparsable-percent", "0"], 0),
    ],
)
def test_too_many_unreadable_lines_give_exit_status_1(
    site: Site, bad: int, arguments: list[str], status: int
) -> None:
    """More unparsable lines than `--max-unparsable-percent` percent (1 unless given) give exit status 1; what is readable is kept."""
    lines = [line(minute / 10) for minute in range(100 - bad)] + ["rubbish\n"] * bad
    assert site.avowal("import", site.log("access.log", *lines), *arguments).status == status
    assert site.rows("SELECT count(*) FROM requests") == [(100 - bad,)]


def test_an_empty_file_is_no_error(site: Site) -> None:
    """An empty log has no lines, and is read when it has some."""
    log = site.log("access.log")
    ran = site.avowal("import", log, "--json")
    assert (ran.status, ran.json()["counts"]["lines"]) == (0, 0)
    packed = site.folder / "empty.gz"
    packed.write_bytes(gzip.compress(b""))
    assert site.avowal("import", packed).status == 0
    log.write_text(TEXT)
    assert site.take_in(log)["counts"]["lines"] == 40


@pytest.mark.parametrize(("wrong", "code"), [(".", "not-a-file"), ("missing.log", "file-missing")])
def test_folders_and_missing_files_are_misuse(site: Site, wrong: str, code: str) -> None:
    """A folder or a missing file among the files ends the command with status 2 and a remedy before anything is read."""
    log = site.log("access.log", TEXT)
    ran = site.avowal("import", log, wrong)
    assert (ran.status, ran.code) == (2, code)
    assert f"`{wrong}`" in ran.err
    assert len(ran.err.splitlines()) == 2
    assert not site.data.exists()


def test_a_truncated_gz_gives_what_is_there(site: Site, beside: Site) -> None:
    """A cut compressed log is told as such with status 1; its lines are kept, and its whole copy adds the rest."""
    lines = [line(n / 60, f"/{random.Random(n).random()}") for n in range(4000)]
    packed = gzip.compress("".join(lines).encode())
    log = site.folder / "access.log.gz"
    log.write_bytes(packed[: len(packed) // 2])
    ran = site.avowal("import", log)
    assert ran.status == 1
    assert "was read only up to its damage: it ends in the middle of its compressed data" in ran.out
    ((count,),) = site.rows("SELECT count(*) FROM requests")
    assert 500 < count < 4000
    log.write_bytes(packed)
    site.take_in(log)
    beside.take_in(log)
    assert kept(site) == kept(beside)


def test_damaged_compression_gives_what_is_there(site: Site) -> None:
    """A compressed log damaged in its middle is told as such, and what comes before the damage is kept."""
    lines = [line(n / 60, f"/{random.Random(n).random()}") for n in range(4000)]
    for name, compress in COMPRESSIONS.items():
        packed = bytearray(compress("".join(lines).encode()))
        middle = len(packed) * 3 // 4
        packed[middle : middle + 100] = bytes(100)
        log = site.folder / f"{name}.{name}"
        log.write_bytes(packed)
        ran = site.avowal("import", log, "--as-new-log", "--format", "combined", "--json")
        assert ran.status == 1
        assert "damaged" in ran.json()["file_reports"][0]["damage"], name


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
def test_rubbish_is_told_and_crashes_nothing(site: Site, rubbish: bytes, arguments: list[str]) -> None:
    """What is no log gives a message and no requests, and a log beside it is read."""
    (site.folder / "rubbish").write_bytes(rubbish)
    good = site.log("access.log", TEXT)
    ran = site.avowal("import", "rubbish", good, "--json", *arguments)
    assert ran.json()["counts"]["requests"] == 40
    (file,) = (file for file in ran.json()["file_reports"] if file["name"] == "rubbish")
    counts = file["counts"]
    unparsable = sum(counts["unparsable"].values())
    assert file["error"] or file["damage"] or unparsable or set(counts["dropped"]) == {"blank"}
    has_too_many = unparsable > 0.01 * ran.json()["counts"]["lines"]
    assert ran.status == int(bool(file["error"] or file["damage"] or has_too_many))


@pytest.mark.parametrize("megabytes", [10, 20])
def test_a_line_of_many_megabytes_hurts_no_other(site: Site, megabytes: int) -> None:
    """A line too long to be one becomes a dead letter with its place; those beside it are read."""
    long = line(5, "/" + "x" * megabytes * 1_000_000)
    log = site.log("access.log", *LINES[:20], long, *LINES[20:])
    report = site.take_in(log, "--max-unparsable-percent", "10")
    assert (report["counts"]["requests"], report["counts"]["unparsable"]) == (40, {"too-long": 1})
    assert site.rows("SELECT offset_bytes, length_bytes FROM unparsable_lines") == [
        (len("".join(LINES[:20])), len(long) - 1)
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_other_encodings_are_read(site: Site, beside: Site, encoding: str) -> None:
    """A log in UTF-16, or with a mark before it, gives what the plain one gives."""
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    log = site.folder / "access.log"
    log.write_bytes(mark + TEXT.encode(encoding))
    site.take_in(log)
    beside.take_in(beside.log("access.log", TEXT))
    tables = [name for name in kept(site) if name != "unparsable_lines"]
    assert kept(site, tables) == kept(beside, tables)


def test_latin_1_is_read(site: Site) -> None:
    """Bytes that are no UTF-8 are read as Latin-1, and the lines beside them as what they are."""
    log = site.folder / "access.log"
    lines = [line(0, "/caf\xe9").encode("latin-1"), line(1, "/caf\xe9").encode(), line(2, "/plain").encode()]
    log.write_bytes(b"".join(lines))
    assert site.take_in(log)["counts"]["requests"] == 3
    paths = [path for (path,) in site.rows("SELECT page_path FROM requests ORDER BY request_time")]
    assert paths == ["/caf\xe9", "/caf\xe9", "/plain"]


def test_what_has_not_happened_yet_is_left_out(site: Site) -> None:
    """Requests dated in the future are dead letters; a clock that runs ahead by some hours is forgiven."""
    now = datetime.now(UTC).replace(tzinfo=None)
    log = site.log(
        "access.log",
        line(0, start=now),
        line(0, start=now + timedelta(hours=20)),
        line(0, start=now + timedelta(hours=28)),
        line(0, start=now + timedelta(days=4000)),
    )
    ran = site.avowal("import", log, "--json")
    assert ran.status == 1
    assert (ran.json()["counts"]["requests"], ran.json()["counts"]["unparsable"]) == (2, {"in-the-future": 2})


def test_dates_that_no_calendar_has_are_left_out(site: Site) -> None:
    """A line whose date is none is a dead letter, and crashes nothing."""
    good = line(0)
    for bad in ("31/Feb/2026", "00/Jan/2026", "05/Jan/0000", "05/Xyz/2026", "05/Jan/9999"):
        log = site.log(f"{bad[:2]}{bad[3:6]}{bad[7:]}.log", *LINES, good.replace("05/Jan/2026", bad))
        report = site.take_in(log, "--as-new-log", "--max-unparsable-percent", "100")
        assert (report["counts"]["requests"], sum(report["counts"]["unparsable"].values())) == (40, 1)


def test_a_log_of_no_known_format_is_refused(site: Site) -> None:
    """A text that no format reads is refused with a remedy, and nothing of it is shown or kept."""
    log = site.log("access.log", *(f"{MARK} {n} something else entirely\n" for n in range(50)))
    ran = site.avowal("import", log, "--json")
    (file,) = ran.json()["file_reports"]
    assert (ran.status, file["error_code"]) == (1, "log-format-not-detected")
    assert ("50 lines" in file["error"], "LogFormat" in file["hint"]) == (True, True)
    assert MARK not in ran.out + ran.err
    assert site.rows("SELECT count(*) FROM logs") == [(0,)]


@pytest.mark.parametrize(
    "given",
    [
        "combined",
        '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
        r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"",
        NGINX,
    ],
    ids=["name", "LogFormat", "LogFormat with escapes", "log_format"],
)
def test_a_format_can_be_named_or_pasted(site: Site, beside: Site, given: str) -> None:
    """A format's name, an Apache LogFormat and an nginx log_format read the same log the same way."""
    log = site.log("access.log", TEXT)
    report = site.take_in(log, "--format", given)
    assert (report["format"], report["file_reports"][0]["confidence"]) == (given, None)
    beside.take_in(log)
    assert kept(site) == kept(beside)
    log.write_text(TEXT + line(99))
    assert site.take_in(log)["counts"]["lines"] == 1


def test_the_format_can_be_a_setting(site: Site) -> None:
    """`collect.log_format` names the format of all logs, and `--format` goes before it."""
    site.init(settings='[collect]\nlog_format = "common"\n')
    log = site.log("access.log", TEXT)
    assert site.take_in(log)["format"] == "common"
    assert (
        site.take_in(site.log("other.log", line(0, "/other")), "--format", "combined")["format"] == "combined"
    )


def test_a_misspelt_format_is_told_with_the_nearest(site: Site) -> None:
    """A format that is none is refused, with the one that was likely meant."""
    ran = site.avowal("import", site.log("access.log", TEXT), "--format", "combned")
    assert (ran.status, ran.code) == (2, "unknown-log-format")
    assert "`combned`" in ran.err
    assert "did you mean `combined`?" in ran.err


def test_a_known_log_is_read_on_in_the_format_that_is_given(site: Site) -> None:
    """Where the server's format has changed, the lines since are read in the one that is named."""
    log = site.log("access.log", TEXT)
    site.take_in(log)
    log.write_text(TEXT + f"{line(99).strip()} 0.250\n")
    told = site.take_in(log, "--format", TIMED)
    assert (told["counts"]["requests"], told["format"]) == (1, TIMED)
    assert site.rows("SELECT response_time_us FROM requests WHERE response_time_us IS NOT NULL") == [
        (250_000,)
    ]


def test_a_lost_key_is_told_of_before_anything_counts_twice(site: Site) -> None:
    """Without the key that logs are known by nothing is read, unless it is asked for."""
    log = site.log("access.log", TEXT)
    site.take_in(log)
    key = site.data.with_name("data.keys") / "log.key"
    kept_key = key.read_bytes()
    key.unlink()
    ran = site.avowal("import", log, "--json")
    assert (ran.status, ran.json()["file_reports"][0]["error_code"]) == (1, "key-missing")
    assert not key.exists()
    assert site.avowal("follow", log).status == 1
    assert site.rows("SELECT count(*) FROM requests") == [(40,)]
    key.write_bytes(kept_key)
    assert site.take_in(log)["counts"]["lines"] == 0
    key.unlink()
    assert site.take_in(log, "--as-new-log")["counts"]["lines"] == 40


def test_formats_that_say_their_fields_go_on_where_they_were(site: Site) -> None:
    """A grown log whose fields are named once, at its head, is read on with these."""
    head = "#Software: Example\n#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)\n"
    rows = [f"2026-01-05 12:{n:02}:00 192.0.2.1 GET /{n} 200 Mozilla/5.0+(X11;+Linux)\n" for n in range(9)]
    log = site.log("access.log", head, *rows[:4])
    assert site.take_in(log)["counts"]["requests"] == 4
    log.write_text(head + "".join(rows))
    assert site.take_in(log)["counts"]["requests"] == 5
    assert site.rows("SELECT count(*), sum(views) FROM visits") == [(1, 9)]


def test_the_data_folder_can_be_chosen(site: Site, tmp_path: Path) -> None:
    """`--data` goes before `AVOWAL_DATA`, that before the setting `data`, and keys are never in the data."""
    log = site.log("access.log", TEXT)
    variable, option = tmp_path / "variable", tmp_path / "option"
    through_variable = Site(site.folder, {"AVOWAL_DATA": str(variable)})
    assert through_variable.take_in(log)["counts"]["lines"] == 40
    assert through_variable.take_in(log, "--data", option)["counts"]["lines"] == 40
    assert site.take_in(log, "--data", variable)["counts"]["lines"] == 0
    site.init(settings='data_folder = "elsewhere"\n')
    site.take_in(log)
    for data in (variable, option, site.folder / "elsewhere"):
        assert (data / "avowal.duckdb").exists()
        assert not [path for path in data.rglob("*") if "salt" in path.name or path.suffix == ".key"]
    assert not site.data.exists()
    assert (site.folder / "keys" / "salts.json").exists()
    assert (tmp_path / "option.keys" / "salts.json").stat().st_mode & 0o077 == 0


def test_commands_work_from_below_the_folder(site: Site) -> None:
    """The folder's settings are found from any folder beneath it."""
    site.init()
    log = site.log("access.log", TEXT)
    below = site.folder / "logs" / "2026"
    below.mkdir(parents=True)
    Site(below).take_in(log)
    assert (site.data / "avowal.duckdb").exists()
    assert not (below / "data").exists()


def test_changed_terms_are_a_draft_until_they_are_published(site: Site) -> None:
    """Once a version is in force, another file of terms changes nothing but what is said; a new comment not even that."""
    site.init()
    log = site.log("access.log", TEXT)
    terms = site.folder / "policy" / "terms.toml"
    adopted = terms.read_text()
    terms.write_text(adopted.replace('full = "7 days"', 'full = "9 days"', 1))
    assert site.avowal("report").status == 0  # whoever merely looks takes nothing into force
    terms.write_text(adopted)
    site.take_in(log)
    terms.write_text(f"# The same promise.\n{adopted}")
    assert site.avowal("import", log).err == ""
    terms.write_text(adopted.replace('"bytes", ', "", 1))
    log.write_text(TEXT + line(99))
    ran = site.avowal("import", log)
    assert ran.status == 0
    assert "are a draft: version 1" in ran.err
    assert "`avowal policy publish`" in ran.err
    assert site.rows("SELECT count(bytes) = count(*) FROM requests") == [(True,)]


def test_messages_hold_nothing_of_the_log(site: Site) -> None:
    """Whatever is wrong with a log, nothing of its lines is printed, unless with `--show-unparsable`."""
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
        ran = site.avowal("import", site.log(name, *lines), "--as-new-log", *arguments)
        assert MARK not in ran.out + ran.err, name
        shown = site.avowal("import", site.folder / name, "--as-new-log", "--show-unparsable", *arguments)
        assert MARK not in shown.err, name
        assert (MARK in shown.out) == (name != "no format"), name


def test_show_bad_reads_the_lines_again_from_the_file(site: Site) -> None:
    """`--show-unparsable` prints each unreadable line as it stands in the file, with its place and reason; now and later."""
    log = site.log("access.log", *LINES[:3], "first bad one\n", *LINES[3:], "second bad one\n")
    expected = [
        f"{log}: byte {len(''.join(LINES[:3]))}, malformed: first bad one",
        f"{log}: byte {len(TEXT) + 14}, malformed: second bad one",
    ]
    for _ in range(2):
        assert site.avowal("import", log, "--show-unparsable").out.splitlines()[-2:] == expected
    packed = site.folder / "access.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    shown = site.avowal("import", packed, "--show-unparsable").out.splitlines()[-2:]
    assert [text.partition(": ")[2] for text in shown] == [text.partition(": ")[2] for text in expected]


def test_show_bad_cannot_disturb_the_terminal(site: Site) -> None:
    """A shown line's control characters are made visible, so that it cannot write what it likes on a terminal."""
    evil = "\x1b]0;title\x07 \x1b[2J \x9b31m \u202e \r [red]x[/red]"
    log = site.log("access.log", *LINES, f"{evil} bad\n")
    shown = site.avowal("import", log, "--show-unparsable").out.splitlines()[-1]
    assert shown.isprintable()
    assert "[red]x[/red] bad" in shown


def test_show_bad_and_json_exclude_each_other(site: Site) -> None:
    """Two forms of output at once are misuse."""
    assert site.avowal("import", site.log("access.log", TEXT), "--show-unparsable", "--json").status == 2


@pytest.mark.parametrize("name", ["a[/b].log", "[red]a.log", "a b;c.log", "caf\xe9.log", "-a.log", "=a.log"])
def test_file_names_are_shown_as_they_are(site: Site, name: str) -> None:
    """A file's name is text, whatever it looks like."""
    log = site.log(name, TEXT, "bad\n")
    ran = site.avowal("import", log, "--show-unparsable")
    assert ran.status == 1
    assert f"{log} " in ran.out
    assert f"{log}: byte" in ran.out


def test_imports_of_different_logs_add_up(site: Site, beside: Site) -> None:
    """Several logs of the same time, imported one after the other, make the visits that one log of all makes."""
    whole = [line(n, f"/{n}", address=f"192.0.2.{n % 3}") for n in range(60)]
    for part in range(4):
        site.take_in(site.log(f"{part}.log", *whole[part::4]))
    beside.take_in(beside.log("access.log", *whole))
    assert kept(site) == kept(beside)


def test_virtual_hosts_are_told_apart(site: Site) -> None:
    """The same visitor on two hosts makes two visits, each with its host."""
    log = site.log(
        "access.log",
        *(line(n, host=host) for n in range(4) for host in ("a.example.org:80", "b.example.org:80")),
    )
    assert site.take_in(log)["visits"] == 2
    assert site.rows("SELECT host, views FROM visits ORDER BY host") == [
        ("a.example.org", 4),
        ("b.example.org", 4),
    ]


def test_old_lines_are_read_without_what_is_too_old(site: Site) -> None:
    """What the terms permit for a time only is cut by the age of each line."""
    now = datetime.now(UTC).replace(tzinfo=None)
    ages = (1, 30, 200)
    lines = [line(0, f"/{age}", start=now - timedelta(days=age), address="198.51.100.7") for age in ages]
    site.take_in(site.log("access.log", *lines))
    assert site.rows("SELECT page_path, ip_address FROM requests ORDER BY request_time DESC") == [
        ("/1", "198.51.100.7"),
        ("/30", "198.51.100.0/24"),
        ("/200", None),
    ]


def test_lines_too_old_for_the_terms_are_dropped(site: Site) -> None:
    """Where the time of a request may be kept for a while only, older requests are dropped, and counted."""
    kept_times = '"response-time"]\nkeep = { full = "forever" }'
    site.init((kept_times, kept_times.replace("forever", "30 days")))
    now = datetime.now(UTC).replace(tzinfo=None)
    young, old = now - timedelta(days=2), NOON.replace(year=2020)
    report = site.take_in(
        site.log("access.log", line(0, start=young), line(0, start=old), line(1, start=old))
    )
    assert (report["counts"]["requests"], report["counts"]["dropped"]) == (1, {"too-old": 2})
    assert "2 dropped: too-old" in site.avowal("import", site.log("b.log", *[line(1, start=old)] * 2)).out


def test_requests_older_than_the_first_version_are_counted(site: Site) -> None:
    """What was asked before the terms were in force is bound to their first version, and this is said."""
    site.init(("updated = 2026-11-22", "updated = 2026-01-06"))
    log = site.log("access.log", line(0), line(11 * 60 + 59), line(12 * 60), line(13 * 60))
    assert site.take_in(log)["counts"]["early_requests"] == 2
    assert (
        "1 requests are older than the first version" in site.avowal("import", site.log("b.log", line(1))).out
    )


def test_robots_are_counted_and_make_no_visits(site: Site) -> None:
    """A robot's requests are requests, and neither views nor visits."""
    log = site.log("access.log", *(line(n, agent=GOOGLEBOT) for n in range(5)), line(0, agent=FIREFOX))
    report = site.take_in(log)
    assert (
        report["counts"]["requests"],
        report["counts"]["bot_requests"],
        report["views"],
        report["visits"],
    ) == (6, 5, 1, 1)
