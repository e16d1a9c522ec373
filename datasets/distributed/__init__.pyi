from .counts import (
    CountedDocuments as CountedDocuments,
)
from .counts import (
    count_documents as count_documents,
)
from .counts import (
    fit_position_bias as fit_position_bias,
)
from .load import load_pairs as load_pairs
from .part_pairs import (
    PairParts as PairParts,
)
from .part_pairs import (
    PartRows as PartRows,
)
from .part_pairs import (
    pair_parts as pair_parts,
)
