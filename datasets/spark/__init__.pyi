from .build_pairs import build_pairs as build_pairs
from .spark_pairs import SparkPairs as SparkPairs
