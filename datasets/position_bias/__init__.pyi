from .display import PositionBiasDisplay as PositionBiasDisplay
from .estimator import PositionBias as PositionBias
