"""Whatever is killed, at whatever moment: the status is 0 only if the command ended with 0 and all of its output came.
ARMVISOR_EXEC_KILLS says how many times, ARMVISOR_EXEC_SEED with which choices."""
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import system

TIMES = int(os.environ.get("ARMVISOR_EXEC_KILLS", "10"))
SEED = int(os.environ.get("ARMVISOR_EXEC_SEED", "1"))
LINES = 3000
OUTPUT = b"".join(b"%d\n" % n for n in range(1, LINES + 1)) + b"data\ncomplete\n"
COMMAND = f"seq 1 {LINES} && cat /data/file && echo complete"
LONGEST = 3.0  # seconds until something is killed


def killed_in_the_guest(how, delay):
    """The command, and beside it what ends the guest after a while."""
    return f"(sleep {delay:.2f}; {how}) & {COMMAND.replace('seq', f'sleep {delay / 2:.2f}; seq')}"


class Kills(system.Case):
    def start(self, command, **keywords):
        keywords.setdefault("stdout", subprocess.PIPE)
        options = ["--share", f"{self.data}:/data", "--timeout", "300"]
        return subprocess.Popen(system.words(self.system, "sh", "-c", command, options=options),
                                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **keywords)

    def finish(self, process, delay, act):
        timer = threading.Timer(delay, act, [process])
        timer.start()
        out, err = process.communicate(timeout=600)
        timer.cancel()
        timer.join()
        return out, err

    def kill_host(self, random_):
        kind = random_.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT))
        return self.start(COMMAND), lambda p: p.send_signal(kind), str(kind)

    def kill_guest(self, random_):
        how = random_.choice(("echo c > /proc/sysrq-trigger", "echo b > /proc/sysrq-trigger", "echo o > /proc/sysrq-trigger",
                              "reboot -f", "kill -9 -1"))
        return self.start(killed_in_the_guest(how, random_.uniform(0, 0.3))), lambda p: None, how

    def remove_share(self, _):
        return self.start(COMMAND), lambda p: shutil.rmtree(self.data, ignore_errors=True), "share removed"

    def fill_disk(self, random_):
        most = random_.randrange(len(OUTPUT))
        where = open(self.path / "output", "w+b")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        process = self.start(COMMAND, stdout=where, preexec_fn=limit)
        process.where = where
        return process, lambda p: None, f"no room beyond {most} bytes"

    def close_reader(self, random_):
        process = self.start(COMMAND)
        process.stdout.read(random_.randrange(100))
        process.stdout.close()
        process.stdout = None
        return process, lambda p: None, "reader gone"

    def new_data(self):
        self.data = Path(tempfile.mkdtemp(dir=self.path))
        (self.data / "file").write_bytes(b"data\n")

    def test_without_a_kill_it_is_a_success(self):
        self.new_data()
        process = self.start(COMMAND)
        out, err = process.communicate(timeout=600)
        self.assertEqual((process.returncode, out), (0, OUTPUT), err)

    def test_no_kill_is_a_success(self):
        ways = (self.kill_host, self.kill_host, self.kill_guest, self.kill_guest, self.remove_share, self.fill_disk,
                self.close_reader)
        successes = 0
        for n in range(TIMES):
            if n % 50 == 0:
                print(f"{n}:", end=" ", flush=True)
            random_ = random.Random(f"{SEED}/{n}")
            self.new_data()
            # In a short series each way has its turn.
            way = ways[n % len(ways)] if TIMES < 100 else random_.choice(ways)
            process, act, what = way(random_)
            out, err = self.finish(process, random_.uniform(0, LONGEST), act)
            where = getattr(process, "where", None)
            if where:
                where.seek(0)
                out = where.read()
                where.close()
            if process.returncode == 0:
                successes += 1
                self.assertEqual(out, OUTPUT, f"{n}: {what}: {err}")
            shutil.rmtree(self.data, ignore_errors=True)
        print(f"{TIMES - successes} of {TIMES} were not ended with 0")


if __name__ == "__main__":
    unittest.main()
