"""Forwards llama.cpp's log to the Python logger "oruel.llama", one record per line."""

import logging
import threading
import weakref
from collections import deque
from typing import Any

from oruel.llama import bindings

logger = logging.getLogger("oruel.llama")
logger.addHandler(logging.NullHandler())  # otherwise Python writes warnings to stderr when logging isn't configured

# llama.cpp logs hundreds of lines per model at its info level, one for each key, buffer and size.
LEVELS = {
    bindings.LOG_DEBUG: logging.DEBUG,
    bindings.LOG_INFO: logging.DEBUG,
    bindings.LOG_WARN: logging.WARNING,
    bindings.LOG_ERROR: logging.ERROR,
}


class LibraryLog:
    """Receives llama.cpp's messages from any thread. `errors` has the most recent errors, to explain a failed call."""

    def __init__(self, ffi: Any, lib: Any) -> None:
        self.errors: deque[str] = deque(maxlen=4)
        self._level = logging.DEBUG
        self._line = ""
        self._lock = threading.Lock()
        self._callback = ffi.callback(
            "ggml_log_callback", lambda level, text, _: self.write(level, ffi.string(text).decode(errors="replace"))
        )
        lib.llama_log_set(self._callback, ffi.NULL)
        # C destructors run after Python's exit and must not call the callback. At exit, finalizers run in reverse order
        # of creation, so models and contexts, which are created later, are freed while the callback still exists.
        weakref.finalize(self, lib.llama_log_set, ffi.NULL, ffi.NULL)

    def write(self, level: int, text: str) -> None:
        """Accepts a message or part of one. A line ends at a newline or where a new message starts."""
        with self._lock:
            if level != bindings.LOG_CONTINUED:
                self._emit()
                self._level = LEVELS.get(level, logging.DEBUG)
            self._line += text
            if text.endswith("\n"):
                self._emit()

    def _emit(self) -> None:
        line, self._line = self._line.strip(), ""
        if not line:
            return
        if self._level >= logging.ERROR:
            self.errors.append(line)
        logger.log(self._level, "%s", line)
