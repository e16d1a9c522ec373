"""One example of every body and of the answers that matter, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from . import schemas
from .listing import InteractionFilters

_TEXT, _IMAGE = (
    "mixpeek://text_extractor@v1/embedding",
    "mixpeek://image_extractor@v1/embedding",
)
_SENT: Final[dict[str, Any]] = {
    "feature_id": "prod_123",
    "interaction_type": ["positive_feedback", "click", "long_view"],
    "position": 3,
    "metadata": {"device": "mobile", "duration_ms": 5000, "viewport_position": 0.75},
    "user_id": "customer_user_456",
    "session_id": "sess_abc123",
    "execution_id": "exec_abc123xyz",
    "retriever_id": "ret_abc123",
    "query_snapshot": {"text": "wireless headphones"},
    "document_score": 0.95,
    "result_set_size": 10,
    "feature_uri": _TEXT,
}
_STORED: Final[dict[str, Any]] = {
    **_SENT,
    "occurred_at": None,
    "interaction_id": "019a5b1e-7c00-7d3a-9c1b-5a8b0f1f2a3c",
    "deduplicated": False,
    "timestamp": "2026-01-31T09:30:00.123456Z",
    "warning": None,
}
_SETTINGS: Final[dict[str, Any]] = {
    "retriever_id": "ret_abc123",
    "enabled": True,
    "feature_uris": [_TEXT, _IMAGE],
    "segment_by": ["device"],
    "posterior": "auto",
    "max_queries": 10_000,
    "rewards": {"save_recipe": 2.0},
    "floor": None,
    "cap": 0.8,
    "min_lists": 10,
    "rollout_pct": 50.0,
    "shadow_mode": False,
    "control_pct": 5.0,
    "explore_pct": 5.0,
    "rolled_back_to": None,
}
_SERVED: Final[dict[str, Any]] = {
    "weights": {_TEXT: 0.7, _IMAGE: 0.3},
    "policy": "learned",
    "propensity": 0.45,
    "snapshot_id": "3b1f0c52a7de",
}
_LIST: Final[dict[str, Any]] = {
    "execution": {"execution_id": "exec_abc123xyz"},
    "documents": [
        {"feature_id": "prod_123", "document_score": 0.95, "features": {"price": 9.5}},
        {"feature_id": "prod_456", "document_score": 0.91, "features": {"price": 7.0}},
    ],
}

EXAMPLES: Final[dict[Any, Any]] = {
    schemas.NewInteraction: _SENT,
    schemas.InteractionResponse: _STORED,
    schemas.InteractionBatch: {
        "interactions": [{**_SENT, "occurred_at": "2026-01-30T18:00:00Z"}],
    },
    InteractionFilters: {
        "session_id": "sess_abc123",
        "filters": {"AND": [{"field": "position", "operator": "lte", "value": 5}]},
        "sort": {"field": "timestamp", "direction": "desc"},
    },
    schemas.EnableFusion: {"feature_uris": [_TEXT, _IMAGE], "segment_by": ["device"]},
    schemas.FusionRollout: {"rollout_pct": 50.0, "control_pct": 5.0, "explore_pct": 5.0},
    schemas.FusionSettings: _SETTINGS,
    schemas.FusionWeightsResponse: {
        "retriever_id": "ret_abc123",
        "user_id": "customer_user_456",
        "enabled": True,
        **_SERVED,
        "metadata": {
            "fusion": {**_SERVED, "salt": "shop/ret_abc123", "noise_of": "session"},
        },
        "fallback": None,
    },
    schemas.RerankRequest: {"ranker": "products", **_LIST},
    schemas.RerankBatch: {"ranker": "products", "requests": [_LIST]},
    schemas.ErrorEnvelope: {
        "success": False,
        "status": 422,
        "error": {
            "message": "position: must not be negative (got '-1')",
            "type": "ValidationError",
            "details": {"errors": [{"field": "position", "reason": "must not be negative"}]},
        },
    },
}
"""Type -> a value of it, as JSON would hold it."""
