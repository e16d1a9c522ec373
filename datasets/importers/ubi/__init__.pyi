from .load import (
    UbiResult as UbiResult,
)
from .load import (
    load_ubi as load_ubi,
)
