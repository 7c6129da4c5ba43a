"""The loop learns, keeps the best, stops in time, and goes on as if it had never stopped."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from drumsep import weights
from drumsep.errors import DrumsepError
from drumsep.sampled_kits import read_kits
from drumsep.train import transcriber
from drumsep.train.data import Clips, Recipe
from drumsep.train.grooves import read_grooves
from drumsep.train.loop import TrainOptions, run
from drumsep.train.mixing import Mix
from drumsep.train.validation import Annotated
from drumsep.transcriber.ensemble import Ensemble, from_state, to_metadata
from drumsep.transcriber.network import Dimensions, Transcriber
from tests.train_data import write_grooves, write_kit

TOY = Dimensions(bands=32, channels=4, features=16, blocks=3, dropout=0.1)


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    kits = tmp_path / "kits"
    write_kit(kits, "one")
    write_kit(kits, "two", seed=9)
    return TrainOptions(
        kits=kits,
        grooves=write_grooves(tmp_path / "grooves"),
        out=tmp_path / "out",
        batch=2,
        learning_rate=1e-2,
        warm_up=2,
        workers=0,
    )


def trainee(
    options: TrainOptions, validation: tuple[Annotated, ...] = ()
) -> transcriber.TranscriberTrainee:
    torch.manual_seed(0)
    clips = Clips(
        read_kits(options.kits, channels=1), read_grooves(options.grooves), Recipe(seconds=1.0), 0
    )
    return transcriber.TranscriberTrainee(
        Transcriber(TOY), clips, options.batch, {"some": validation}
    )


class CountedClips(Clips):
    """Clips that remember how often each was rendered."""

    rendered_numbers: list[int]

    def __getitem__(self, number: int) -> Mix:
        self.rendered_numbers.append(number)
        return super().__getitem__(number)


def test_every_clip_is_used_again_and_rendered_once(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcriber, "RETURN", 3)
    clips = CountedClips(
        read_kits(options.kits, channels=1), read_grooves(options.grooves), Recipe(seconds=0.2), 0
    )
    clips.rendered_numbers = []
    learner = transcriber.TranscriberTrainee(Transcriber(TOY), clips, 3, {})
    for number in range(12):
        learner.batch(number)
    assert sorted(clips.rendered_numbers) == list(range(12 + 2 * 3))
    onsets = [[set(row.nonzero()[:, 1].tolist()) for row in learner.batch(n)[1]] for n in (3, 6, 9)]
    assert onsets[0][0] and onsets[0][0] == onsets[1][1] == onsets[2][2]  # all are clip 9


def test_a_few_steps_lower_the_loss(options: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, float]] = []
    learner = trainee(options)
    batch = learner.batch(0)
    monkeypatch.setattr(learner, "batch", lambda number: batch)
    before = learner.loss(learner.network.eval(), batch)["loss"].item()
    network = run(learner, replace(options, steps=20), lambda line: lines.append(dict(line)))
    after = learner.loss(network, batch)["loss"].item()
    assert after < 0.9 * before
    assert lines[-1]["step"] == 20
    assert not network.training


def test_resuming_is_going_on(options: TrainOptions) -> None:
    whole = run(trainee(options), replace(options, steps=4, cool_down=1e-9), no_report)
    parts = replace(options, out=options.out / "parts", cool_down=1e-9)
    run(trainee(options), replace(parts, steps=2), no_report)
    resumed = run(trainee(options), replace(parts, steps=4, resume=True), no_report)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_the_log_and_the_best_are_kept(options: TrainOptions) -> None:
    run(trainee(options), replace(options, steps=2), no_report)
    (line,) = (options.out / "log.jsonl").read_text().splitlines()
    assert {"step", "minutes", "rate", "loss", "score"} <= json.loads(line).keys()
    best = torch.load(options.out / "best.pt", weights_only=True)
    Transcriber(TOY).load_state_dict(best["network"])


@pytest.mark.parametrize(("scores", "kept"), [((0.7, 0.9, 0.2), 2), ((0.7, 0.7, 0.7), 3)])
def test_the_network_that_scored_best_is_the_result(
    options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
    scores: tuple[float, ...],
    kept: int,
) -> None:
    learner = trainee(options)
    told, validated = iter(scores), []

    def validate(network: torch.nn.Module) -> dict[str, float]:
        validated.append(copy.deepcopy(network.state_dict()))
        return {"score": next(told)}

    monkeypatch.setattr(learner, "validate", validate)
    found = run(learner, replace(options, steps=2, validate_every=1e-9), no_report)
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, validated[kept - 1][name], rtol=0, atol=0)
    best = torch.load(options.out / "best.pt", weights_only=True)
    assert best["scores"] == {"score": max(scores)}


def test_time_is_a_budget(options: TrainOptions) -> None:
    lines: list[dict[str, float]] = []
    run(trainee(options), replace(options, minutes=1e-6), lambda line: lines.append(dict(line)))
    assert lines[-1]["step"] == 1


def test_what_is_trained_is_stored_and_loads(options: TrainOptions) -> None:
    options = replace(
        options, batch=1, steps=1, licence="CC0-1.0", recordings=(recordings(options),)
    )
    trained = transcriber.train(options, no_report, TOY)
    card = weights.read_card(options.out / "transcriber.safetensors")
    assert card.licence == "CC0-1.0" and "one (CC0-1.0)" in card.source
    (loaded,), (made,) = from_state(*weights.read(card)).members, trained.members
    torch.testing.assert_close(loaded.leave.weight, made.leave.weight, atol=1e-3, rtol=0)


def test_training_begins_with_stored_weights(options: TrainOptions) -> None:
    network = Transcriber(TOY)
    start = stored(Ensemble([network]), options)
    options = replace(options, steps=1, learning_rate=0.0, start=start)
    (trained,) = transcriber.train(options, no_report, replace(TOY, features=20)).members
    torch.testing.assert_close(trained.enter[0].weight[:16], network.enter[0].weight)
    card = weights.read_card(options.out / "transcriber.safetensors")
    assert card.source.endswith("; begun with weights of somebody")


def stored(ensemble: Ensemble, options: TrainOptions) -> Path:
    """The file of weights that somebody has stored."""
    folder = options.out / "start"
    origin = weights.Origin(kind="transcriber", licence="CC0-1.0", source="of somebody")
    weights.store(folder, "given", ensemble.state_dict(), to_metadata(ensemble, "", ""), origin)
    return folder / "given.safetensors"


def test_a_new_network_joins_a_stored_one(options: TrainOptions) -> None:
    first = Transcriber(TOY)
    beside = stored(Ensemble([first]), options)
    other = replace(TOY, long_n_fft=4096, blocks=2)
    made = transcriber.train(replace(options, steps=1, beside=beside), no_report, other)
    again = from_state(*weights.read(weights.read_card(options.out / "transcriber.safetensors")))
    for ensemble in (made, again):
        assert [one.dimensions for one in ensemble.members] == [TOY, other]
        torch.testing.assert_close(
            ensemble.members[0].leave.weight, first.leave.weight, atol=1e-3, rtol=0
        )


def test_training_cannot_begin_with_two_networks(options: TrainOptions) -> None:
    start = stored(Ensemble([Transcriber(TOY), Transcriber(TOY)]), options)
    with pytest.raises(DrumsepError, match="given holds 2 networks"):
        transcriber.train(replace(options, steps=1, start=start), no_report, TOY)


def recordings(options: TrainOptions) -> Path:
    """A folder with half a second of silence in which a kick is said to be."""
    folder = options.out.parent / "recordings"
    folder.mkdir()
    soundfile.write(folder / "silence.wav", np.zeros(22050), 44100)
    (folder / "silence.csv").write_text("time,stem\n0.1,kick\n")
    return folder


def no_report(_: object) -> None:
    """Say nothing."""
