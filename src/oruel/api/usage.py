"""GET /v1/usage: what the caller's key has used and what it cost."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from oruel.api.account_objects import usage_report
from oruel.api.admin import ACCOUNT, json_answer
from oruel.api.query import read_query
from oruel.api.record import record_of
from oruel.api.services import Endpoint, Services
from oruel.contract.kinds import Object
from oruel.errors import NotFound
from oruel.ledger.caller import Caller
from oruel.ledger.moments import Day
from oruel.ledger.usage import Groupings, UsageQuery

USAGE_QUERY = Object({"from": Day(), "to": Day(), "by": Groupings(), "account": ACCOUNT})


def usage_endpoint(services: Services) -> Endpoint:
    async def read_usage(request: Request) -> Response:
        caller = record_of(request).caller
        query = usage_query(read_query(request, USAGE_QUERY), caller)
        if services.administration is None:
            raise NotFound("This server records no usage: it was started without a store.")
        rows = await asyncio.to_thread(services.administration.report_usage, query)
        return json_answer(usage_report(query, rows, shows_cost="admin" in caller.scopes))

    return read_usage


def usage_query(given: dict[str, Any], caller: Caller) -> UsageQuery:
    """A key sees its own usage; with the scope admin, that of any account. Without a key of the store, a caller sees
    what was asked without one. Raises InvalidParameter and PermissionDenied.
    """
    period = {"by": given.get("by", ("day",)), "first_day": given.get("from"), "last_day": given.get("to")}
    if "account" in given:
        caller.require_scope("admin")
        query = UsageQuery(**period, account=given["account"])
    elif caller.key:
        query = UsageQuery(**period, account=caller.account, key=caller.key)
    else:
        query = UsageQuery(**period, keyless=True)
    query.check()
    return query
