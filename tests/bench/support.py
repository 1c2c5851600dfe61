"""Lets the tests import the bench's modules."""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

ARMVISOR = os.environ.get("ARMVISOR", str(ROOT / "build" / "release" / "armvisor"))
ENGINE = os.environ.get("ARMVISOR_ENGINE", "auto")
