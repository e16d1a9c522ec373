from ._carry_over import CarryOverWarning as CarryOverWarning
from .elasticsearch import to_elasticsearch as to_elasticsearch
from .opensearch import to_opensearch as to_opensearch
from .qdrant import to_qdrant as to_qdrant
