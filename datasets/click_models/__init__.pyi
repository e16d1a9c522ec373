from ..counts.click_counts import (
    ClickCounts as ClickCounts,
)
from ..counts.click_counts import (
    click_counts as click_counts,
)
from .base import (
    ClickModel as ClickModel,
)
from .base import (
    Interval as Interval,
)
from .base import (
    Perplexity as Perplexity,
)
from .cascade import Cascade as Cascade
from .dbn import DBN as DBN
from .display import CalibrationDisplay as CalibrationDisplay
from .display import PerplexityDisplay as PerplexityDisplay
from .pbm import PBM as PBM
from .simplified_dbn import SimplifiedDBN as SimplifiedDBN
from .trust_pbm import TrustPBM as TrustPBM
from .ubm import UBM as UBM
