"""The host's end of the network measurements: a server that guests reach as 10.0.2.2."""
import socket
import threading

CHUNK = bytes(1 << 16)


def receive_exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def serve(connection):
    """The first byte is what tools.c was told: s it sends, r it receives, p every byte comes back."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            what = receive_exactly(connection, 1)
            if what == b"p":
                while data := connection.recv(1 << 12):
                    connection.sendall(data)
                return
            left = int.from_bytes(receive_exactly(connection, 4), "big")
            while left > 0:
                if what == b"s":
                    got = connection.recv(1 << 18)
                    if not got:
                        return
                    left -= len(got)
                else:
                    connection.sendall(CHUNK[:min(left, len(CHUNK))])
                    left -= min(left, len(CHUNK))
            if what == b"s":
                connection.sendall(b"k")
        except OSError:
            pass


class Peer:
    """with Peer() as port: a server thread per connection."""

    def __init__(self, address="127.0.0.1"):
        self.address = address

    def __enter__(self):
        self.listener = socket.create_server((self.address, 0))
        threading.Thread(target=self.accept, daemon=True).start()
        return self.listener.getsockname()[1]

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def __exit__(self, *_):
        self.listener.close()
