"""The cost model: calibrated once, then what it says against what was measured, and its what-ifs against runs."""
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import guests
import rows
import systems
from document import Part, Table
from section import Section

PROGRAMS = ("qsort", "dijkstra", "sha256", "crc32", "lz", "hashtable", "bytecode", "calls", "nbody", "fft")
LMBENCH = {"sys-null": "lat_syscall -N 1 null", "sys-stat": "lat_syscall -N 1 stat /tmp/file",
           "sys-open": "lat_syscall -N 1 open /tmp/file", "sig-catch": "lat_sig -N 1 catch", "pipe": "lat_pipe -N 1",
           "ctx-2p-0k": "lat_ctx -N 1 -s 0 2", "fork": "lat_proc -N 1 fork", "exec": "lat_proc -N 1 exec",
           "pagefault": "lat_pagefault -N 1 /tmp/file", "mmap": "lat_mmap -N 1 1m /tmp/file"}
SHELL = {
    "gzip": "gzip -c /bin/busybox > /tmp/bb.gz",
    "gunzip": "for i in 1 2 3 4; do gunzip -c /tmp/bb.gz > /tmp/bb2; done",
    "sums": "for i in 1 2 3 4; do sha256sum /bin/busybox; md5sum /bin/busybox; done",
    "find": "for i in 1 2 3 4 5 6 7 8; do find / -xdev -name '*.ko' | sort | wc; done",
    "awk": "awk 'BEGIN{for(i=0;i<60000;i++){a[i%1000]+=i;s=s+length(a[i%7])};print s}'",
    "loop": "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done",
    "forks": "i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i + 1)); done",
    "tar": "tar cf /tmp/t.tar /bin /lib /etc; tar tf /tmp/t.tar; rm /tmp/t.tar",
}
WHAT_IFS = {"drfa": systems.LEVELS[0], "all": systems.LEVELS[1]}


def script():
    lines = ["modprobe armvisor_hints", "export ENOUGH=100000 TIMING_O=0.1 LOOP_O=0.01", "cp /bench/lmbench/hello /tmp/hello",
             "dd if=/dev/zero of=/tmp/file bs=1k count=1024 2>/dev/null"]
    loads = {name: f"{rows.LMBENCH}/{command}" for name, command in LMBENCH.items()} | SHELL
    loads |= {f"p-{name}": f"/bench/programs {name} 2" for name in PROGRAMS}
    for name, command in loads.items():
        lines += [f"f() {{ {command}; }}", "f >/dev/null 2>&1", f"echo begin {name} > /dev/armvisor", "f >/dev/null 2>&1",
                  f"echo end {name} > /dev/armvisor"]
    return "\n".join(lines)


class Model(Section):
    name = "model"

    def prepare(self):
        self.initrd = guests.make_initrd("model", lmbench=True)
        self.costs = guests.DIRECTORY / "costs.json"

    def armvisor(self, *arguments):
        done = subprocess.run([self.context.compared.armvisor, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def steps(self):
        # One repetition is a calibration, the loads at each level in turn, and the model's word on them. An error has
        # those of two runs in it, so there are medians even of a quick evaluation.
        return self.repetitions("errors", "armvisor", self.measure, max(3, self.context.repeats))

    def measure(self, problems):
        values = {}
        with tempfile.TemporaryDirectory(prefix="armvisor-bench-") as directory:
            costs = Path(directory) / "costs.json"
            self.armvisor("calibrate", "--rounds", 3, "--output", costs)
            stats = {}
            for system in (systems.DEFAULT, *WHAT_IFS.values()):
                stats[system.name] = Path(directory) / f"{system.name}.json"
                machine = self.context.compared.machine(system, (f"--stats=json:{stats[system.name]}", "--jit", "count-instructions"))
                guests.Run(self.initrd, script()).go(machine, problems)
            usual = stats["armvisor"]

            def said(*arguments):
                return {load["name"]: load for load in json.loads(self.armvisor("model", "--json", "--costs", costs, *arguments))["loads"]}

            try:
                plain = said(usual)
                for name, load in plain.items():
                    values[f"{name}/generic"] = load["error"]
                    values[f"{name}/ms"] = load["measured_ns"] / 1e6
                for what, system in WHAT_IFS.items():
                    run, reference, whatif = said(stats[system.name]), said("--reference", usual, stats[system.name]), said("--what-if", what, usual)
                    for name in plain:
                        each = {kind: of[name][key] / instructions(of[name]) for kind, of, key in (
                            ("usual", plain, "measured_ns"), ("run", run, "measured_ns"), ("whatif", whatif, "what_if_ns"))}
                        values[f"{name}/{what}/run"] = each["run"] / each["usual"]
                        values[f"{name}/{what}/reference"] = reference[name]["error"]
                        values[f"{name}/{what}/what-if"] = each["whatif"] / each["run"] - 1
            except (RuntimeError, KeyError) as problem:
                problems.append(f"armvisor model: {problem}")
        return values

    def part(self, results):
        found = results.of(self.name, "errors", "armvisor")
        names = list(dict.fromkeys(key.split("/")[0] for key in found))
        columns = ["generic"] + [f"{what}/{kind}" for what in WHAT_IFS for kind in ("run", "reference", "what-if")]
        middle = {(n, c): statistics.median(found[f"{n}/{c}"]) for n in names for c in columns if f"{n}/{c}" in found}

        def text(column, value):
            return None if value is None else f"{value:.2f}" if column.endswith("run") else f"{100 * value:+.0f}%"

        lines = [[n, statistics.median(found[f"{n}/ms"]), *[text(c, middle.get((n, c))) for c in columns]] for n in names]
        errors = {c: [abs(middle[n, c]) for n in names if (n, c) in middle] for c in columns if not c.endswith("run")}
        strong = [[title, None, *[f"{100 * of(errors[c]):.1f}%" if errors.get(c) else "" for c in columns]]
                  for title, of in (("median error", statistics.median), ("largest error", max))]
        return Part("The cost model", [
            "armvisor calibrate, then armvisor model against loads that the calibration did not use. Generic: host CPU time "
            "predicted with one cost for all guest instructions. For --traps drfa and all: how many times the usual time per "
            "instruction a run took; the error of the model with each load's own cost of an instruction from the usual run; "
            "the error of --what-if from the usual run alone."],
            [Table(["load", "ms", "generic"] + [f"{what}: {kind}" for what in WHAT_IFS for kind in ("by running", "reference", "what if")],
                   lines, strong)])


def instructions(load):
    return next(term["count"] for term in load["terms"] if term["name"] == "instruction")
