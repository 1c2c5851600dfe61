"""What the boot tests share: where the program and the guest's files are, running it, and tiny guests in machine code."""
import base64
import os
import re
import selectors
import signal
import struct
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GUEST = ROOT / "build" / "guest"
ARMVISOR = os.environ.get("ARMVISOR", str(ROOT / "build" / "release" / "armvisor"))

# The tests send these, and what was started by nohup or in the background ignores them, as would all that it starts.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

ENGINE = os.environ.get("ARMVISOR_ENGINE", "auto")  # or "verify": both, in lockstep


def command_line(arguments):
    """The program with these arguments, running guests on the engine under test."""
    words = [str(a) for a in arguments]
    if words[0] == "run" and "--engine" not in words:
        words[1:1] = ["--verify"] if ENGINE == "verify" else ["--engine", ENGINE]
    return [ARMVISOR, *words]


# Exit statuses as src/cli/exit_status.inc lists them.
STATUS = {
    match[1]: int(match[2])
    for match in re.finditer(r"^STATUS\((\w+),\s*(\d+)", (ROOT / "src/cli/exit_status.inc").read_text(), re.MULTILINE)
}

# A32 instructions for guests that need no assembler.
HVC = 0xE1400070
WFI = 0xE320F003
BRANCH_TO_SELF = 0xEAFFFFFE
RAM_BASE = 0x40000000


def mov_r0(value):
    """movw r0, #low; movt r0, #high"""
    low, high = value & 0xFFFF, value >> 16
    return [
        0xE3000000 | (low & 0xF000) << 4 | (low & 0xFFF),
        0xE3400000 | (high & 0xF000) << 4 | (high & 0xFFF),
    ]


POWER_OFF = mov_r0(0x84000008) + [HVC, BRANCH_TO_SELF]
RESET = mov_r0(0x84000009) + [HVC, BRANCH_TO_SELF]
SPIN = [BRANCH_TO_SELF]
SLEEP = [WFI, 0xEAFFFFFD]
PUT_A = [0xE3A01C09, 0xE1A01801, 0xE3A02041, 0xE5812000]  # r1 = 0x09000000; UARTDR = 'A'
# Undefined where the vectors are: flash, which is erased.
CRASH = [0xE7F000F0]


STR, STRH, STRB = 0xE5801000, 0xE1C010B0, 0xE5C01000  # of r1, at r0
SLOT_1, REGION = 0x3F008000, 0x10000000


def put(store, address, number):
    return mov_r0(address) + [word | 0x1000 for word in mov_r0(number)] + [store]


def place_slot_1():
    """Gives the PCI function in slot 1 its region."""
    return put(STR, SLOT_1 + 0x10, REGION) + put(STR, SLOT_1 + 4, 2)


def tell_pvpanic(value):
    return place_slot_1() + put(STRB, REGION, value)


def start_watchdog():
    """An i6300esb that is over after a second: 33 MHz over 32, the first timer of one tick, the second as it is."""
    unlock = put(STRB, REGION + 12, 0x80) + put(STRB, REGION + 12, 0x86)
    return place_slot_1() + put(STRH, SLOT_1 + 0x60, 4) + unlock + put(STR, REGION, 1) + put(STRB, SLOT_1 + 0x68, 2)


def write_code(path, words):
    Path(path).write_bytes(struct.pack(f"<{len(words)}I", *words))


def raw_kernel(path, words):
    """Writes a bare-metal guest; returns the --kernel argument for it."""
    write_code(path, words)
    return f"{path}@0x{RAM_BASE + 0x8000:x}"


def run(*arguments, timeout=120, **keywords):
    """armvisor with these arguments, to its end."""
    return subprocess.run(command_line(arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=timeout, **keywords)


def linux_arguments(commands, kernel="armmp"):
    """Options that boot Linux, have it run shell commands, and power off."""
    code = base64.b64encode(commands.encode()).decode()
    return ["run", "--kernel", GUEST / f"zImage-{kernel}", "--initrd", GUEST / "initrd.img", "--append",
            f"console=ttyAMA0 quiet armvisor.exec={code}"]


class Session:
    """A running machine whose console is read and written."""

    def __init__(self, *arguments, **keywords):
        self.process = subprocess.Popen(command_line(arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0, **keywords)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def expect(self, pattern, timeout=600):
        """Reads until `pattern` appears in what was not consumed yet."""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while True:
                match = re.search(pattern, self.text)
                if match:
                    self.text = self.text[match.end():]
                    return match
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise AssertionError(f"'{pattern}' did not come; the console says:\n{self.text[-4000:]}")
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise AssertionError(f"'{pattern}' did not come before the end:\n{self.text[-4000:]}")
                self.text += data.decode(errors="replace")

    def send(self, text):
        self.process.stdin.write(text.encode())

    def finish(self, timeout=120):
        """Reads to the end; returns the exit status."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return self.process.wait(max(1, deadline - time.monotonic()))
            self.text += data.decode(errors="replace")
        raise AssertionError("the machine does not end")
