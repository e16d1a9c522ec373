"""A process that follows a log into a store: `python follower_process.py LOG STATE LIMIT`."""

import sys

from rankloom import InteractionLog
from rankloom.bandit import FusionBandit
from rankloom.bandit.log_follower.follower import LogFollower

ARMS = ["text", "image", "audio"]


def bandit_over(state, **settings):
    """Return a bandit with the settings of all followers."""
    given = {"retriever_id": "r", "segment_by": ["country"], "max_queries": 10, **settings}
    return FusionBandit.open(state, ARMS, timeout=60.0, **given)


def follow(log_url, state, limit):
    """Follow to the end of the log, a few rows at a time, each time after a line on stdin."""
    bandit = bandit_over(state)
    with InteractionLog(log_url, retriever_id="r") as log:
        follower = LogFollower(bandit, log)
        while follower.catch_up(limit=limit):
            sys.stdout.write(f"{follower.log_position.row}\n")
            sys.stdout.flush()
            sys.stdin.readline()
    bandit.learner.store.close()


if __name__ == "__main__":
    follow(sys.argv[1], sys.argv[2], int(sys.argv[3]))
