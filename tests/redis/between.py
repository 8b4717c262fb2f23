"""Who stands between a kistd and its Redis, for tests: passes bytes on. A
subclass sees them on their way, and does otherwise."""

import socket
import threading


class Between:
    def __init__(self, port):
        self.port = port
        self.accepted = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            redis = socket.create_connection(("127.0.0.1", self.port))
            self.accepted += 1
            for way in (self.forth, self.back):
                threading.Thread(target=way, daemon=True, args=[
                    client, redis, self.accepted]).start()

    def forth(self, client, redis, number):
        """What kistd says, on its connection of that number."""
        while data := client.recv(1 << 16):
            redis.sendall(data)
        redis.close()

    def back(self, client, redis, number):
        """What it is answered."""
        while data := redis.recv(1 << 16):
            client.sendall(data)
        client.close()
