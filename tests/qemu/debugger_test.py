"""A stub that many come to, and what single steps are: gdb's protocol on bare-metal programs and on a kernel that boots.

With ARMVISOR_LONG=1 in the environment there is more of each."""
import itertools
import os
import random
import shutil
import subprocess
import threading
import time
import unittest
from pathlib import Path

from boot_test import append
from gdb_test import BASE, Remote, SERVER
from monitor_test import END, Machines, QMP
from support import ARMVISOR, GUEST

LONG = os.environ.get("ARMVISOR_LONG") == "1"
GUESTS = Path(os.environ.get("ARMVISOR_GUESTS", "."))
QEMU = shutil.which("qemu-system-arm")
NM = shutil.which("arm-linux-gnueabihf-nm")
# CPU 0 turns CPU 1 on, which counts in a variable.
VARIABLE = BASE + 0x40
WRITES_ON_ANOTHER_CPU = [
    0xE3A00003,  # mov r0, #3
    0xE3800484,  # orr r0, r0, #0x84000000: CPU_ON
    0xE3A01001,  # mov r1, #1
    0xE28F200C,  # adr r2, 1f
    0xE3A03000,  # mov r3, #0
    0xE1400070,  # hvc #0
    0xEAFFFFFE,  # b .
    0xE1A00000,
    0xE28F2018,  # 1: adr r2, variable
    0xE2800001,  # 2: add r0, r0, #1
    0xE5820000,  # str r0, [r2]
    0xEAFFFFFC,  # b 2b
    0, 0, 0, 0, 0,
]
WRITES_AT = BASE + 0x28
# Each round writes "add r4, r4, #n" at `patched`, n counting in bytes from 1, and executes it.
PATCHED = BASE + 0x38
PATCHES_ITSELF = [
    0xE3A05000,  # mov r5, #0
    0xE3A04000,  # mov r4, #0
    0xE28F6028,  # adr r6, patched
    0xE59F702C,  # ldr r7, =add r4, r4, #0
    0xE2855001,  # 1: add r5, r5, #1
    0xE20550FF,  # and r5, r5, #255
    0xE1878005,  # orr r8, r7, r5
    0xE5868000,  # str r8, [r6]
    0xEE076F3B,  # mcr p15, 0, r6, c7, c11, 1: DCCMVAU
    0xF57FF04F,  # dsb
    0xEE076F35,  # mcr p15, 0, r6, c7, c5, 1: ICIMVAU
    0xEE076FD5,  # mcr p15, 0, r6, c7, c5, 6: BPIALL
    0xF57FF04F,  # dsb
    0xF57FF06F,  # isb
    0xE1A00000,  # patched: nop
    0xEAFFFFF3,  # b 1b
    0xE2844000,
]


def symbol(elf, name):
    for line in subprocess.run([NM, elf], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.split()[-1] == name:
            return int(line.split()[0], 16)
    raise AssertionError(f"no {name} in {elf}")


class Bare(Machines):
    def remote(self, name="gdb"):
        remote = Remote(self.path / name)
        self.addCleanup(remote.close)
        return remote

    def test_a_variable_that_another_cpu_writes_is_watched(self):
        self.start(*self.guest(WRITES_ON_ANOTHER_CPU), *SERVER, "-S", "-smp", "2")
        gdb = self.remote()
        gdb.ask("?")
        watch = f"2,{VARIABLE:x},4"
        for count in range(1, 201):
            self.assertEqual(gdb.ask("Z" + watch), "OK")
            self.assertEqual(gdb.ask("vCont;c"), f"T05thread:02;watch:{VARIABLE:x};")
            self.assertEqual((gdb.value("pf"), gdb.value("p0")), (WRITES_AT, count))
            self.assertEqual(gdb.value(f"m{VARIABLE:x},4"), count - 1, "the access is not made yet")
            self.assertEqual(gdb.ask("z" + watch), "OK")
            self.assertEqual(gdb.ask("vCont;s:2"), "T05thread:02;")
            self.assertEqual(gdb.value(f"m{VARIABLE:x},4"), count)

    def test_a_breakpoint_stays_where_the_program_writes_instructions(self):
        self.start(*self.guest(PATCHES_ITSELF), *SERVER, "-S")
        gdb = self.remote()
        gdb.ask("?")
        breakpoint = f"0,{PATCHED:x},4"
        self.assertEqual(gdb.ask("Z" + breakpoint), "OK")
        total = 0
        for n in range(1, 301):
            self.assertEqual(gdb.ask("vCont;c"), "T05thread:01;")
            self.assertEqual((gdb.value("pf"), gdb.value("p4")), (PATCHED, total))
            self.assertEqual(gdb.value(f"m{PATCHED:x},4"), 0xE2844000 | n & 0xFF)
            total += n & 0xFF
            if n % 3 == 0:  # as gdb does it
                self.assertEqual(gdb.ask("z" + breakpoint), "OK")
            self.assertEqual(gdb.ask("vCont;s:1"), "T05thread:01;")
            self.assertEqual((gdb.value("pf"), gdb.value("p4")), (PATCHED + 4, total), "one instruction, the new one")
            if n % 3 == 0:
                self.assertEqual(gdb.ask("Z" + breakpoint), "OK")


@unittest.skipUnless(NM and (GUESTS / "code.elf").exists(), "needs arm-linux-gnueabihf-nm and the guest programs")
class Steps(Machines):
    """Programs that are stepped through, side by side: by the compiler, by the interpreter and, if there is one, by QEMU."""
    WITH_QEMU = 3500  # steps; later one program reads IFAR after BKPT, which is not the same there

    def machines(self, elf):
        ours = ["run", "--kernel", elf, "--memory", "128M", "--console", "none", "--stopped"]
        lines = [[ARMVISOR, *ours, "--engine", engine, "--gdb", f"unix:{self.path}/{engine}"] for engine in ("jit", "interp")]
        if QEMU:
            lines.append([QEMU, "-M", "virt", "-cpu", "cortex-a15", "-m", "128", "-nic", "none", "-display", "none", "-serial", "null",
                          "-monitor", "none", "-S", "-kernel", elf, "-gdb", f"unix:{self.path}/qemu,server=on,wait=off"])
        all = []
        for line, name in zip(lines, ("jit", "interp", "qemu")):
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            gdb = Remote(self.path / name)
            self.addCleanup(gdb.close)
            all.append(gdb)
        return all

    def together(self, machines, text):
        """What they all answer."""
        for gdb in machines:
            gdb.send(text)
        answers = [gdb.packet() for gdb in machines]
        self.assertEqual(len(set(answers)), 1, (text, answers))
        return answers[0]

    def steps(self, program, count):
        """So many steps from where the program's tests begin; with LONG ten times as many."""
        elf = str(GUESTS / f"{program}.elf")
        machines = self.machines(elf)
        for gdb in machines:
            gdb.ask("?")
            gdb.ask("qXfer:features:read:target.xml:0,10")  # QEMU writes registers for nobody who does not ask
        # What is not said of a CPU after reset, nor of what a loader leaves.
        for n in range(15):
            self.together(machines, f"P{n:x}=00000000")
        self.together(machines, "P19=d3010000")
        at = f"0,{symbol(elf, 'test_begin'):x},4"
        for text in ("Z" + at, "vCont;c", "z" + at):
            self.together(machines, text)
        met, before = set(), ""
        for n in range(count * (10 if LONG else 1)):
            if n == self.WITH_QEMU:
                del machines[2:]
            stop = self.together(machines, "vCont;s:1")
            if stop == "W00" and n > 3 * count:
                break  # the program's end
            self.assertEqual(stop, "T05thread:01;")
            for gdb in machines:
                gdb.send("g")
            answers = [gdb.packet() for gdb in machines]
            registers = [a[:16 * 8] + a[-8:] for a in answers]  # QEMU may have those of the FPA between them and CPSR
            self.assertEqual(len(set(registers)), 1, f"step {n} of {program} from {before}: {registers}")
            before = registers[0]
            met.add(before[15 * 8:16 * 8])
        self.assertGreater(len(met), 50, "it is the same loop all the time")

    def test_steps_over_exceptions(self):
        self.steps("exceptions", 1200)

    def test_steps_in_code_that_is_rewritten(self):
        self.steps("code", 1200)

    def test_steps_over_exclusives(self):
        self.steps("exclusives", 1000)


@unittest.skipUnless((GUEST / "zImage-armmp").exists(), "needs scripts/guest_assets.sh")
class Visits(Machines):
    """Debuggers come and go while a kernel boots, and leave no trace."""
    VISITS = 201 if LONG else 25  # the last has a look only, and says that it goes
    SYSTEM_CALL = 0xFFFF0008
    NOWHERE = 0xFFFC0000  # where the kernel has nothing

    def look(self, gdb):
        gdb.ask("g")
        gdb.ask("mc0008000,100")

    def step(self, gdb):
        for _ in range(10):
            self.assertEqual(gdb.ask("vCont;s:1"), "T05thread:01;")

    def leave_stops_behind(self, gdb):
        for n in range(20):
            self.assertEqual(gdb.ask(f"Z0,{self.NOWHERE + 0x1000 * n:x},4"), "OK")
        self.assertEqual(gdb.ask(f"Z2,{self.NOWHERE:x},4"), "OK")

    def wait_for_a_system_call(self, gdb):
        """Which may not come before the first program."""
        self.assertEqual(gdb.ask(f"Z1,{self.SYSTEM_CALL:x},4"), "OK")
        gdb.send("vCont;c")
        time.sleep(0.02)
        gdb.socket.sendall(b"\3")
        self.assertRegex(gdb.packet(), "^T0[25]thread:0[12];$")

    def visit(self, n, qmp):
        """Comes, does something, and goes: with a word or, from a machine that runs, without."""
        gdb = Remote(self.path / "gdb")
        self.assertEqual(gdb.ask("?"), "T05thread:01;")
        (self.look, self.step, self.leave_stops_behind, self.wait_for_a_system_call)[n % 4](gdb)
        if n % 8 < 4:
            self.assertEqual(gdb.ask("D"), "OK")
        else:
            gdb.send("vCont;c")
            deadline = time.monotonic() + END
            while qmp.status() not in ("running", "debug"):  # the second, if it met a breakpoint before it was looked at
                self.assertLess(time.monotonic(), deadline)
        gdb.close()
        while qmp.status() != "running":
            qmp.ask("cont")

    def test_a_boot_does_not_notice(self):
        commands = ("echo READY; read line < /dev/ttyAMA0; echo $line WAS HERE; "
                    "echo TROUBLE $(dmesg | grep -iE 'stall|lockup|bug:|oops|warning|unhandled|segfault|skew')_END")
        process = self.start("-M", "virt", "-smp", "2", "-m", "512", "-nic", "none", "-display", "none", "-serial",
                             "unix:serial,server=on,wait=off", "-kernel", GUEST / "zImage-armmp", "-initrd", GUEST / "initrd.img",
                             "-append", append(commands), "-no-reboot", *SERVER, *QMP, "-S")
        serial, qmp = self.connect("serial"), self.qmp()
        qmp.ask("cont")
        for n in range(self.VISITS):
            self.visit(n, qmp)
            time.sleep(0.01)
        serial.until(b"READY")
        serial.send(b"WHO\n")
        said = serial.rest().decode(errors="replace")
        self.assertEqual(process.wait(END), 0)
        self.assertIn("WHO WAS HERE", said)
        self.assertIn("TROUBLE _END", said)

    def kernel(self, commands, *more):
        return ["-M", "virt", "-smp", "2", "-m", "256", "-nic", "none", "-display", "none", "-kernel", GUEST / "zImage-armmp", "-initrd",
                GUEST / "initrd.img", "-append", append(commands), "-no-reboot", *more]

    @unittest.skipUnless(LONG, "ARMVISOR_LONG=1 is not in the environment")
    def test_functions_of_a_kernel_that_boots_have_breakpoints(self):
        """By the addresses that the same kernel has told before."""
        names = ("start_kernel", "do_one_initcall", "kernel_execve")
        asks = f"echo 0 > /proc/sys/kernel/kptr_restrict; grep -E ' T ({'|'.join(names)})$' /proc/kallsyms"
        told = self.folder.qemu(*self.kernel(asks), "-serial", "stdio")
        places = {line.split()[2]: int(line.split()[0], 16) for line in told.stdout.splitlines() if len(line.split()) == 3}
        self.assertEqual(sorted(places), sorted(names), told.stdout)
        process = self.start(*self.kernel("echo WAS HERE", "-serial", "file:console", *SERVER, "-S"))
        gdb = Remote(self.path / "gdb")
        self.addCleanup(gdb.close)
        gdb.ask("?")
        for place in places.values():
            self.assertEqual(gdb.ask(f"Z1,{place:x},4"), "OK")
        met = []
        while not met or met[-1] != places["kernel_execve"]:
            self.assertRegex(gdb.ask("vCont;c"), "^T05thread:0[12];$")
            met.append(gdb.value("pf"))
            self.assertIn(met[-1], places.values())
            self.assertRegex(gdb.ask("vCont;s:1;s:2"), "^T05thread:0[12];$")
        self.assertEqual((met[0], met.count(met[0])), (places["start_kernel"], 1))
        self.assertGreater(met.count(places["do_one_initcall"]), 200)
        for place in places.values():
            self.assertEqual(gdb.ask(f"z1,{place:x},4"), "OK")
        self.assertEqual(gdb.ask("vCont;c"), "W00")
        self.assertEqual(process.wait(END), 0)
        self.assertIn("WAS HERE", (self.path / "console").read_text(errors="replace"))

    @unittest.skipUnless(LONG, "ARMVISOR_LONG=1 is not in the environment")
    def test_a_debugger_and_a_monitor_do_not_hang_the_machine(self):
        """Both stop it and let it go as it comes, and it is reset meanwhile; in the end its programs go on."""
        commands = ("while :; do for i in 1 2 3 4; do dd if=/dev/zero of=/dev/null bs=1 count=20000 2> /dev/null & done; wait; "
                    "echo ROUND; done")
        process = self.start("-M", "virt", "-smp", "4", "-m", "256", "-nic", "none", "-display", "none", "-serial", "file:console",
                             "-kernel", GUEST / "zImage-armmp", "-initrd", GUEST / "initrd.img", "-append", append(commands), *SERVER,
                             *QMP)
        qmp, over = self.qmp(), threading.Event()
        monitor = threading.Thread(target=self.monitor_at_random, args=(qmp, over))
        monitor.start()
        try:
            for n in range(500):
                self.visit_at_random(random.Random(n))
        finally:
            over.set()
            monitor.join()
        self.visit(0, qmp)  # so whoever was there before has gone, with all breakpoints
        console = self.path / "console"
        size, deadline = console.stat().st_size, time.monotonic() + END
        while b"ROUND" not in console.read_bytes()[size:]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        qmp.ask("quit")
        self.assertEqual(process.wait(END), 0)

    @staticmethod
    def monitor_at_random(qmp, over):
        choice = random.Random(1)
        for n in itertools.count(1):
            if over.is_set():
                return
            qmp.ask("system_reset" if n % 400 == 0 else choice.choice(("stop", "cont", "cont", "query-cpus-fast")))
            time.sleep(0.02 * choice.random())

    def visit_at_random(self, choice):
        """The monitor may come in between, so answers may be errors, and stops be told that are nobody's."""
        gdb = Remote(self.path / "gdb")

        def ask(text, *answers):
            gdb.send(text)
            while not gdb.packet().startswith(answers):
                pass

        def go(text):
            gdb.send(text)
            time.sleep(0.05 * choice.random())
            gdb.socket.sendall(b"\3")
            while not gdb.packet().startswith("T"):
                pass
        ask("?", "T05")
        places = (self.SYSTEM_CALL, self.SYSTEM_CALL + 0x10, 0xC0008000)
        for _ in range(choice.randrange(12)):
            cpu = choice.randrange(1, 5)
            choice.choice((lambda: ask(f"Z0,{choice.choice(places):x},4", "OK"),
                           lambda: ask(f"z0,{choice.choice(places):x},4", "OK", "E"),
                           lambda: ask(f"Z2,{choice.randrange(0xC0800000, 0xC0900000, 4):x},4", "OK"),
                           lambda: ask("g", *"0123456789abcdefE"), lambda: go("vCont;c"), lambda: go(f"vCont;s:{cpu}"),
                           lambda: go(f"vCont;s:{cpu};c")))()
        if choice.random() < 0.5:
            ask("D", "OK")
        elif choice.random() < 0.5:
            gdb.send("vCont;c")
        gdb.close()


if __name__ == "__main__":
    unittest.main()
