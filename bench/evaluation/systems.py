"""What is measured against what: armvisor at each level and policy, QEMU, and the host itself."""
from dataclasses import dataclass

import machines


@dataclass(frozen=True)
class System:
    name: str
    options: tuple = ()  # of armvisor run
    prelude: str = ""  # what the guest does before it is measured


DEFAULT = System("armvisor")
QEMU = System("qemu")
NATIVE = System("native")
LEVELS = (System("traps=drfa", ("--traps", "drfa")), System("traps=all", ("--traps", "all")))
POLICIES = (System("mmu=flush", ("--mmu", "flush")), System("mmu=rmap", ("--mmu", "rmap")),
            System("mmu=rmap+hints", ("--mmu", "rmap+hints"), "modprobe armvisor_hints"))

COLOURS = {"armvisor": "#2a7de1", "qemu": "#e08a2a", "native": "#6a9a4a", "traps=drfa": "#7a5fd0", "traps=all": "#b04a9a",
           "mmu=flush": "#c0504d", "mmu=rmap": "#3a9a9a", "mmu=rmap+hints": "#8a8a3a"}


@dataclass(frozen=True)
class Compared:
    """The programs that are measured."""
    armvisor: str
    qemu: str | None = None  # None: not measured
    libraries: str | None = None

    def has(self, system):
        return system is not QEMU or self.qemu is not None

    def machine(self, system, options=()):
        if system is QEMU:
            return machines.Qemu(self.qemu, self.libraries)
        return machines.Armvisor(self.armvisor, "jit", [*system.options, *options])

    def versions(self):
        found = {"armvisor": self.machine(DEFAULT).version()}
        if self.qemu:
            found["qemu"] = self.machine(QEMU).version()
        return found
