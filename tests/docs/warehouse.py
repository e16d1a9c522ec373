"""An export of a warehouse such as the documents describe, with names of its own."""

import random

import polars as pl


def write_warehouse(folder):
    """Write events, what was shown, products, and the same of a later period."""
    write_export(folder, "events", "shown.parquet", 1_200)
    write_export(folder, "later", "later-shown.parquet", 400)
    brands = ["acme", "zen", "kit", "moor"] * 10
    products = {"sku": range(1000, 1040), "price": [9.5 + d for d in range(40)], "brand": brands}
    pl.DataFrame(products).write_csv(folder / "products.csv")


def write_export(folder, name, shown_name, executions):
    """Write events and what was shown, with clicks that prefer cheap products."""
    noise = random.Random(name)
    shown, events = [], []
    for e in range(executions):
        chosen = noise.sample(range(40), 6)
        for rank, sku in enumerate(chosen, 1):
            row = {"request": f"{name}{e}", "sku": 1000 + sku, "rank": rank}
            row |= {"term": f"shoes {e % 9}", "ts": 1_767_225_600_000 + e * 60_000}
            shown.append(row)
            if noise.random() < (0.7 if sku < 15 else 0.1) / rank:
                event = noise.choice(["Click", "Click", "Buy", "Prebook"])
                events.append({**row, "event": event, "ts": row["ts"] + 500})
    pl.DataFrame(shown).write_parquet(folder / shown_name)
    pl.DataFrame(events).write_csv(folder / f"{name}.csv")
