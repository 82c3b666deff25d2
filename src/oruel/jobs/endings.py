"""Converts the failure of a job into the error that its caller gets."""

from collections.abc import Iterator, Mapping

from oruel import errors
from oruel.errors import OruelError, Overloaded, TooCostly
from oruel.jobs.messages import Ended, Failed, Limits

MEBIBYTE = 2**20
REMEDY = "Send a shorter or simpler request."


def ending_error(ended: Ended, limits: Limits, param: str | None) -> OruelError:
    """The error for a job that ended without an answer. `param`: the field that was being prepared; None: the body."""
    subject = param or "the request body"
    match ended.reason:
        case "cpu":
            most = f"{limits.cpu_seconds:g} s of CPU time"
            return TooCostly(f"Preparing {subject} takes more than {most}. {REMEDY}", param=param)
        case "memory":
            most = f"{limits.memory // MEBIBYTE} MiB of memory"
            return TooCostly(f"Preparing {subject} takes more than {most}. {REMEDY}", param=param)
        case "failed":
            return TooCostly(f"A library crashed while preparing {subject}. {REMEDY}", param=param)
        case "preempted":
            return Overloaded(
                f"Preparing {subject} was stopped after {ended.cpu_seconds:.2g} s of CPU time, because other requests "
                "needed its resources. Send a simpler request, or try again."
            )
        case "time":
            return Overloaded(f"Preparing {subject} took longer than {limits.wall_seconds:g} s. Try again later.")
        case "overloaded":
            return Overloaded("Too many requests are waiting to be prepared. Try again in a second.")


def rebuild_error(failed: Failed) -> Exception:
    """The error that the work raised in the process of its job."""
    kind = ERROR_CLASSES.get(failed.error)
    if kind is None:
        return RuntimeError(f"A job failed:\n{failed.message}")
    return kind(failed.message, param=failed.param) if kind in REQUEST_ERROR_CLASSES else kind(failed.message)


def class_tree(kind: type[OruelError]) -> Iterator[type[OruelError]]:
    """The class and all its subclasses."""
    yield kind
    for subclass in kind.__subclasses__():
        yield from class_tree(subclass)


ERROR_CLASSES: Mapping[str, type[OruelError]] = {kind.__name__: kind for kind in class_tree(OruelError)}
REQUEST_ERROR_CLASSES = frozenset(class_tree(errors.RequestError))
