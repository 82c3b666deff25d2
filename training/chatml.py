"""The chat format of the model: ChatML, the same text in training, in the GGUF template and in the checks."""

from training.phrases import Conversation

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = [END_OF_TEXT, START, END]
CONTEXT_LENGTH = 4096

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def prompt_text(conversation: Conversation) -> str:
    """The text after which the model writes the assistant's next message."""
    written = "".join(f"{START}{role}\n{content}{END}\n" for role, content in conversation)
    return f"{written}{START}assistant\n"
