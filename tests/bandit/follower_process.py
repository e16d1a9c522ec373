"""A process that follows a log into a store: `python follower_process.py LOG STATE LIMIT`."""

import sys

from rankloom import InteractionLog
from rankloom.bandit import FusionBandit
from rankloom.bandit.log_follower import LogFollower

ARMS = ["text", "image", "audio"]


def bandit_over(state, **settings):
    """Return a bandit with the settings of all followers."""
    return FusionBandit.open(
        state, ARMS, retriever_id="r", segment_by=["country"], timeout=60.0, **settings
    )


def follow(log_url, state, limit):
    """Follow to the end of the log, a few rows at a time; say how far it is, go on when told."""
    bandit = bandit_over(state)
    with InteractionLog(log_url, retriever_id="r") as log:
        follower = LogFollower(bandit, log)
        while follower.catch_up(limit=limit):
            sys.stdout.write(f"{follower.mark.row}\n")
            sys.stdout.flush()
            sys.stdin.readline()
    bandit._store.close()


if __name__ == "__main__":
    follow(sys.argv[1], sys.argv[2], int(sys.argv[3]))
