"""The socket that `oruel serve` listens on."""

import socket

from oruel.app import open_listener


def test_connections_send_small_writes_without_delay() -> None:
    with open_listener("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
