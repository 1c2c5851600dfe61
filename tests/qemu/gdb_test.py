"""gdb on machines: Debian's gdb-multiarch drives a bare-metal guest and a kernel that boots; a client of our own comes and goes."""
import shutil
import subprocess
import time
import unittest

from boot_test import append
from monitor_test import END, Machines, POWER_OFF, PUT_A, QMP, SLEEP
from support import GUEST, connect

GDB = "gdb-multiarch"
BASE = 0x40010000  # where raw binaries go
# r0 counts; r1 = r0 + 1 goes to memory and comes back.
LOOP = [
    0xE3A00001,  # mov r0, #1
    0xE2801001,  # add r1, r0, #1
    0xE28F2010,  # add r2, pc, #16
    0xE5821000,  # str r1, [r2]
    0xE5923000,  # ldr r3, [r2]
    0xE2800001,  # add r0, r0, #1
    0xEAFFFFF9,  # b 1b
    0xE1A00000,
    0,
]
UART = 0x09000000
RESETS = [0xE3A00009, 0xE3800484, 0xE1400070]  # mov r0, #9; orr r0, r0, #0x84000000; hvc #0: PSCI's SYSTEM_RESET
COUNTS = PUT_A[:3] + [0xE5812000, 0xE2833001, 0xEAFFFFFC]  # 1: str r2, [r1]; add r3, r3, #1; b 1b
# Translation tables where the UART is: TTBR0, DACR and SCTLR.M are set.
TABLES_OF_A_DEVICE = [0xE3A00409, 0xEE020F10, 0xE3E01000, 0xEE031F10, 0xEE112F10, 0xE3822001, 0xEE012F10, 0xEAFFFFFE]
SERVER = ["-gdb", "unix:gdb,server=on,wait=off"]


class Remote:
    """A client of the protocol."""

    def __init__(self, path):
        self.socket = connect(str(path), END)
        self.data = b""

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b"$%s#%02x" % (data, sum(data) & 0xFF))

    def packet(self):
        while True:
            start, end = self.data.find(b"$"), self.data.find(b"#")
            if 0 <= start < end and len(self.data) >= end + 3:
                text, self.data = self.data[start + 1:end], self.data[end + 3:]
                self.socket.sendall(b"+")
                return text.decode()
            more = self.socket.recv(65536)
            assert more, f"the end, after {self.data}"
            self.data += more

    def ask(self, text):
        self.send(text)
        return self.packet()

    def value(self, text):
        return int.from_bytes(bytes.fromhex(self.ask(text)), "little")

    def ask_for_running(self, qmp):
        deadline = time.monotonic() + END
        while qmp.status() != "running":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self):
        self.socket.close()


class Stub(Machines):
    def remote(self):
        remote = Remote(self.path / "gdb")
        self.addCleanup(remote.close)
        return remote

    def test_what_comes_and_goes_stops_and_starts_the_machine_for_monitors_too(self):
        process = self.start(*self.guest(LOOP), *SERVER, *QMP, "-smp", "2")
        qmp = self.qmp()
        for _ in range(20):
            gdb = self.remote()
            self.assertEqual(gdb.ask("?"), "T05thread:01;")
            self.assertEqual(qmp.status(), "paused")
            pc = int.from_bytes(bytes.fromhex(gdb.ask("pf")), "little")
            self.assertTrue(BASE <= pc < BASE + 4 * 7 or pc == 0, hex(pc))
            gdb.ask(f"Z0,{BASE + 20:x},4")
            self.assertEqual(gdb.ask("vCont;c"), "T05thread:01;")
            self.assertEqual(qmp.status(), "debug")
            self.assertEqual(gdb.ask("pf"), (BASE + 20).to_bytes(4, "little").hex())
            self.assertEqual(gdb.ask(f"z0,{BASE + 20:x},4"), "OK")
            gdb.send("vCont;c")
            gdb.socket.sendall(b"\3")
            self.assertEqual(gdb.packet(), "T02thread:01;")
            gdb.ask(f"Z0,{BASE + 20:x},4")
            self.assertEqual(gdb.ask("D"), "OK")
            gdb.close()
            self.assertEqual(qmp.status(), "running")
        gdb = self.remote()
        gdb.ask("?")
        gdb.send("vCont;c")
        deadline = time.monotonic() + END
        while qmp.status() != "running":
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(qmp.ask("stop"), {})
        self.assertEqual(gdb.packet(), "T02thread:01;")
        gdb.send("k")
        self.assertEqual(process.wait(timeout=END), 0)

    def test_a_gdb_that_goes_without_a_word_leaves_a_machine_that_runs(self):
        self.start(*self.guest(LOOP), *SERVER, *QMP)
        qmp = self.qmp()
        for _ in range(3):
            gdb = self.remote()
            gdb.ask("?")
            self.assertEqual(gdb.ask(f"Z0,{BASE + 28:x},4"), "OK")
            gdb.send("vCont;c")
            gdb.ask_for_running(qmp)
            gdb.close()
        self.assertEqual(self.remote().ask("?"), "T05thread:01;")

    def test_a_gdb_that_waits_is_let_in_by_cont(self):
        self.start(*self.guest(LOOP), *SERVER, *QMP, "-S")
        qmp = self.qmp()
        for _ in range(20):
            gdb = self.remote()
            self.assertEqual(qmp.ask("cont"), {})
            self.assertEqual(gdb.ask("?"), "T05thread:01;")
            gdb.close()
        self.assertEqual(qmp.ask("cont"), {})

    def test_a_stopped_machine_waits_for_gdb_and_its_end_is_told(self):
        process = self.start(*self.guest(POWER_OFF), *SERVER, "-S")
        gdb = self.remote()
        gdb.ask("?")
        self.assertEqual(gdb.ask("vCont;c"), "W00")
        self.assertEqual(process.wait(timeout=END), 0)

    def test_breakpoints_are_those_of_the_machine_after_a_reset(self):
        self.start(*self.guest(LOOP), *SERVER, "-S")
        gdb = self.remote()
        gdb.ask("?")
        gdb.ask(f"Z0,{BASE + 4:x},4")
        self.assertEqual(gdb.ask("vCont;c"), "T05thread:01;")
        self.assertEqual(gdb.ask("qRcmd," + b"system_reset".hex()), "OK")
        deadline = time.monotonic() + END
        while gdb.ask("pf") != BASE.to_bytes(4, "little").hex():
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(gdb.ask("vCont;c"), "T05thread:01;")
        self.assertEqual(gdb.ask("p0"), "01000000")

    def test_a_step_over_a_reset_goes_on_in_the_new_machine(self):
        self.start(*self.guest(RESETS), *SERVER, "-S")
        gdb = self.remote()
        gdb.ask("?")
        for pc in (4, 8, 4, 8, 4):  # after 8 the machine is reset, and its first instruction is the step's
            self.assertEqual(gdb.ask("vCont;s:1"), "T05thread:01;")
            self.assertEqual(gdb.value("pf"), BASE + pc)

    def test_a_cpu_that_gdb_holds_stays_held_over_a_reset(self):
        self.start(*self.guest(LOOP), *SERVER, *QMP, "-S", "-smp", "2")
        qmp = self.qmp()
        gdb = self.remote()
        gdb.ask("?")
        gdb.send("vCont;s:2")  # which is off
        gdb.ask_for_running(qmp)
        qmp.ask("system_reset")
        qmp.event("RESET")
        for _ in range(20):
            qmp.status()
        gdb.socket.sendall(b"\3")
        self.assertEqual(gdb.packet(), "T02thread:01;")
        self.assertEqual(gdb.value("pf"), BASE)

    def test_gdb_does_not_wait_for_who_reads_a_uart(self):
        self.start(*self.guest(COUNTS), *SERVER, "-serial", "unix:serial,server=on,wait=off")
        self.connect("serial")  # and reads nothing
        gdb = self.remote()
        count, still = 0, 0
        while still < 5:  # until the guest waits, which is when more than the socket holds was written
            gdb.send("vCont;c")
            time.sleep(0.1)
            gdb.socket.sendall(b"\3")
            self.assertEqual(gdb.packet(), "T02thread:01;")
            before, count = count, gdb.value("p3")
            still = still + 1 if count > 10000 and count <= before + 3 else 0
        for _ in range(100):
            self.assertEqual(gdb.ask(f"M{UART:x},4:42000000"), "OK")

    def test_tables_that_are_a_devices_are_not_read(self):
        self.start(*self.guest(TABLES_OF_A_DEVICE), *SERVER, "-S", "-serial", "unix:serial,server=on,wait=off")
        gdb = self.remote()
        gdb.ask("?")
        self.connect("serial").send(b"x")
        self.assertEqual(gdb.ask(f"M{UART + 0x30:x},4:01030000"), "OK")  # UARTCR: it receives
        deadline = time.monotonic() + END
        while gdb.value(f"m{UART + 0x18:x},4") & 0x10:  # UARTFR.RXFE
            self.assertLess(time.monotonic(), deadline)
        for _ in TABLES_OF_A_DEVICE[:-1]:
            self.assertEqual(gdb.ask("vCont;s:1"), "T05thread:01;")
        self.assertEqual(gdb.ask("m0,4"), "E14")
        self.assertEqual(gdb.ask("Qqemu.PhyMemMode:1"), "OK")
        self.assertEqual(gdb.value(f"m{UART:x},4"), ord("x"))

    def test_steps_are_as_many_as_the_instructions(self):
        self.start(*self.guest(LOOP), *SERVER, "-S")
        gdb = self.remote()
        gdb.ask("?")
        for n in range(1 + 6 * 100):
            self.assertEqual(gdb.ask("vCont;s:1"), "T05thread:01;")
        self.assertEqual(gdb.ask("pf"), (BASE + 4).to_bytes(4, "little").hex())
        self.assertEqual(gdb.ask("p0"), (101).to_bytes(4, "little").hex())

    def test_a_peer_that_talks_nonsense_stops_nobody(self):
        self.start(*self.guest(SLEEP), *SERVER, *QMP)
        qmp = self.qmp()
        gdb = self.remote()
        for data in (b"$" + b"x" * 100_000, b"\0\xff" * 5000, b"$m0,ffffffffffffffff#00" * 100, b"$#00$#00", b"\3" * 1000):
            gdb.socket.sendall(data)
        gdb.send("qC")
        while gdb.packet() != "QC01":
            pass
        gdb.close()
        self.assertEqual(qmp.ask("cont"), {})
        self.assertEqual(qmp.status(), "running")
        self.assertEqual(self.remote().ask("?"), "T05thread:01;")


@unittest.skipUnless(shutil.which(GDB), f"needs {GDB}")
class Gdb(Machines):
    def gdb(self, *commands, timeout=600):
        """gdb runs the commands on the machine and goes; what it prints."""
        Remote(self.path / "gdb").close()  # it listens
        script = ["set pagination off", "set confirm off", "set architecture arm", "target remote gdb", *commands]
        words = [word for command in script for word in ("-ex", command)]
        process = subprocess.run([GDB, "-q", "-nx", "-batch", *words], cwd=self.path, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        self.assertEqual(process.returncode, 0, process.stdout)
        return process.stdout

    def expect(self, output, *wanted):
        """The texts, in this order."""
        at = 0
        for text in wanted:
            found = output.find(text, at)
            self.assertGreaterEqual(found, 0, f"{text!r} in\n{output}")
            at = found + len(text)

    def test_a_session(self):
        self.start(*self.guest(LOOP), *SERVER, "-S", "-smp", "2")
        output = self.gdb(
            "info threads", f"break *{BASE + 20}", "continue", "info registers r0 r1 pc", "stepi", "delete",
            f"watch *(int*){BASE + 32}", "continue", "delete", f"rwatch *(int*){BASE + 32}", "continue", "delete",
            f"awatch *(int*){BASE + 32}", "continue", "delete", "monitor info status", "p/x $SCTLR", "p $q0", "set var $r5=85",
            "p $r5", f"set var *(int*){BASE + 32}=77", f"x/dw {BASE + 32}", "maintenance packet Qqemu.PhyMemMode:1",
            f"x/xw {BASE}", "thread 2", "p/x $pc", "detach")
        self.expect(output, "(CPU#0 [running])", "(CPU#1 [halted ])", "hit Breakpoint 1, 0x40010014", "r0             0x1 ",
                    "r1             0x2 ", "0x40010018 in", "hit Hardware watchpoint 2", "Old value = 2", "New value = 3",
                    "hit Hardware read watchpoint 3", "Value = 3", "hit Hardware access (read/write) watchpoint 4",
                    "VM status: paused (debug)", "= 0xc50078", "u64 = {0, 0}", "= 85", "77", 'received: "OK"', "0xe3a00001",
                    "= 0x0", "detached]")

    @unittest.skipUnless((GUEST / "zImage-armmp").exists(), "needs scripts/guest_assets.sh")
    def test_a_kernel_that_boots(self):
        """The first system call of the first program is in the vector page, at an address that only the kernel's tables have."""
        self.start("-M", "virt", "-smp", "2", "-m", "512", "-nic", "none", "-display", "none", "-serial", "file:console",
                   "-kernel", GUEST / "zImage-armmp", "-initrd", GUEST / "initrd.img", "-append", append("echo WAS HERE"),
                   "-no-reboot", *SERVER, "-S")
        output = self.gdb("hbreak *0xffff0008", "continue", "p/x $cpsr & 0x1f", "x/xw 0xffff0008", "stepi", "delete", "info threads",
                          "continue")
        self.expect(output, "Breakpoint 1, 0xffff0008", "= 0x13", "0xffff0008:", "(CPU#1 [running])", "exited normally")
        self.assertIn("WAS HERE", (self.path / "console").read_text(errors="replace"))


if __name__ == "__main__":
    unittest.main()
