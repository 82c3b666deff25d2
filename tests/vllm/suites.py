"""The suites of tests/contract, with vLLM behind their server."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

# Tests that can't say anything of vLLM, and why.
NOT_FOR_VLLM: Mapping[str, str] = {
    "test_tools_are_refused_without_template_support_unless_generic": "starts a server with a GGUF file of its own",
    "test_a_required_call_always_has_valid_arguments": "expects the variety of random weights",
    "test_without_parallel_calls_there_is_one_call": "expects the variety of random weights",
    "test_a_call_that_max_tokens_cuts_stays_cut": "expects the length of calls that random weights write",
    "test_the_maximum_number_of_tools_is_supported": "needs a context window that the demo model doesn't have",
    "test_an_optional_call_follows_text_and_no_marker_leaks": "biases a token that the demo vocabulary doesn't have",
    "test_with_a_format_and_tools_the_answer_is_a_document_or_calls": "biases the same token",
    "test_with_tools_documents_are_completed_and_calls_stay_cut": "biases the same token",
}


def suite_of(module: ModuleType) -> dict[str, Any]:
    """The module's tests by name. Put into another module, they use that module's fixtures."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_") and callable(value) and name not in NOT_FOR_VLLM
    }
