"""Where the time of one operation goes, from the counters before and after a load."""
import statistics
from dataclasses import dataclass

IN_A_ROW = ("notice", "serve", "interrupt")  # "host" is a part of "serve"
STEPS = ("notice", "serve", "host", "interrupt")


@dataclass(frozen=True)
class Path:
    elapsed: float  # microseconds of one operation
    accesses: float  # of the device's registers, for one operation
    times: dict  # step -> how often, for one operation
    each: dict  # step -> microseconds

    def rest(self):
        """Of `elapsed`, what is in no step: the guest's own work; None where operations overlap."""
        left = self.elapsed - sum(self.times[s] * self.each[s] for s in IN_A_ROW)
        return left if left >= 0 else None


def device(snapshot, name):
    return next((d for d in snapshot["devices"] if d["name"] == name), {"steps": {}, "reads": 0, "writes": 0})


def path(load, value, before, after):
    """None without the counters."""
    if not before or not after:
        return None
    old, new = device(before, load.device), device(after, load.device)
    times, each = {}, {}
    for step in STEPS:
        a, b = (d["steps"].get(step, {"count": 0, "ns": 0}) for d in (old, new))
        count = b["count"] - a["count"]
        times[step] = count / load.operations
        each[step] = (b["ns"] - a["ns"]) / 1000 / count if count else 0.0
    accesses = sum(new[k] - old[k] for k in ("reads", "writes")) / load.operations
    return Path(load.us_per_operation(value), accesses, times, each)


def median(paths):
    """The median path, figure by figure."""
    paths = [p for p in paths if p]
    if not paths:
        return None
    times = {s: statistics.median(p.times[s] for p in paths) for s in STEPS}
    each = {s: statistics.median(p.each[s] for p in paths) for s in STEPS}
    return Path(statistics.median(p.elapsed for p in paths), statistics.median(p.accesses for p in paths), times, each)
