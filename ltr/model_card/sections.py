"""The sections of a card, from facts; one without data says what to give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..._shared.words import counted
from .document import Bullets, Paragraph, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .document import Block

    Facts = Mapping[str, Any]

MAX_FEATURES: Final = 20


def sections(facts: Facts) -> list[Section]:
    """Return all sections in their order; `facts` as `ModelCard.to_dict` returns them."""
    made = (
        ("Model", _model),
        ("Data", _data),
        ("Choice", _choice),
        ("Evidence", _evidence),
        ("Gate", _gate),
        ("Slices", _slices),
        ("Limits", _limits),
        ("Importance of features", _importance),
    )
    return [Section(title, list(blocks(facts))) for title, blocks in made]


def _model(facts: Facts) -> Iterator[Block]:
    changed = facts["parameters_changed"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    memory = "with a memory of queries" if facts["memory"] else "without a memory of queries"
    size = f"{counted(facts['trees'], 'tree')} on {counted(len(facts['features']), 'feature')}"
    yield Bullets(
        [
            f"digest: {facts['model'] or 'not saved yet; write the card into the saved folder'}",
            f"{size}, debias={facts['debias']}, seed {facts['seed']}, {memory}",
            "parameters other than the defaults: "
            + (", ".join(f"{name}={value!r}" for name, value in changed.items()) or "none"),
            f"this card was written with {versions or 'unknown versions'}",
        ]
    )


def _data(facts: Facts) -> Iterator[Block]:
    report, load, period = facts["training"], facts["training"].get("load", {}), facts["period"]
    bullets = [
        f"period: {period[0]} to {period[1]}"
        if period
        else "period: unknown, because the log has no times; log occurred_at or timestamp",
        (
            f"{counted(report['rows'], 'row')} of training data in "
            f"{counted(report['executions'], 'execution')}; {report['rows_trained']:,} rows were "
            "trained on"
        ),
    ]
    bullets += [f"left out: {why}: {n:,}" for why, n in report.get("left_out", {}).items()]
    if load.get("rows_read"):
        bullets.append(
            f"the load read {counted(load['rows_read'], 'row')}: {load['rows_kept']:,} kept, "
            f"{counted(load['duplicates'], 'duplicate')}, {load['quarantined']:,} quarantined"
        )
    else:
        bullets.append("quarantine: unknown, as the pairs were not read by load_pairs")
    yield Bullets(bullets)
    if reasons := load.get("quarantine_reasons"):
        rows = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        yield Table(["reason of the quarantine", "rows"], [[why, f"{n:,}"] for why, n in rows])
    if (labels := report.get("labels")) is None:
        yield Paragraph("Label mix: not saved with this model; train again to have it.")
        return
    total = sum(labels["grades"].values()) or 1
    rows_of = [[grade, f"{n:,}", f"{n / total:.1%}"] for grade, n in labels["grades"].items()]
    yield Table(["grade", "rows", "share"], rows_of)
    yield Paragraph(
        f"Clicked: {labels['clicked']:,} rows; with a negative signal: {labels['negative']:,}."
    )


def _choice(facts: Facts) -> Iterator[Block]:
    choice = facts["choice"]
    source = facts["examination_source"]
    if choice is None:
        yield Paragraph(
            f"debias={facts['debias']} was given, so nothing was chosen; debias=auto chooses by "
            "the evidence of the log."
        )
    else:
        yield Bullets(
            [
                f"click model: {choice['click_model'] or 'none'}",
                "members: " + _shares(choice["members"]),
                *choice["reasons"],
                *(["ranks by document_score, where it is given"] if choice["fall_back"] else []),
            ]
        )
        if choice["evidence"]:
            yield Table(
                ["click model", "held-out log-likelihood", "over baseline", "standard error"],
                [
                    [name, *(f"{found[each]:+.4f}" for each in _LIKELIHOODS)]
                    for name, found in choice["evidence"].items()
                ],
            )
    if source is not None:
        yield Paragraph(f"Examination curve: {source}.")


_LIKELIHOODS: Final = ("log_likelihood", "over_baseline", "standard_error")


def _shares(members: Mapping[str, float]) -> str:
    ordered = sorted(members.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {share:.2f}" for name, share in ordered) or "none"


def _evidence(facts: Facts) -> Iterator[Block]:
    found = facts["held_out"]
    if found is None:
        yield Paragraph(
            "None: no executions were held out. Give --validation to rankloom train, or held_out= "
            "to ModelCard.of."
        )
        return
    period = found["period"]
    when = f" ({period[0]} to {period[1]})" if period else ""
    report = found["report"]
    used = report["queries"] - report["queries_left_out"]
    yield Paragraph(
        f"On {counted(found['executions'], 'execution')} that were held out{when}, of which "
        f"{used:,} have a positive grade, against {report['baseline'] or 'nothing'}; "
        f"{report['confidence']:.0%} intervals by paired bootstrap over queries. Examination: "
        f"{found['curve']}."
    )
    rows = [[name, *_cells(each)] for name, each in report["metrics"].items()]
    yield Table(["metric", *_HEADINGS], rows)
    notes = list(report["notes"])
    if found["stopped_by"]:
        notes.append(
            "The same executions decided how many trees there are, so these metrics are somewhat "
            "too high; judge the model on later ones with rankloom compare."
        )
    if found["in_training_period"]:
        notes.append(
            f"{counted(found['in_training_period'], 'execution')} lie in the training period: the "
            "metrics are too high there."
        )
    if notes:
        yield Bullets(notes)


_HEADINGS: Final = ("ranker", "baseline", "difference", "lower", "upper")


def _cells(comparison: Mapping[str, Any] | None) -> list[str]:
    if comparison is None:
        return ["-"] * len(_HEADINGS)
    low, high = comparison["interval"] or (None, None)
    return [
        _number(comparison["ranker"], ".4f"),
        _number(comparison["baseline"], ".4f"),
        *(_number(each, "+.4f") for each in (comparison["difference"], low, high)),
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _gate(facts: Facts) -> Iterator[Block]:
    if not facts["gates"]:
        yield Paragraph(
            "None: run rankloom compare MODEL production FILES (or against the folder of another "
            "model) on later interactions."
        )
    for record in facts["gates"]:
        verdict = record["verdict"]
        passed = "passed" if record["passed"] else "did not pass"
        against = record["baseline"]
        named = "the order that was shown" if against == "production" else f"model {against[:12]}"
        yield Paragraph(
            f"{record['made']}: {passed} against {named}, on "
            f"{counted(verdict['executions'], 'execution')}, by {verdict['method']}."
        )
        yield Table(
            ["metric", "candidate", "baseline", "gain", f"{verdict['confidence']:.0%} bound"],
            [
                [name, *(_number(each[n], ".4f") for n in ("candidate", "baseline")),
                 *(_number(each[n], "+.4f") for n in ("gain", "lower"))]
                for name, each in verdict["metrics"].items()
            ],
        )  # fmt: skip
        if texts := [*verdict["reasons"], *verdict["notes"]]:
            yield Bullets(texts)


def _slices(facts: Facts) -> Iterator[Block]:
    found = facts["held_out"]
    if found is None:
        yield Paragraph(
            "None: slices are of executions that are held out. Give --validation, and --slice "
            "COLUMN for columns such as language or device, to rankloom train; or held_out= and "
            "slices= to ModelCard.of."
        )
        return
    yield Table(
        ["slice", "value", "executions", "queries", *_HEADINGS],
        [
            [each["column"], each["value"], f"{each['executions']:,}", f"{each['queries']:,}",
             *_cells(each["comparison"])]
            for each in found["slices"]
        ],
        left=2,
    )  # fmt: skip
    texts = [
        (
            f"Metric: {found['metric']}, or ndcg@10 where it is not known. A slice without a "
            "positive grade has none."
        ),
        (
            "Head: the most frequent queries, which together have half of the executions; tail: "
            "all others."
        ),
        "Each interval is of its slice alone: of many, some exclude 0 by chance.",
        *(
            f"{column}: {counted(n, 'further value')} with fewer executions, not shown"
            for column, n in found["values_left_out"].items()
        ),
    ]
    if not {each["column"] for each in found["slices"]} - {"query frequency"}:
        texts.append(
            "By columns of the log: none was named; give --slice COLUMN, such as language or "
            "device."
        )
    yield Bullets(texts)
    yield Table(
        ["most frequent queries", "executions"], [[name, f"{n:,}"] for name, n in found["frequent"]]
    )


def _limits(facts: Facts) -> Iterator[Block]:
    load = facts["training"].get("load", {})
    texts = [
        *facts["notes"],
        *load.get("notes", ()),
        *(
            f"confounded with the position: {name} (rank correlation {value:.2f})"
            for name, value in load.get("confounded", {}).items()
        ),
        *(
            f"no feature, though it could have been: {name}: {why}"
            for name, why in load.get("features_left_out", {}).items()
        ),
    ]
    if texts:
        yield Bullets(texts)
    else:
        yield Paragraph("The load and the fit warned of nothing.")


def _importance(facts: Facts) -> Iterator[Block]:
    gains: Mapping[str, float] = facts["features"]
    total = sum(gains.values())
    if not total:
        yield Paragraph("None: no tree found a split.")
        return
    ordered: Sequence[tuple[str, float]] = sorted(gains.items(), key=lambda item: -item[1])
    rows = [[name, f"{gain / total:.1%}"] for name, gain in ordered[:MAX_FEATURES]]
    yield Table(["feature", "share of gain"], rows)
    if more := len(ordered) - len(rows):
        rest = sum(gain for _, gain in ordered[MAX_FEATURES:]) / total
        yield Paragraph(f"{counted(more, 'further feature')}: {rest:.1%} of the gain.")
