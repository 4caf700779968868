"""`python imports_all.py`, in the image: imports the modules that its input names. Prints, as JSON, which of them are
missing, and which distributions had a part in it."""

import json
import sys
from importlib import import_module
from importlib.metadata import distributions

missing = []
for name in sys.stdin.read().split():
    try:
        import_module(name)
    except ImportError as error:
        missing.append(f"{name}: {error}")
loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
used = [each.name for each in distributions() if any(str(file.locate()) in loaded for file in each.files or ())]
print(json.dumps({"missing": missing, "used": used}))
