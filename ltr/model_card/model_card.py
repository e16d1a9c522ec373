"""The card of a model: facts about it, as plain values, Markdown and HTML."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from ..._shared.atomic_files import write_whole
from ..._shared.digests import content_of_json, json_with_digest
from ..._shared.plain import plain
from ..._shared.summary import Summary, Table, interval, summary_text
from ..._shared.summary_html import summary_html
from ..._shared.words import counted
from ..._version import __version__
from ...errors import InvalidInputError, StoreError
from ..model.files import model_digest, read_model
from ..model.gate_record import read_gates
from ..ranker import Ranker
from .held_out import held_out_evidence
from .html_page import to_html
from .markdown import to_markdown
from .sections import sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...datasets.pairs.training_pairs import TrainingPairs

EVIDENCE: Final = "evidence.json"
MARKDOWN: Final = "card.md"
HTML: Final = "card.html"
TITLE: Final = "Model card"

_FORMAT: Final = "rankloom-evidence-1"
_REMEDY: Final = "train again, or write the card again with the held-out pairs"


@dataclass(frozen=True)
class ModelCard:
    """What a ranker was learnt from, what is known of it, and what is not.

    Sections: model, data, choice, evidence, gate, slices, limits, importance of features. One
    without data says what to give. Names of features and texts of queries are escaped.

    Attributes
    ----------
    facts : dict
        Everything that the card says, as plain values.

    Examples
    --------
    >>> from rankloom.datasets import (
    ...     load_pairs, simulate_catalogue, simulate_interactions, split_by_time
    ... )
    >>> from rankloom.ltr import ModelCard, Ranker
    >>> documents = simulate_catalogue(n_queries=20, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=400, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"))
    >>> earlier, later = split_by_time(pairs)
    >>> ranker = Ranker("none", n_estimators=10, n_jobs=1).fit(earlier)
    >>> card = ModelCard.of(ranker, later)
    >>> [each["value"] for each in card.facts["held_out"]["slices"]]
    ['head', 'tail']
    >>> print(card.to_markdown().splitlines()[2])
    ## Model
    """

    facts: dict[str, Any]

    @classmethod
    def of(
        cls,
        ranker: Ranker,
        held_out: TrainingPairs | None = None,
        *,
        slices: Sequence[str] = (),
        stopped_by: bool = False,
    ) -> Self:
        """Return the card of a fitted ranker.

        Parameters
        ----------
        ranker : Ranker
            Fitted, or loaded.
        held_out : TrainingPairs, optional
            Executions that the ranker did not learn from, for evidence and slices.
        slices : sequence of str
            Columns of `held_out.context`, such as "language"; head and tail queries are always
            slices.
        stopped_by : bool
            Whether the same executions decided how many trees there are.

        Raises
        ------
        InvalidInputError
            If the ranker is not fitted, a column is not there, or no row that is held out has a
            positive grade.
        """
        if slices and held_out is None:
            msg = "slices: are of executions that are held out; give held_out=, too"
            raise InvalidInputError(msg)
        importances = ranker.feature_importances()  # refuses what is not fitted
        evidence = None
        if held_out is not None:
            evidence = held_out_evidence(ranker, held_out, slices, stopped_by=stopped_by)
        defaults, given = Ranker().get_params(deep=False), ranker.get_params(deep=False)
        changed = {name: v for name, v in given.items() if not _equals(v, defaults[name])}
        return cls(
            plain(
                {
                    "model": None,
                    "trees": ranker.best_iteration_,
                    "debias": ranker.debias,
                    "seed": ranker.seed_,
                    "memory": ranker.memory_ is not None,
                    "parameters_changed": {n: _shown(v) for n, v in changed.items()},
                    "versions": {"rankloom": __version__},
                    "period": ranker.training_period_,
                    "training": ranker.training_report_,
                    "choice": None if ranker.choice_ is None else ranker.choice_.to_dict(),
                    "examination_source": ranker.examination_source_,
                    "notes": ranker.notes_,
                    "features": importances,
                    "held_out": evidence,
                    "gates": [],
                }
            )
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Return the card of a saved ranker, with the evidence and the gates in its folder.

        Raises
        ------
        UnreadableSourceError, IntegrityError
            As `Ranker.load`, or if the evidence or a gate is damaged.
        """
        path, card = Path(folder), cls.of(Ranker.load(folder))
        digest, file = model_digest(path), path / EVIDENCE
        evidence = None
        if file.exists():
            data = content_of_json(_FORMAT, file.read_bytes(), repr(str(file)), _REMEDY)
            content = msgspec.json.decode(data)
            evidence = content["held_out"] if content["model"] == digest else None
        return replace(card, facts=_in_folder({**card.facts, "held_out": evidence}, path, digest))

    def write(self, folder: str | Path) -> None:
        """Write ``card.md``, ``card.html`` and the evidence into the folder of the saved ranker.

        Verdicts of gates that lie there enter the card.

        Raises
        ------
        InvalidInputError
            If another ranker is saved there.
        UnreadableSourceError, IntegrityError
            If there is none, or it is damaged.
        StoreError
            If the folder cannot be written.
        """
        path = Path(folder)
        digest = model_digest(path)
        saved = read_model(path)[1]
        if saved.training_report != self.facts["training"] or (
            saved.training_period != self.facts["period"]
        ):
            msg = f"folder: {str(path)!r} holds another ranker than the card is of; save it first"
            raise InvalidInputError(msg)
        card = replace(self, facts=_in_folder(self.facts, path, digest))
        evidence = {"model": digest, "held_out": card.facts["held_out"]}
        texts = {
            EVIDENCE: json_with_digest(_FORMAT, json.dumps(evidence, allow_nan=False).encode()),
            MARKDOWN: card.to_markdown(),
            HTML: card.to_html(),
        }
        try:
            for name, text in texts.items():
                _write(path / name, text)
        except OSError as error:
            msg = f"cannot write the model card into {str(path)!r}: {error}"
            raise StoreError(msg) from error

    def to_dict(self) -> dict[str, Any]:
        """Return the facts, ready for JSON."""
        return self.facts

    def to_markdown(self) -> str:
        """Return the card as Markdown."""
        return to_markdown(TITLE, sections(self.facts))

    def to_html(self) -> str:
        """Return the card as a page of HTML that needs no other file."""
        return to_html(TITLE, sections(self.facts))

    def __str__(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        """Return what is shown of it where it is not read whole."""
        facts = self.facts
        held_out, size = facts["held_out"], counted(facts["trees"], "tree")
        title = f"{TITLE}: {size}, debias={facts['debias']}, {counted(len(facts['gates']), 'gate')}"
        if held_out is None:
            return Summary(title, [], ["no executions were held out, so there is no evidence"])
        rows = [
            [name, each["ranker"], each["baseline"], interval(each["interval"], "+.4f")]
            for name, each in held_out["report"]["metrics"].items()
        ]
        executions = counted(held_out["executions"], "execution")
        columns = ["metric", "ranker", "baseline", "interval of the difference"]
        table = Table.of(columns, rows, caption=f"{executions} that were held out")
        return Summary(title, [table], list(facts["notes"]))


def _in_folder(facts: dict[str, Any], path: Path, digest: str) -> dict[str, Any]:
    """Return the facts of the model of a digest, with the verdicts on it."""
    gates = [
        {**msgspec.to_builtins(record), "passed": record.passed}
        for record in read_gates(path)
        if record.model == digest
    ]
    return {**facts, "model": digest, "gates": gates}


def _write(file: Path, text: str) -> None:
    write_whole(file, lambda name: Path(name).write_text(text, "utf-8"))


def _equals(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _shown(value: Any) -> Any:
    """Return a parameter as the card shows it: objects and arrays by their kind."""
    shown = plain(value)
    if isinstance(shown, list):
        return f"{len(shown)} numbers"
    return shown if isinstance(shown, dict | str | int | float | None) else type(value).__name__
