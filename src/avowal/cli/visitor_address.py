"""What the commands of `avowal visitor` print of an IP address and a period."""

from avowal.cli.output import print_line
from avowal.keep.address_lookup import AddressDay, AddressRecords
from avowal.ledger.address_coverage import AddressCoverage, DayOutcome

OUTCOMES = {
    DayOutcome.COVERED: "one visitor alone had the address",
    DayOutcome.PARTLY_COVERED: "one visitor alone had the address; what a cookie leads further with is left out",
    DayOutcome.SEVERAL_VISITORS: "left out, as {visitors} visitors had the address",
    DayOutcome.COOKIE: "left out, as a cookie leads to other days or addresses: its visitor sees it at /privacy/me",
    DayOutcome.ADDRESS_UNKNOWN: "left out, as other visitors of the day may have had the address",
}


def print_address_records(records: AddressRecords) -> None:
    """Print who had an address, day by day, and how to erase what is stored."""
    print_line(f"{records.address}, from {records.since} to {records.until} UTC, by visitor day")
    for day in records.days:
        print_line(f"  {day.day}: {_describe_outcome(day)}")
        for visitor in day.visitors:
            print_line(f"    visitor {visitor.key}: {visitor.records:,} requests and script views")
        if day.records_without_address:
            print_line(f"    {_describe_unknown(day.records_without_address)}")
    if records.covered_records:
        print_line(f"to erase what one visitor alone has: `--expected-records {records.covered_records}`")
    if records.all_keys != records.covered_keys:
        print_line(
            f"to erase what all {len(records.all_keys):,} visitors have, other people among them: "
            f"`--expected-records {records.all_records} --include-others {records.code}`"
        )


def print_coverage(coverage: AddressCoverage | None) -> None:
    """Print which days an act by an address did not cover."""
    for day in coverage.days if coverage else []:
        if left := day.records - day.covered_records:
            print_line(
                f"  {day.day}: {left:,} records of {day.visitors:,} visitors are left out ({day.outcome})"
            )
        if day.records_without_address:
            print_line(f"  {day.day}: {_describe_unknown(day.records_without_address)}")


def _describe_outcome(day: AddressDay) -> str:
    if not day.visitors:
        return "no visitor is known to have had the address"
    return OUTCOMES[day.outcome].format(visitors=f"{len(day.visitors):,}")


def _describe_unknown(records: int) -> str:
    return f"{records:,} records have no full address, or none any more: nobody can tell whose they are"
