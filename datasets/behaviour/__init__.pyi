from .features import behaviour_features as behaviour_features
from .tables import BehaviourTables as BehaviourTables
