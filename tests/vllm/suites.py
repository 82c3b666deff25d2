"""The suites of tests/contract, with vLLM behind their server."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

# Tests that can't say anything of vLLM, and why.
NOT_FOR_VLLM: Mapping[str, str] = {
    "test_tools_are_refused_without_template_support_unless_generic": "starts a server with a GGUF file of its own",
    "test_with_a_format_and_tools_the_last_part_is_a_document_or_a_call": "expects what its own random weights write",
    "test_instructor_gets_its_response_model": "has no seed, and these random weights may call again up to max_tokens",
}


def suite_of(module: ModuleType) -> dict[str, Any]:
    """The module's tests by name. Put into another module, they use that module's fixtures."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_") and callable(value) and name not in NOT_FOR_VLLM
    }
