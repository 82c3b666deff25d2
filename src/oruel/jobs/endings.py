"""Turns the ending of work without an answer into the error that its caller sees."""

from collections.abc import Iterator, Mapping

from oruel import errors
from oruel.errors import OruelError, Overloaded, TooCostly
from oruel.jobs.messages import Ended, Failed, Limits

MEBIBYTE = 2**20
REMEDY = "Send less at once, or make it simpler."


def ending_error(ended: Ended, limits: Limits, param: str | None) -> OruelError:
    subject = param or "The body"
    match ended.reason:
        case "cpu":
            return TooCostly(
                f"{subject} takes more than {limits.seconds:g} s of work to prepare. {REMEDY}", param=param
            )
        case "memory":
            most = limits.memory // MEBIBYTE
            return TooCostly(f"{subject} takes more than {most} MB of memory to prepare. {REMEDY}", param=param)
        case "failed":
            return TooCostly(f"{subject} can't be prepared: a library failed on it. {REMEDY}", param=param)
        case "gave way":
            return Overloaded(
                f"{subject} had taken {ended.seconds:.2g} s of work, and other requests needed the place. Make it "
                "simpler, or try again."
            )
        case "time":
            return Overloaded(f"{subject} could not be prepared within {limits.longest:g} s. Try again later.")
        case "no room":
            return Overloaded("Too many requests wait to be prepared. Try again in a second.")


def rebuild_error(failed: Failed) -> Exception:
    """The error that the work raised."""
    kind = ERROR_CLASSES.get(failed.error)
    if kind is None:
        return RuntimeError(f"a job failed:\n{failed.message}")
    return kind(failed.message, param=failed.param) if kind in REQUEST_ERROR_CLASSES else kind(failed.message)


def class_tree(kind: type[OruelError]) -> Iterator[type[OruelError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from class_tree(narrower)


ERROR_CLASSES: Mapping[str, type[OruelError]] = {kind.__name__: kind for kind in class_tree(OruelError)}
REQUEST_ERROR_CLASSES = frozenset(class_tree(errors.RequestError))
