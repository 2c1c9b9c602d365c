"""tracekd: does the correctness of a reasoning trace matter to a distilled student?"""

__version__ = "0.1.0"
