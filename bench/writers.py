"""Clients that write without end, and when their writes were acknowledged."""

import threading
import time

import raw_http

PAUSE_S = 0.01      # After a refusal, before the next node is tried.


class Writer:
    """One connection, one write at a time, at the next node if one fails."""

    def __init__(self, ports, first, text_of):
        self.ports, self.turn, self.text_of = ports, first, text_of
        self.acknowledged, self.failed, self.ends = [], 0, False
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()

    def write(self):
        connection, count = None, 0
        while not self.ends:
            try:
                if connection is None:
                    connection = raw_http.Connection(
                        self.ports[self.turn % len(self.ports)])
                status = connection.ask(self.text_of(count)).status
            except OSError:
                status = 0
            if 200 <= status < 300:
                self.acknowledged.append(time.monotonic())
                count += 1
                continue
            self.failed += 1
            self.turn += 1
            if connection is not None:
                connection.close()
                connection = None
            time.sleep(PAUSE_S)
        if connection is not None:
            connection.close()


class Writers:
    """As many of them as wanted, spread over the nodes. `with` ends them."""

    def __init__(self, count, ports, text_of):
        """ports: a list, which may change. text_of(client, n): the request."""
        self.writers = [
            Writer(ports, number,
                   lambda n, number=number: text_of(number, n))
            for number in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for writer in self.writers:
            writer.ends = True
        for writer in self.writers:
            writer.thread.join()

    def figures(self, began, ended):
        return figures([list(writer.acknowledged) for writer in self.writers],
                       began, ended)


def longest_gap(times, began, ended):
    """Seconds without any of these times, within the window."""
    edges = [began, *sorted(each for each in times if began < each < ended),
             ended]
    return max(after - before for before, after in zip(edges, edges[1:]))


def figures(clients, began, ended):
    """Of the window: the longest that one client waited from acknowledgement
    to acknowledgement; the longest that none of all came; their number."""
    together = [each for times in clients for each in times]
    return {
        "of_one_ms": max(longest_gap(times, began, ended)
                         for times in clients) * 1e3,
        "of_all_ms": longest_gap(together, began, ended) * 1e3,
        "count": sum(began < each < ended for each in together)}
