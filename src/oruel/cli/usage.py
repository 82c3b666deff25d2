"""oruel usage: what was used and what it cost, as a table, as CSV, as JSON or as a chart."""

from typing import Annotated, Any

import typer

from oruel.cli.accounts import AsJson
from oruel.cli.options import with_options
from oruel.cli.store import STORE_OPTIONS, open_administration, parse_option
from oruel.errors import InvalidParameter
from oruel.ledger.moments import Day


@with_options(STORE_OPTIONS)
def usage(
    first_day: Annotated[
        str | None, typer.Option("--from", metavar="DATE", show_default=False, help="The first day, in UTC.")
    ] = None,
    last_day: Annotated[
        str | None, typer.Option("--to", metavar="DATE", show_default=False, help="The last day, in UTC.")
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="day|model|tier|account|key", help="How to group; several are separated by commas.")
    ] = "day",
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", show_default=False, help="Only this account, by name or id.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_chart: Annotated[bool, typer.Option("--chart", help="Draw a bar for each row.")] = False,
    as_json: AsJson = False,
    **flags: Any,
) -> None:
    """Show requests, tokens, prices and costs.

    Price is what users pay, cost is what the operator pays.
    """
    if as_csv + as_chart + as_json > 1:
        raise InvalidParameter("Choose one of --csv, --chart and --json.")
    start, end = (
        None if value is None else parse_option(name, Day(), value)
        for name, value in (("from", first_day), ("to", last_day))
    )
    from oruel.cli import usage_tables
    from oruel.ledger.usage import Groupings, UsageQuery

    query = UsageQuery(parse_option("by", Groupings(), by), start, end, account)
    query.check()
    with open_administration(flags) as administration:
        rows = administration.report_usage(query)
    if as_csv:
        usage_tables.print_csv(query, rows)
    elif as_json:
        usage_tables.print_report(query, rows)
    elif as_chart:
        usage_tables.print_chart(query, rows)
    else:
        usage_tables.print_table(query, rows)
