from .learning import find_channels as find_channels
from .learning import learn as learn
