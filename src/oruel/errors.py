"""All errors of Oru'el, as one tree. Errors that reach a caller carry an HTTP status, type, code and param.

OruelError
├── RequestError                400  invalid_request_error
│   ├── InvalidBody                  the body is not a JSON object
│   ├── InvalidParameter             a known field has an invalid value
│   │   ├── TemplateTooCostly        the chat template takes too long to render these messages
│   │   ├── TooCostly                preparing the request takes too much time or memory
│   │   └── NameTaken           409  there is an account of this name
│   ├── UnknownParameter             an unknown field
│   ├── UnsupportedParameter         a known field asks for something that this server doesn't support
│   ├── SchemaRefused                an invalid JSON Schema, or one that exceeds the limits
│   ├── ContextLengthExceeded        the prompt leaves no room for an answer
│   ├── NotFound                404  there is no such endpoint
│   │   ├── ModelNotFound            the catalog has no such model
│   │   ├── AccountNotFound          the store has no such account
│   │   └── KeyNotFound              the store has no such API key
│   ├── MethodNotAllowed        405
│   ├── BodyTooLarge            413
│   ├── BodyTimedOut            408  the body arrived too slowly
│   ├── HeadTimedOut            408  the request line and headers arrived too slowly
│   ├── HeadTooLarge            431  the request line and headers are too long
│   ├── InvalidRequestHead           the request line or headers are not valid HTTP
│   ├── NotJSON                 415
│   ├── HostRefused             403  permission_error
│   ├── PermissionDenied        403  permission_error: the key doesn't allow this endpoint, model or tier
│   ├── InsufficientFunds       402  insufficient_funds: the account's balance doesn't cover the request
│   ├── IdempotencyConflict     409  the Idempotency-Key belongs to another request, or to one in progress
│   ├── RateLimited             429  rate_limit_error, with Retry-After
│   │   └── SpendingLimitReached     the key has spent what it may spend in this day or month
│   └── OriginRefused           403  permission_error: a web page of another origin sent the request
├── AuthenticationError         401  authentication_error
├── ServerError                 500  server_error
│   ├── Overloaded              503  overloaded_error, with Retry-After
│   │   └── TooManyConnections       the server, or the client's address, is at its limit
│   ├── EngineFailed            503  the engine process died during the request
│   ├── PreparationFailed       503  the job server died during the request
│   ├── StoreUnavailable        503  the ledger can't be read or written
│   ├── UpstreamFailed          502  an upstream server failed during the request
│   │   ├── UpstreamUnavailable      the upstream server never accepted the request
│   │   ├── VLLMUnusable             a vLLM without our plugin, without its token API, or with another model
│   │   ├── VLLMReplaced             a vLLM was restarted with other settings during the request
│   │   └── UpstreamTimedOut    504  the upstream server sent nothing for too long
│   ├── RoutedInCircles         508  the request has passed through too many Oru'el instances
│   └── DeadlineExceeded        504  timeout_error
│       └── AnswerUnread             the client left too much of its answer unread
├── ChatFailed                       never reaches HTTP: `oruel chat` got no proper answer
├── VerifyFailed                     never reaches HTTP: the endpoint that `oruel verify` tests can't be used
│   └── BudgetSpent                  the run has spent the tokens that it may spend
└── StartupError                     never reaches HTTP: the command line prints it and exits
    ├── ConfigError                  a setting is unknown or invalid
    ├── StoreError                   the ledger's store can't be opened, or is not ours
    ├── LibraryError                 libllama is missing, has the wrong version, or can't run on this CPU
    └── ModelLoadError               a model can't be found, fetched or loaded
"""

from typing import ClassVar


class OruelError(Exception):
    """The root of the tree. `message` says what was sent, what is allowed and what to do."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class RequestError(OruelError):
    status = 400
    type = "invalid_request_error"


class InvalidBody(RequestError):
    code = "invalid_body"


class InvalidParameter(RequestError):
    code = "invalid_value"


class TemplateTooCostly(InvalidParameter):
    pass


class TooCostly(InvalidParameter):
    pass


class NameTaken(InvalidParameter):
    status = 409
    code = "name_taken"


class UnknownParameter(RequestError):
    code = "unknown_parameter"


class UnsupportedParameter(RequestError):
    code = "unsupported_parameter"


class SchemaRefused(RequestError):
    code = "invalid_schema"


class ContextLengthExceeded(RequestError):
    code = "context_length_exceeded"


class NotFound(RequestError):
    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class AccountNotFound(NotFound):
    code = "account_not_found"


class KeyNotFound(NotFound):
    code = "key_not_found"


class MethodNotAllowed(RequestError):
    status = 405
    code = "method_not_allowed"


class BodyTooLarge(RequestError):
    status = 413
    code = "body_too_large"


class BodyTimedOut(RequestError):
    status = 408
    type = "timeout_error"
    code = "body_timeout"


class HeadTimedOut(RequestError):
    status = 408
    type = "timeout_error"
    code = "head_timeout"


class HeadTooLarge(RequestError):
    status = 431
    code = "head_too_large"


class InvalidRequestHead(RequestError):
    code = "invalid_http"


class NotJSON(RequestError):
    status = 415
    code = "unsupported_media_type"


class HostRefused(RequestError):
    status = 403
    type = "permission_error"
    code = "host_refused"


class OriginRefused(RequestError):
    status = 403
    type = "permission_error"
    code = "origin_refused"


class PermissionDenied(RequestError):
    status = 403
    type = "permission_error"
    code = "permission_denied"


class InsufficientFunds(RequestError):
    status = 402
    type = "insufficient_funds"
    code = "insufficient_funds"


class IdempotencyConflict(RequestError):
    status = 409
    code = "idempotency_conflict"


class RateLimited(RequestError):
    """`retry_after`: seconds, sent as the Retry-After header; None if waiting doesn't help."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SpendingLimitReached(RateLimited):
    code = "spending_limit_reached"


class AuthenticationError(OruelError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class ServerError(OruelError):
    code = "internal_error"


class Overloaded(ServerError):
    """`retry_after`: seconds, sent as the Retry-After header."""

    status = 503
    type = "overloaded_error"
    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyConnections(Overloaded):
    code = "too_many_connections"


class EngineFailed(Overloaded):
    code = "engine_failed"


class PreparationFailed(Overloaded):
    code = "preparation_failed"


class StoreUnavailable(Overloaded):
    code = "store_unavailable"


class UpstreamFailed(ServerError):
    """`detail` is only for the operator's log: it may contain addresses and text from the upstream server."""

    status = 502
    code = "upstream_failed"

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class UpstreamUnavailable(UpstreamFailed):
    code = "upstream_unavailable"


class VLLMUnusable(UpstreamFailed):
    code = "vllm_unusable"


class VLLMReplaced(UpstreamFailed):
    code = "vllm_replaced"


class UpstreamTimedOut(UpstreamFailed):
    status = 504
    type = "timeout_error"
    code = "upstream_timeout"


class RoutedInCircles(ServerError):
    status = 508
    code = "routed_in_circles"


class DeadlineExceeded(ServerError):
    status = 504
    type = "timeout_error"
    code = "deadline_exceeded"


class AnswerUnread(DeadlineExceeded):
    code = "answer_unread"


class ChatFailed(OruelError):
    code = "chat_failed"


class VerifyFailed(OruelError):
    code = "verify_failed"


class BudgetSpent(VerifyFailed):
    code = "budget_spent"


class StartupError(OruelError):
    code = "startup_error"


class ConfigError(StartupError):
    code = "config_error"


class StoreError(StartupError):
    code = "store_error"


class LibraryError(StartupError):
    code = "library_error"


class ModelLoadError(StartupError):
    code = "model_load_error"
