from .._shared.gate_display import GateDisplay as GateDisplay
from .base.identity import Identity as Identity
from .base.rewards import RewardTable as RewardTable
from .base.sums import Sums as Sums
from .base.weights_display import WeightsDisplay as WeightsDisplay
from .base.weights_display import WeightsOverTimeDisplay as WeightsOverTimeDisplay
from .evidence.evidence import Evidence as Evidence
from .fusion.columns import fuse_columns as fuse_columns
from .fusion.combine import FusedColumns as FusedColumns
from .fusion.lists import (
    Fused as Fused,
)
from .fusion.lists import (
    fuse as fuse,
)
from .fusion_bandit import FusionBandit as FusionBandit
from .interactions.columns import EventColumns as EventColumns
from .interactions.update_report import UpdateReport as UpdateReport
from .log_follower.follower import LogFollower as LogFollower
from .posterior.display import PosteriorDisplay as PosteriorDisplay
from .replay.learning_curves import (
    LearningCurve as LearningCurve,
)
from .replay.learning_curves import (
    learning_curve as learning_curve,
)
from .replay.replay import replay_weights as replay_weights
from .replay.report import WeightsReplay as WeightsReplay
from .serving.explanation import Explanation as Explanation
from .serving.fusion_weights import FusionWeights as FusionWeights
from .serving.served import Served as Served
from .sessions.session_sums import SessionSums as SessionSums
from .store.log_position import (
    LogPosition as LogPosition,
)
from .store.log_position import (
    Mark as Mark,
)
from .store.opening import open_store as open_store
from .store.store import Store as Store
