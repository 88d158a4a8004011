"""The report of disclosures. It contains no visitor data, and needs only the register."""

from datetime import datetime
from typing import Any

from avowal.disclose.statistics import DisclosureCount, count_disclosures, format_count
from avowal.keep.enforcement import effective_versions, find_smallest_group
from avowal.register.register import Register
from avowal.store.interface import ResultTable
from avowal.use.report_request import ReportRequest

DISCLOSURE_REPORT = "disclosures"
"""The name of the report."""


def tabulate_disclosures(register: Register, request: ReportRequest, now: datetime) -> ResultTable:
    """Return how often data was released, recalled and refused, by quarter and ground.

    In a report to share, small counts are ranges. Raises RefusedError if the reader may not disclose data.
    """
    register.readers.check_can_disclose(request.reader)
    smallest_group = find_smallest_group(effective_versions(register.versions(), now))
    period = request.since or datetime.min, request.until or datetime.max
    rows: list[list[Any]] = [[*counts] for counts in count_disclosures(register, now, *period)]
    if request.is_shared:
        rows = [[*row[:2], *(format_count(count, smallest_group) for count in row[2:])] for row in rows]
    return ResultTable(list(DisclosureCount._fields), rows)
