"""What a guest takes of its host: a Debian kernel that opens more than the network's bound, while its machine is asked for counters."""
import http.server
import os
import subprocess
import tempfile
import threading
import unittest

from support import STATUS, Session, command_line, linux_arguments

FLOWS = 8
PAGES = 40
PINGS = 100

IN_THE_GUEST = """
    network_up && echo NETWORK-UP
    i=0; got=0
    while [ $i -lt {pages} ]; do
      [ "$(wget -q -O - http://10.0.2.2:{port}/)" = page ] && got=$((got + 1))
      i=$((i + 1))
    done
    echo "PAGES $got"
    i=1
    while [ $i -le {pings} ]; do ping -c 1 -W 1 203.0.113.$i > /dev/null 2>&1 & i=$((i + 1)); done
    wait
    echo FLOODED
    read line
    wget -q -O - http://10.0.2.2:{port}/ > /dev/null && echo STILL-THERE
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page\n")  # and the server ends the connection, so that the wait after it is the network's

    def log_message(self, *_):
        pass


class Hostile(unittest.TestCase):
    def test_flows_are_bounded_and_the_machine_answers(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        environment = os.environ | {"XDG_RUNTIME_DIR": directory.name}
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        commands = IN_THE_GUEST.format(port=server.server_address[1], pages=PAGES, pings=PINGS)
        arguments = linux_arguments(commands) + ["--net", f"user,flows={FLOWS}", "--name", "hostile", "--no-reboot"]
        with Session(*arguments, env=environment) as guest:
            guest.expect("NETWORK-UP")
            descriptors = len(os.listdir(f"/proc/{guest.process.pid}/fd"))
            # Each of these was closed by the server: they make room for the next ones.
            self.assertEqual(guest.expect(r"PAGES (\d+)\s")[1], str(PAGES))
            guest.expect("FLOODED")
            self.assertLessEqual(len(os.listdir(f"/proc/{guest.process.pid}/fd")), descriptors + 2 * FLOWS)
            stat = subprocess.run(command_line(["stat", "hostile"]), capture_output=True, text=True, env=environment,
                                  timeout=60)
            self.assertEqual(stat.returncode, 0, stat.stderr)
            guest.send("\n")
            guest.expect("STILL-THERE")
            self.assertEqual(guest.finish(), STATUS["PoweredOff"])


if __name__ == "__main__":
    unittest.main()
