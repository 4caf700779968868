"""The naive oracle: a brute-force evaluator written from the rule language alone, against which the engine is tested.

It keeps a visitor's whole history and says every sentence of the language as plainly as Python allows. It shares no
code with the engine: only the event value.
"""

from tests.oracle.membership import Oracle, Visitor

__all__ = ["Oracle", "Visitor"]
