"""The socket that `oruel serve` listens on."""

import socket

from oruel.app import open_listener


def test_small_writes_of_an_answer_are_not_held_back_for_an_acknowledgement() -> None:
    with open_listener("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
