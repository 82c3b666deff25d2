"""The samples of the parameter page, and what the demo model can do, with vLLM behind."""

from tests.contract import test_demo, test_page
from tests.vllm.suites import suite_of

globals().update(suite_of(test_page) | suite_of(test_demo))
