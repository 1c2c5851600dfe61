"""Where the time of one operation goes, from the counters before and after a load."""
import statistics

STEPS = ("notice", "serve", "host", "interrupt")


def device(snapshot, name):
    return next((d for d in snapshot["devices"] if d["name"] == name), {"steps": {}, "reads": 0, "writes": 0})


def path(load, value, before, after):
    """{what: microseconds or times per operation}, or None without the counters."""
    if not before or not after:
        return None
    old, new = device(before, load.device), device(after, load.device)
    found = {"elapsed": load.us_per_operation(value)}
    for step in STEPS:
        a, b = (d["steps"].get(step, {"count": 0, "ns": 0}) for d in (old, new))
        found[f"{step} each"] = (b["ns"] - a["ns"]) / 1000 / (b["count"] - a["count"]) if b["count"] > a["count"] else 0
        found[f"{step} times"] = (b["count"] - a["count"]) / load.operations
    found["accesses"] = (new["reads"] + new["writes"] - old["reads"] - old["writes"]) / load.operations
    return found


def median(found):
    """[(what, value)] of the medians over repetitions."""
    found = [f for f in found if f]
    return [(name, statistics.median(f[name] for f in found)) for name in found[0]] if found else []
