"""Compile what the service imports, and nothing else: a root that cannot be written has no other chance of bytecode.

Bytecode of all that is installed would be 75 MB. Each file names the hash of its source in place of a time, so that
every build makes the same. usage: bytecode.py, by the Python of the environment
"""

import importlib
import pkgutil
import py_compile
import sys
from pathlib import Path

import seacanary

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH
# Imported only when they are first needed.
LATER = ("apprise", "av", "faust", "matplotlib.pyplot", "redis.asyncio", "rich.live", "uvicorn")

for found in pkgutil.walk_packages(seacanary.__path__, "seacanary."):
    importlib.import_module(found.name)
for name in LATER:
    importlib.import_module(name)
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and file.endswith(".py") and Path(file).is_relative_to(sys.prefix):
        py_compile.compile(file, doraise=True, invalidation_mode=UNCHECKED)
