from .display import PositionBiasDisplay as PositionBiasDisplay
from .display import SwapGraphDisplay as SwapGraphDisplay
from .estimator import PositionBias as PositionBias
