"""Files of interactions, one a day, as a page about retraining expects them."""

import polars as pl

from rankloom.datasets import simulate_catalogue, simulate_interactions

DAYS = 8


def write_daily_logs(folder, days=DAYS):
    """Write ``logs/DATE.parquet`` of some days, and ``features.parquet``."""
    catalogue = simulate_catalogue(random_state=0)
    catalogue.drop("query", "grade").write_parquet(folder / "features.parquet")
    log = simulate_interactions(catalogue, n_executions=4_800, random_state=0, days=days)
    day = pl.coalesce("occurred_at", "timestamp").dt.date()
    (folder / "logs").mkdir()
    for (date,), rows in log.group_by(day.alias("day")):
        rows.write_parquet(folder / "logs" / f"{date}.parquet")


def write_log_in_files(folder):
    """Write ``log/PART.parquet`` twice, as a page about large logs expects them."""
    rows = simulate_interactions(n_executions=300, random_state=0)
    (folder / "log").mkdir()
    for part in range(2):
        rows[part::2].write_parquet(folder / "log" / f"{part}.parquet")
    return rows
