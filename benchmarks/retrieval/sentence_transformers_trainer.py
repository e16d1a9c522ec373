"""Train a tiny sentence-transformers model on files that `TrainingTriplets.write` wrote.

Torch and sentence-transformers are no dependencies of rankloom or of its tests: install them into
an environment of their own beside rankloom (`pip install torch sentence-transformers datasets
accelerate`). Nothing is downloaded: the tokenizer (word pieces) is trained on the texts, and
the model, two layers of BERT, is made on the spot.

A search is simulated over documents whose texts share words with the queries that they are
relevant to; relevance also depends on synonyms, which a tokenizer cannot know and clicks teach. Of
each loss, the accuracy on the test part's triplets, later searches for other queries, is printed
before and after training.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import polars as pl

from rankloom.datasets import simulate_interactions
from rankloom.retrieval import training_triplets

if TYPE_CHECKING:
    from rankloom.retrieval import TrainingTriplets

THINGS, COLOURS, COPIES = 40, 8, 3
LOSSES = {
    "MultipleNegativesRankingLoss": ("triplets", "parquet"),
    "TripletLoss": ("triplets", "jsonl"),
    "MarginMSELoss": ("scored", "parquet"),
    "ContrastiveLoss": ("labelled", "jsonl"),
}


def make_log(executions: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a log and the texts of its documents.

    A query asks for a thing in a colour. Documents name the thing by a synonym that queries never
    use.
    """
    rng = np.random.default_rng(seed)
    rows, texts = [], {}
    for query in range(THINGS * COLOURS):
        thing, colour = divmod(query, COLOURS)
        others = rng.choice(THINGS * COLOURS, 12, replace=False)
        for other in [query, *others]:
            its_thing, its_colour = divmod(int(other), COLOURS)
            for copy in range(COPIES if other == query else 1):
                name = f"d{other}-{copy}"
                texts[name] = f"article {copy} synonym{its_thing} shade{its_colour} item{other}"
                grade = (its_thing == thing) + (its_thing == thing and its_colour == colour)
                rows.append((f"thing{thing} colour{colour}", name, grade))
    catalogue = pl.DataFrame(rows, ["query", "feature_id", "grade"], orient="row").unique(
        ["query", "feature_id"], maintain_order=True
    )
    log = simulate_interactions(
        catalogue,
        n_executions=executions,
        random_state=seed,
        rankers=np.random.default_rng(seed).normal(size=(len(catalogue), 3)),
        interactions="clicks",
        channels=(),
    )
    documents = pl.DataFrame({"feature_id": list(texts), "text": list(texts.values())})
    return log, documents


def tiny_model(texts: list[str], folder: Path) -> Any:
    """Return an untrained model of two layers with a tokenizer of the texts' words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=2_000, special_tokens=special)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
        model_max_length=32,
    )
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    transformer = Transformer(str(folder))
    pooling = Pooling(transformer.get_embedding_dimension())
    return SentenceTransformer(modules=[transformer, pooling], device="cpu")


def train(name: str, path: Path, model: Any, epochs: int, folder: Path) -> dict[str, Any]:
    """Train the model on a file by a loss; return what the trainer reports."""
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    # Cosine, as in `accuracy`; the default, Euclidean with a margin of 5, is for longer vectors.
    options: dict[str, Any] = {}
    if name == "TripletLoss":
        cosine = losses.TripletDistanceMetric.COSINE
        options = {"distance_metric": cosine, "triplet_margin": 0.3}

    import datasets

    builder = "parquet" if path.suffix == ".parquet" else "json"
    data = datasets.load_dataset(
        builder, data_files=str(path), split="train", cache_dir=str(folder / "cache")
    )
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "run"),
        num_train_epochs=epochs,
        per_device_train_batch_size=64,
        learning_rate=1e-3,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    )
    loss = getattr(losses, name)(model, **options)
    trainer = SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss)
    done = trainer.train()
    return {"columns": data.column_names, "rows": len(data), "loss": done.training_loss}


def accuracy(model: Any, triplets: pl.DataFrame) -> float:
    """Return the share of triplets whose positive is nearer to the query, by cosine."""
    q, p, n = (
        model.encode(triplets[name].to_list(), normalize_embeddings=True)
        for name in ("query", "positive", "negative")
    )
    return float(((q * p).sum(axis=1) > (q * n).sum(axis=1)).mean())


def run(triplets: TrainingTriplets, texts: list[str], epochs: int) -> dict[str, dict[str, Any]]:
    """Train one model by each loss."""
    import torch
    import transformers

    import datasets

    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    found = {}
    for name, (layout, suffix) in LOSSES.items():
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            path = folder / f"train.{suffix}"
            triplets.write(path, layout=layout)  # type: ignore[arg-type]
            model = tiny_model(texts, folder / "model")
            before = accuracy(model, triplets.test)
            done = train(name, path, model, epochs, folder)
            found[name] = {
                "file": f"{layout} {suffix}",
                **done,
                "before": before,
                "after": accuracy(model, triplets.test),
            }
            print(f"{name}: {found[name]}", flush=True)
    return found


def main() -> int:
    """Simulate, write, train, and exit with 1 unless every loss learns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=30_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    log, documents = make_log(options.executions, options.seed)
    triplets = training_triplets(log, documents=documents)
    print(triplets)
    texts = [*documents["text"], *triplets.frame["query"].unique().sort()]
    found = run(triplets, texts, options.epochs)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if all(each["after"] > each["before"] for each in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
