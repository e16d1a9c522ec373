from .interaction_log import InteractionLog as InteractionLog
