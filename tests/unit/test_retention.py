# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What retention decides: single rules by example, and what must hold for every history by random ones."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import SettingsError
from ansible_collections.cora.backup.plugins.module_utils.keep_rules import (
    BACKUP,
    CHECKPOINT,
    Decision,
    Policy,
    Saved,
)
from ansible_collections.cora.backup.plugins.module_utils.retention import decide

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
MANY = 10**12
ONLY_LAST = Policy(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0, keep_within_days=0)


def backup(days: float = 0, *, hours: float = 0, verified: bool | None = True, **more: object) -> Saved:
    """A backup that was made so long ago."""
    return saved(BACKUP, days, hours, verified=verified, **more)


def checkpoint(base: Saved, days: float = 0, *, hours: float = 0, **more: object) -> Saved:
    return saved(CHECKPOINT, days, hours, **{"base": base.state_id, "size_bytes": 100, **more})


def saved(kind: str, days: float, hours: float, **more: object) -> Saved:
    made_at = NOW - timedelta(days=days, hours=hours)
    values = {"state_id": f"{made_at:%Y%m%d-%H%M%S}-nogit", "kind": kind, "project": "/p", "made_at": made_at, **more}
    return Saved(**values)  # type: ignore[arg-type]


def decided(states: list[Saved], policy: Policy, budget_bytes: int = MANY) -> dict[str, Decision]:
    decisions, _ = decide(states, policy, now=NOW, budget_bytes=budget_bytes)
    assert sorted(one.state_id for one in decisions) == sorted(one.state_id for one in states)
    assert all(one.reasons for one in decisions)
    return {one.state_id: one for one in decisions}


def kept(states: list[Saved], policy: Policy, budget_bytes: int = MANY) -> list[int]:
    """Places in the list of what is kept."""
    decisions = decided(states, policy, budget_bytes)
    return [number for number, state in enumerate(states) if decisions[state.state_id].keep]


def why(state: Saved, states: list[Saved], policy: Policy, budget_bytes: int = MANY) -> str:
    return "; ".join(decided(states, policy, budget_bytes)[state.state_id].reasons)


# --- the rules that keep backups ---


def test_last() -> None:
    assert kept([backup(day) for day in range(6)], replace(ONLY_LAST, keep_last=2)) == [0, 1]


def test_one_a_day() -> None:
    states = [backup(hours=hours) for hours in range(0, 72, 6)]
    assert kept(states, replace(ONLY_LAST, keep_daily=2)) == [0, 3]  # the newest of each day: 12:00, and 18:00


def test_one_an_hour() -> None:
    states = [backup(hours=part / 4) for part in range(12)]
    assert kept(states, replace(ONLY_LAST, keep_hourly=3)) == [0, 1, 5]


def test_a_period_without_a_backup_does_not_count() -> None:
    assert kept([backup(days) for days in (0, 40, 41, 400)], replace(ONLY_LAST, keep_monthly=3)) == [0, 1, 3]


def test_weeks_begin_on_monday() -> None:
    # 2026-11-24 is a Tuesday
    assert kept([backup(days) for days in (0, 1, 2, 3)], replace(ONLY_LAST, keep_weekly=2)) == [0, 2]


def test_one_a_year() -> None:
    assert kept([backup(days) for days in (0, 100, 330, 700)], replace(ONLY_LAST, keep_yearly=9)) == [0, 2, 3]


def test_within() -> None:
    assert kept([backup(day) for day in range(5)], replace(ONLY_LAST, keep_within_days=2)) == [0, 1, 2]


def test_tags_and_pins() -> None:
    states = [backup(0), backup(1, tags=("release",)), backup(2, tags=("other",)), backup(3, pinned=True)]
    assert kept(states, replace(ONLY_LAST, keep_tags=("release",))) == [0, 1, 3]


def test_a_year_of_daily_backups_with_the_defaults() -> None:
    states = [backup(day) for day in range(400)]
    decisions = decided(states, Policy())
    assert sum(one.keep for one in decisions.values()) in range(30, 38)
    assert kept(states, Policy())[:15] == [*range(14), 16]


def test_what_is_kept_says_by_which_rules() -> None:
    states = [backup(0), backup(1)]
    assert why(states[0], states, replace(ONLY_LAST, keep_daily=7)) == (
        "the newest verified backup of its project; last 1 of 1; daily 2026-11-24, 1 of 7"
    )


# --- only what is verified takes another's place ---


def test_nothing_goes_while_nothing_is_verified() -> None:
    states = [backup(day, verified=None) for day in range(9)]
    assert kept(states, ONLY_LAST) == list(range(9))
    assert "verify the newest" in why(states[5], states, ONLY_LAST)


def test_nothing_goes_while_the_newest_is_not_verified() -> None:
    states = [backup(0, verified=None), backup(1), backup(2), backup(3)]
    assert kept(states, ONLY_LAST) == [0, 1, 2, 3]
    decision = decided(states, ONLY_LAST)[states[3].state_id]
    assert decision.waits_for == states[0].state_id
    assert "not verified yet" in decision.reasons[0]


def test_nothing_goes_while_the_newest_is_damaged() -> None:
    states = [backup(0, verified=False), backup(1), backup(2), backup(3)]
    assert kept(states, ONLY_LAST) == [0, 1, 2, 3]
    assert "damaged" in why(states[3], states, ONLY_LAST)


def test_what_takes_the_place_has_to_be_verified_itself() -> None:
    states = [backup(0), backup(1, verified=None), backup(2), backup(3)]
    assert kept(states, replace(ONLY_LAST, keep_last=2)) == [0, 1, 2]
    decision = decided(states, replace(ONLY_LAST, keep_last=2))[states[2].state_id]
    assert decision.waits_for == states[1].state_id


def test_what_goes_need_not_be_verified() -> None:
    assert kept([backup(0), backup(1, verified=None), backup(2)], ONLY_LAST) == [0]


def test_a_damaged_backup_takes_no_place_of_a_good_one() -> None:
    states = [backup(0), backup(1, verified=False), backup(2), backup(3)]
    assert kept(states, replace(ONLY_LAST, keep_last=2)) == [0, 2]


def test_the_last_complete_one_stays() -> None:
    states = [backup(0, incomplete=True), backup(1, incomplete=True), backup(2), backup(3)]
    assert kept(states, ONLY_LAST) == [0, 2]
    assert "complete" in why(states[2], states, ONLY_LAST)


def test_the_newest_verified_one_stays_beyond_damaged_ones() -> None:
    states = [backup(0, verified=False), backup(1, verified=False), backup(900)]
    assert "newest verified" in why(states[2], states, ONLY_LAST)


# --- projects, clocks, reports that cannot be read ---


def test_each_project_is_decided_on_its_own() -> None:
    states = [backup(0), backup(1), backup(2, project="/other"), backup(3, project="/other", verified=None)]
    assert kept(states, ONLY_LAST) == [0, 2]


def test_nobody_knows_whose_it_is() -> None:
    states = [backup(0), backup(1, project=None, verified=False), backup(2)]
    assert kept(states, ONLY_LAST) == [0, 1]


def test_what_was_made_in_the_future_stays_and_takes_no_place() -> None:
    states = [backup(-400), backup(-300), backup(0), backup(1), backup(2)]
    assert kept(states, ONLY_LAST) == [0, 1, 2]
    assert "still to come" in why(states[1], states, ONLY_LAST)


def test_time_does_not_pass_while_nothing_new_is_saved() -> None:
    bases = [backup(200), backup(201)]
    states = [checkpoint(bases[0], 200, hours=-hours) for hours in (3, 2, 1)] + bases
    assert kept(states, replace(ONLY_LAST, keep_within_days=3)) == [0, 1, 2, 3, 4]


# --- checkpoints ---


def test_checkpoints_are_thinned() -> None:
    base = backup(40)
    ages = [part / 4 for part in range(4 * 24 * 35)]
    states = [backup(0, hours=-0.1), *(checkpoint(base, hours=hours) for hours in ages), base]
    decisions = decided(states, ONLY_LAST)
    left = [hours for hours, state in zip(ages, states[1:], strict=False) if decisions[state.state_id].keep]
    assert [hours for hours in left if hours <= 23.9] == [part / 4 for part in range(96)]
    assert len([hours for hours in left if 25 <= hours < 24 * 7]) == 24 * 6 - 1
    assert len([hours for hours in left if hours >= 24 * 7]) in (23, 24)
    assert not [hours for hours in left if hours > 24 * 30]
    assert "kept checkpoints" in why(base, states, ONLY_LAST)


def test_a_base_goes_after_its_last_checkpoint() -> None:
    base = backup(40)
    assert kept([backup(0), checkpoint(base, 35), base], ONLY_LAST) == [0]
    assert kept([backup(0), checkpoint(base, 35, pinned=True), base], ONLY_LAST) == [0, 1, 2]


def test_the_newest_state_is_never_thinned() -> None:
    base = backup(100)
    states = [checkpoint(base, 50), checkpoint(base, 90), base]
    policy = replace(ONLY_LAST, keep_checkpoints_hours=0, keep_checkpoints_hourly_days=0, keep_checkpoints_daily_days=0)
    assert kept(states, policy) == [0, 2]


def test_checkpoints_without_a_base_wait_for_a_newer_verified_backup() -> None:
    gone = backup(2)
    orphan = checkpoint(gone, 1)
    assert kept([orphan], Policy()) == [0]
    assert kept([backup(0, verified=None), orphan], Policy()) == [0, 1]
    assert kept([backup(0), orphan], Policy()) == [0]
    assert "is gone" in why(orphan, [backup(0), orphan], Policy())
    pinned = replace(orphan, pinned=True)
    assert kept([backup(0), pinned], Policy()) == [0, 1]


def test_a_base_whose_report_is_damaged_is_not_gone() -> None:
    base = backup(2, project=None, verified=False)
    assert kept([backup(0), checkpoint(base, 1, hours=-1), base], Policy()) == [0, 1, 2]


def test_a_checkpoint_that_does_not_name_its_base_keeps_what_that_may_be() -> None:
    bases = [backup(0), backup(5), backup(6)]
    assert kept([*bases, checkpoint(bases[1], 4, project=None)], ONLY_LAST) == [0, 1, 3]


def test_the_budget_takes_the_oldest_first_and_never_the_newest_state() -> None:
    base = backup(1, verified=None)
    states = [*(checkpoint(base, hours=hours) for hours in range(10)), base]
    assert kept(states, Policy(), budget_bytes=350) == [0, 1, 2, 10]
    assert kept(states, Policy(), budget_bytes=0) == [0, 10]
    assert "budget" in why(states[9], states, Policy(), 350)
    _, warning = decide(states, Policy(), now=NOW, budget_bytes=0)
    assert warning is not None
    assert "over their budget" in warning


def test_the_budget_counts_all_projects_and_keeps_what_is_pinned() -> None:
    one, other = backup(1), backup(1, hours=1, project="/other")
    states = [
        checkpoint(one, hours=1),
        checkpoint(other, hours=2, project="/other"),
        checkpoint(one, hours=3),
        checkpoint(other, hours=4, project="/other", pinned=True),
    ]
    assert kept([*states, one, other], Policy(), budget_bytes=300) == [0, 1, 3, 4, 5]


def test_budget_is_the_smaller_of_both() -> None:
    assert Policy().budget_bytes(10**11) == 10**10
    assert Policy().budget_bytes(10**13) == 20 * 1024**3


@pytest.mark.parametrize(
    "wrong", [{"keep_last": 0}, {"keep_daily": -1}, {"keep_within_days": -0.5}, {"keep_checkpoints_percent": 101}]
)
def test_a_policy_that_cannot_be_meant_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError):
        Policy(**wrong)  # type: ignore[arg-type]


# --- what holds for every history ---


def random_policy(dice: random.Random) -> Policy:
    return Policy(
        keep_last=dice.choice((1, 1, 2, 5)),
        keep_hourly=dice.choice((0, 0, 5)),
        keep_daily=dice.choice((0, 3, 14)),
        keep_weekly=dice.choice((0, 0, 8)),
        keep_monthly=dice.choice((0, 0, 12)),
        keep_yearly=dice.choice((0, 0, 3)),
        keep_within_days=dice.choice((0, 0.5, 3)),
        keep_tags=dice.choice(((), ("a",), ("a", "b"))),
        keep_checkpoints_hours=dice.choice((0, 6, 24)),
        keep_checkpoints_hourly_days=dice.choice((0, 2, 7)),
        keep_checkpoints_daily_days=dice.choice((0, 5, 30)),
    )


def random_history(dice: random.Random) -> list[Saved]:
    """Several projects over some weeks: verified or not, damaged, pinned, without a base, ahead of the clock."""
    states: list[Saved] = []
    projects = ["/a", "/b", "/c"][: dice.randint(1, 3)]
    verified = dice.choice(((None,), (True,), (True, True, None, None, False)))
    step_hours = dice.choice((0.2, 3, 30))
    steps = [dice.expovariate(1 / step_hours) for _ in range(dice.randint(1, 60))]
    time = NOW - timedelta(hours=sum(steps))
    for number, step in enumerate(steps):
        time += timedelta(hours=step)
        project = dice.choice([*projects, None] if dice.random() < 0.05 else projects)
        bases = [one.state_id for one in states if one.kind == BACKUP and one.project == project]
        is_checkpoint = bool(bases) and dice.random() < 0.6
        states.append(
            Saved(
                state_id=f"{NOW:%Y%m%d}-{number:06d}-nogit",
                kind=CHECKPOINT if is_checkpoint else BACKUP,
                project=project,
                made_at=time + timedelta(days=900 if dice.random() < 0.03 else 0),
                base=bases[-1] if is_checkpoint and project else None,
                verified=False if project is None else None if is_checkpoint else dice.choice(verified),
                incomplete=not is_checkpoint and dice.random() < 0.1,
                pinned=dice.random() < 0.05,
                tags=tuple(tag for tag in "ab" if dice.random() < 0.05),
                size_bytes=dice.randint(0, 1000),
            )
        )
    lost = {one.state_id for one in states if one.kind == BACKUP and dice.random() < 0.03}
    states = [one for one in states if one.state_id not in lost]
    dice.shuffle(states)
    return states


@pytest.mark.parametrize("seed", range(400))
def test_whatever_happened(seed: int) -> None:
    dice = random.Random(seed)
    states, policy = random_history(dice), random_policy(dice)
    budget_bytes = dice.choice((MANY, 5000, 500, 0))
    decisions, warning = decide(states, policy, now=NOW, budget_bytes=budget_bytes)
    of = {one.state_id: one for one in decisions}
    left = [one for one in states if of[one.state_id].keep]
    gone = [one for one in states if not of[one.state_id].keep]

    assert len(decisions) == len(states)
    assert all(one.reasons for one in decisions)
    assert not [one for one in gone if one.pinned or set(one.tags) & set(policy.keep_tags) or one.project is None]
    check_bases(states, left)
    for project in {one.project for one in states} - {None}:
        check_project([one for one in states if one.project == project], left)
    measured = sum(one.size_bytes for one in left if one.kind == CHECKPOINT)
    assert (measured <= budget_bytes) == (warning is None)
    if states:
        assert max(one.state_id for one in states) in {one.state_id for one in left}, "its id could be used twice"
    again, _ = decide(left, policy, now=NOW, budget_bytes=budget_bytes)
    assert all(one.keep for one in again), "a second run removes more"


def check_bases(states: list[Saved], left: list[Saved]) -> None:
    there, still = ({one.state_id for one in some if one.kind == BACKUP} for some in (states, left))
    assert not [one for one in left if one.base in there - still]


def check_project(states: list[Saved], left: list[Saved]) -> None:
    backups = sorted((one for one in states if one.kind == BACKUP), key=lambda one: one.state_id)
    remain = [one for one in backups if one in left]
    verified = [one for one in backups if one.verified]
    assert not verified or verified[-1] in left
    assert not backups or backups[-1] in left
    assert not [one for one in states if one not in left and one.made_at > NOW + timedelta(days=1) and one in backups]
    for one in backups:
        if one in left:
            continue
        newer = [other for other in remain if other.state_id > one.state_id and other.verified is not False]
        assert newer[0].verified, "what takes its place is not verified"
        assert backups[-1].verified, "the newest is not verified"
        assert one.incomplete or [other for other in newer if other.verified and not other.incomplete]


@pytest.mark.parametrize("seed", range(100))
def test_projects_do_not_touch_each_other(seed: int) -> None:
    dice = random.Random(seed)
    states, policy = [one for one in random_history(dice) if one.project], random_policy(dice)
    together, _ = decide(states, policy, now=NOW, budget_bytes=MANY)
    alone = [
        one
        for project in {one.project for one in states}
        for one in decide([s for s in states if s.project == project], policy, now=NOW, budget_bytes=MANY)[0]
    ]
    assert sorted(alone, key=lambda one: one.state_id, reverse=True) == together
