"""The arithmetic of bench/io, and the server that its guests speak to."""
import socket
import sys
import unittest
from pathlib import Path

import support  # noqa: F401

from io_path import loads, paths

sys.path.insert(0, str(Path(loads.__file__).resolve().parent.parent / "evaluation"))
from peer import Peer


def snapshot(count, ns, reads=0, writes=0):
    return {"devices": [{"name": "pl011", "reads": 1, "writes": 1, "steps": {}},
                        {"name": "virtio-blk", "reads": reads, "writes": writes,
                         "steps": {"notice": {"count": count, "ns": ns}, "serve": {"count": count, "ns": 2 * ns}}}]}


class Loads(unittest.TestCase):
    def load(self, name):
        return next(load for load in loads.plan(1) if load.name == name)

    def test_names_differ(self):
        names = [load.name for load in loads.plan(1)]
        self.assertEqual(len(set(names)), len(names))

    def test_the_quick_plan_does_less(self):
        for full, quick in zip(loads.plan(1), loads.plan(4)):
            self.assertEqual(quick.operations, full.operations // 4)

    def test_values(self):
        load = self.load("read-4k-depth-1")
        self.assertEqual(load.value(["noise", "VALUE read-4k-depth-16 1.0", "VALUE read-4k-depth-1 250.500"]), 250.5)
        self.assertIsNone(load.value(["VALUE read-4k-depth-1 tools: /dev/vda: No such file or directory"]))
        self.assertIsNone(load.value(["VALUE read-4k-depth-1 0.000"]))

    def test_time_of_one_operation(self):
        self.assertEqual(self.load("read-4k-depth-1").us_per_operation(20000), 50)
        self.assertEqual(self.load("read-sequential").us_per_operation(1048.576), 1000)
        self.assertEqual(self.load("net-send").us_per_operation(144.8), 10)
        self.assertEqual(self.load("net-round-trip").us_per_operation(77), 77)

    def test_the_script_says_where_it_is(self):
        load = self.load("net-send")
        script = load.script(1234)
        self.assertIn(" 1234 ", script)
        for edge in ("begin", "end"):
            self.assertIn(f'echo "{load.mark(edge)}"', script)


class Paths(unittest.TestCase):
    load = loads.Load("x", "per s", "disk randread /dev/vda 4096 1 100", 100, "virtio-blk")

    def test_a_path_is_the_difference(self):
        p = paths.path(self.load, 10000, snapshot(10, 5000), snapshot(60, 205000, 100, 200))
        self.assertEqual((p.elapsed, p.accesses), (100, 3))
        self.assertEqual((p.times["notice"], p.each["notice"], p.each["serve"]), (0.5, 4, 8))
        self.assertEqual((p.times["interrupt"], p.each["interrupt"]), (0, 0))
        self.assertEqual(p.rest(), 100 - 0.5 * 12)

    def test_steps_that_overlap_leave_no_rest(self):
        self.assertIsNone(paths.path(self.load, 1000000, snapshot(0, 0), snapshot(100, 10 ** 9)).rest())

    def test_without_counters_there_is_none(self):
        self.assertIsNone(paths.path(self.load, 1, None, snapshot(0, 0)))
        self.assertIsNone(paths.median([None]))

    def test_median(self):
        found = [paths.path(self.load, rate, snapshot(0, 0), snapshot(100, 1000 * rate)) for rate in (1, 2, 5)]
        self.assertEqual(paths.median(found).each["notice"], 0.02)


class Server(unittest.TestCase):
    def test_it_does_what_it_is_asked(self):
        with Peer() as port:
            with socket.create_connection(("127.0.0.1", port)) as c:
                c.sendall(b"p")
                for byte in (b"1", b"2"):
                    c.sendall(byte)
                    self.assertEqual(c.recv(10), byte)
            with socket.create_connection(("127.0.0.1", port)) as c:
                c.sendall(b"s" + (100000).to_bytes(4, "big") + bytes(100000))
                self.assertEqual(c.recv(10), b"k")
            with socket.create_connection(("127.0.0.1", port)) as c:
                c.sendall(b"r" + (200000).to_bytes(4, "big"))
                got = 0
                while more := c.recv(1 << 16):
                    got += len(more)
                self.assertEqual(got, 200000)


if __name__ == "__main__":
    unittest.main()
