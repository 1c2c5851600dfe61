"""Results of steps, each kept in a file as soon as it is there, so that a run that was stopped goes on where it was."""
import hashlib
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable


@dataclass(frozen=True)
class Step:
    """One measurement: usually one boot. `measure` returns {key: number}; a key that is missing was not measured."""
    section: str
    name: str
    system: str
    repetition: int
    measure: Callable

    @property
    def path(self):
        return f"{self.section}/{self.name}/{self.system}.{self.repetition}.json"


class Changed(Exception):
    """What is measured is not what the kept results were measured with."""


def fingerprint(paths):
    """Of the files that the results depend on."""
    return {str(path): hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] for path in paths}


class Store:
    """A directory with one file for each step that was done. One that had problems is done again."""

    def __init__(self, directory, subject, fresh=False):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        if fresh:
            for path in self.directory.glob("**/*.json"):
                path.unlink()
        kept = self.directory / "subject.json"
        if kept.exists() and json.loads(kept.read_text()) != subject:
            raise Changed(f"{self.directory} has results of other programs than these; --fresh starts over")
        self.write(kept, subject)

    @staticmethod
    def write(path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(content, indent=1) + "\n")
        os.replace(new, path)

    def get(self, step):
        """{"seconds": that it took, "values": {key: number}, "problems": [text]}, or None."""
        path = self.directory / step.path
        return json.loads(path.read_text()) if path.exists() else None

    def do(self, step):
        begin = time.monotonic()
        problems = []
        try:
            values = step.measure(problems)
        except (OSError, RuntimeError, LookupError, ValueError) as problem:  # of one step: the others go on
            problems.append(f"{type(problem).__name__}: {problem}")
            values = {}
        result = {"seconds": time.monotonic() - begin, "values": values, "problems": problems}
        self.write(self.directory / step.path, result)
        return result


class Results:
    """What the steps that were done yielded."""

    def __init__(self, store, steps):
        self.problems = []
        self.samples = {}  # (section, name, system) -> {key: [number]}, in the order of the repetitions
        for step in sorted(steps, key=lambda step: step.repetition):
            kept = store.get(step)
            if not kept:
                self.problems.append(f"{step.path}: not measured")
                continue
            self.problems += [f"{step.section}/{step.name} on {step.system}: {text}" for text in kept["problems"]]
            for key, value in kept["values"].items():
                self.samples.setdefault((step.section, step.name, step.system), {}).setdefault(key, []).append(value)

    def of(self, section, name, system):
        return self.samples.get((section, name, system), {})

    def median(self, section, name, system, key):
        found = self.of(section, name, system).get(key)
        return statistics.median(found) if found else None


def seconds_left(steps, store):
    """Of the steps that are not done: those of the same kind tell, else the mean of all, else half a minute."""
    done = [(step, store.get(step)["seconds"]) for step in steps if store.get(step)]
    mean = statistics.mean(s for _, s in done) if done else 30

    def guess(step):
        alike = [s for d, s in done if (d.section, d.name, d.system) == (step.section, step.name, step.system)]
        return statistics.mean(alike) if alike else mean

    return sum(guess(step) for step in steps if not store.get(step))
