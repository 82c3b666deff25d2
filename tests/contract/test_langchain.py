"""LangChain's standard tests for chat models, against the server that a newcomer gets."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests as Standard
from openai import DefaultAsyncHttpxClient

from tests.server import RunningServer

pytestmark = pytest.mark.model

Test = Callable[..., Any]


def expected_to_fail(test: Test, reason: str) -> Test:
    """The test with its parameters, marked as LangChain wants its own tests to be marked."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> Any:
        return test(*arguments, **named)

    @wraps(test)
    async def run_later(*arguments: Any, **named: Any) -> Any:
        return await test(*arguments, **named)

    marked: Test = pytest.mark.xfail(reason=reason, strict=True)(run_later if iscoroutinefunction(test) else run)
    return marked


def beyond_the_model(test: Test) -> Test:
    """The demo model doesn't answer under this form. The mark has to go when a model does."""
    return expected_to_fail(test, "the demo model has never seen this function or class")


class TestChatOpenAI(Standard):
    test_tool_calling = beyond_the_model(Standard.test_tool_calling)
    test_tool_calling_async = beyond_the_model(Standard.test_tool_calling_async)
    test_tool_calling_with_no_arguments = beyond_the_model(Standard.test_tool_calling_with_no_arguments)
    test_unicode_tool_call_integration = beyond_the_model(Standard.test_unicode_tool_call_integration)
    test_structured_output = beyond_the_model(Standard.test_structured_output)
    test_structured_output_async = beyond_the_model(Standard.test_structured_output_async)
    test_structured_output_optional_param = beyond_the_model(Standard.test_structured_output_optional_param)
    test_structured_output_pydantic_2_v1 = expected_to_fail(
        Standard.test_structured_output_pydantic_2_v1, "langchain-openai warns that it has no classes of pydantic 1"
    )
    test_stream_time = expected_to_fail(Standard.test_stream_time, "it needs pytest-benchmark")

    @pytest.fixture(autouse=True)
    def _url(self, server: RunningServer) -> None:
        self.url = server.base_url

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "oruel-demo",
            "base_url": self.url,
            "api_key": "x",
            "temperature": 0,
            "max_retries": 0,
            "max_completion_tokens": 150,
            # By default all models share a client, whose open connections belong to the event loop of one test.
            "http_async_client": DefaultAsyncHttpxClient(headers={"Connection": "close"}),
        }
