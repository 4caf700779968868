"""The batch twin: the same definitions over the whole archive, as SQL where SQL can say them (RULES.md section 5, L7).

`twin(segments, program) -> Twin` says of each segment whether SQL computes its memberships or the engine folds them,
and holds the queries. Nothing here runs anything.
"""

from segue.domain.batch.dialects import in_bigquery, macros
from segue.domain.batch.folding import folded, folding
from segue.domain.batch.twin import InSql, OnEngine, Plan, Twin, rows_for, twin

__all__ = ["InSql", "OnEngine", "Plan", "Twin", "folded", "folding", "in_bigquery", "macros", "rows_for", "twin"]
