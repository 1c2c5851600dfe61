"""The networks that bench/io connects guests to: each says its options, how a guest brings it up, and the address of the
host at which guests find a server as 10.0.2.2."""
import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import assets
import machines

LOOPBACK = "127.0.0.1"
UP_BY_DHCP = "network_up || echo no network"
UP_BY_HAND = "ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0"


@contextlib.contextmanager
def user():
    yield machines.Net("user", "user"), UP_BY_DHCP, LOOPBACK


@contextlib.contextmanager
def tap():
    """An interface of the host, whose kernel is the other end."""
    name = "avbench0"
    made = subprocess.run(["ip", "tuntap", "add", "dev", name, "mode", "tap"], capture_output=True, text=True)
    if made.returncode != 0:
        raise assets.Missing(f"expected to make a tap interface: {made.stderr.strip()}; run as root, where /dev/net/tun is")
    try:
        subprocess.run(["ip", "addr", "add", "10.0.2.2/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield machines.Net(f"tap={name}", f"tap,ifname={name},script=no,downscript=no"), UP_BY_HAND, "10.0.2.2"
    finally:
        subprocess.run(["ip", "link", "delete", name])


@contextlib.contextmanager
def stream():
    """passt, by a socket; it serves one connection, so there is one of it for each boot."""
    if shutil.which("passt") is None:
        raise assets.Missing("expected passt; install it")
    with tempfile.TemporaryDirectory(prefix="armvisor-bench-") as directory:
        path = Path(directory) / "socket"
        # It gives up root, so the directory must let it in.
        Path(directory).chmod(0o777)
        server = subprocess.Popen(["passt", "--foreground", "--quiet", "--socket", str(path), "--address", "10.0.2.15", "--netmask", "24",
                                   "--gateway", "10.0.2.2", "--ipv4-only", "--mtu", "1500"], stdin=subprocess.DEVNULL)
        try:
            while not path.exists():
                if server.poll() is not None:
                    raise assets.Missing(f"passt ended with status {server.returncode}")
                time.sleep(0.02)
            yield machines.Net(f"stream=unix:{path}", f"stream,addr.type=unix,addr.path={path}"), UP_BY_HAND, LOOPBACK
        finally:
            server.terminate()
            server.wait()


KINDS = {"user": user, "tap": tap, "stream": stream}
