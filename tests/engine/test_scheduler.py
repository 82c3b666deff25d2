"""The scheduler and the placement of sequences: no model, no clock."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from oruel.engine.scheduler import INVARIANT_CHUNK_TOKENS, StepLimits, StepPlan, schedule
from oruel.engine.sequence import HEAD_START_SECONDS, Sequence
from oruel.engine.slots import WORTH_COPYING, Placement, Slot, place, shared_prefix
from oruel.sampling.sampler import Sampler
from oruel.types import SamplingParams, Tier

LIMITS = StepLimits(parallel=4)
SAMPLER = Sampler(SamplingParams(temperature=0), 0, 10)


def sequence(
    number: int, tokens: list[int], *, computed: int = 0, tier: Tier = "standard", slot: int | None = None
) -> Sequence:
    return Sequence(
        number,
        tokens,
        prompt_length=len(tokens),
        max_tokens=8,
        sampler=SAMPLER,
        tier=tier,
        arrived=float(number),
        computed=computed,
        slot=slot,
    )


def empty_slots(count: int) -> list[Slot]:
    return [Slot(number, [], computed=0, invariant=0, used=0, is_idle=True) for number in range(count)]


def occupied_slots(running: list[Sequence], count: int) -> list[Slot]:
    slots = empty_slots(count)
    for one in running:
        assert one.slot is not None
        slots[one.slot] = Slot(
            one.slot,
            one.tokens,
            computed=one.computed,
            invariant=one.computed,
            used=1,
            is_idle=False,
            reproducible=True,
        )
    return slots


def token_counts(plan: StepPlan) -> dict[int, int]:
    chunks = (*plan.decoding, *plan.chunks)
    return {s.id: sum(chunk.count for chunk in chunks if chunk.sequence is s) for s in {c.sequence for c in chunks}}


def test_a_lone_prompt_is_prefilled_in_several_chunks_per_step() -> None:
    plan = schedule([sequence(0, [1] * 1000)], [], empty_slots(4), LIMITS)
    assert token_counts(plan) == {0: LIMITS.prefill_tokens}
    assert not any(chunk.yields for chunk in plan.chunks)


def test_a_long_prompt_does_not_stall_decoding_sequences() -> None:
    decoding = sequence(0, [1] * 6, computed=5, slot=0)
    plan = schedule([sequence(1, [2] * 1000)], [decoding], occupied_slots([decoding], 4), LIMITS)
    assert token_counts(plan) == {0: 1, 1: LIMITS.prefill_tokens_during_decode}
    assert plan.decoding[0].yields


def test_the_last_chunk_of_a_prompt_yields_a_token() -> None:
    late = sequence(0, [1] * 20, computed=16, slot=0)
    (chunk,) = schedule([], [late], occupied_slots([late], 4), LIMITS).chunks
    assert (chunk.start, chunk.count, chunk.yields) == (16, 4, True)


def prefilling_sequence(number: int, missing: int, *, tier: Tier = "standard") -> Sequence:
    return sequence(number, [number] * (missing + 4), computed=4, slot=number, tier=tier)


def test_short_prompts_pass_a_long_one() -> None:
    running = [
        prefilling_sequence(0, 3000),
        prefilling_sequence(1, 2000),
        prefilling_sequence(2, 100),
        prefilling_sequence(3, 90),
    ]
    half = LIMITS.prefill_tokens // 2
    assert token_counts(schedule([], running, occupied_slots(running, 4), LIMITS)) == {
        2: 100,
        3: 90,
        0: LIMITS.prefill_tokens_during_decode,
    }
    many = [prefilling_sequence(0, 3000), *(prefilling_sequence(number, half - 20) for number in range(1, 4))]
    assert token_counts(schedule([], many, occupied_slots(many, 4), LIMITS)) == {
        1: half - 20,
        0: LIMITS.prefill_tokens_during_decode,
    }


def test_the_rest_of_a_long_prompt_does_not_delay_a_short_one() -> None:
    running = [prefilling_sequence(0, LIMITS.prefill_tokens - 20), prefilling_sequence(1, 20)]
    assert token_counts(schedule([], running, occupied_slots(running, 4), LIMITS)) == {
        1: 20,
        0: LIMITS.prefill_tokens_during_decode,
    }


def test_short_prompts_are_computed_together() -> None:
    running = [prefilling_sequence(0, 115), prefilling_sequence(1, 115), prefilling_sequence(2, 80)]
    assert token_counts(schedule([], running, occupied_slots(running, 4), LIMITS)) == {0: 115, 1: 115, 2: 80}


def test_a_short_standard_prompt_does_not_pass_a_long_turbo_one() -> None:
    running = [
        prefilling_sequence(0, 3000, tier="turbo"),
        prefilling_sequence(1, 20),
        prefilling_sequence(2, 30, tier="turbo"),
    ]
    assert token_counts(schedule([], running, occupied_slots(running, 4), LIMITS)) == {
        2: 30,
        0: LIMITS.prefill_tokens_during_decode,
    }


def test_a_single_remaining_token_joins_the_decode_batch() -> None:
    plan = schedule([sequence(0, [1] * (INVARIANT_CHUNK_TOKENS + 1))], [], empty_slots(4), LIMITS)
    assert token_counts(plan) == {0: INVARIANT_CHUNK_TOKENS}
    single = schedule([sequence(0, [1])], [], empty_slots(4), LIMITS)
    assert [chunk.count for chunk in single.decoding] == [1]


def test_sequences_wait_while_every_slot_is_taken() -> None:
    running = [sequence(number, [number] * 5, computed=4, slot=number) for number in range(4)]
    assert schedule([sequence(4, [9])], running, occupied_slots(running, 6), LIMITS).placements == ()


def test_long_prompts_leave_slots_to_short_ones_until_they_can_start() -> None:
    waiting = [sequence(number, [number] * 2000) for number in range(8)] + [sequence(8, [9] * 20)]
    plan = schedule(waiting, [], empty_slots(4), LIMITS)
    assert {placement.sequence.id for placement in plan.placements} == {0, 8}
    assert token_counts(plan) == {8: 20, 0: LIMITS.prefill_tokens_during_decode}
    running = [prefilling_sequence(0, 100)]
    plan = schedule(waiting[1:4], running, occupied_slots(running, 4), LIMITS)
    assert {placement.sequence.id for placement in plan.placements} == {1}


def test_turbo_outranks_standard_within_its_head_start_only() -> None:
    assert sequence(9, [1], tier="turbo").rank < sequence(0, [1]).rank
    assert sequence(11, [1], tier="turbo").rank > sequence(0, [1]).rank
    assert HEAD_START_SECONDS == 10


def test_only_turbo_preempts_and_takes_the_youngest_standard_slot() -> None:
    running = [sequence(number, [number] * 5, computed=4, slot=number) for number in range(4)]
    slots = occupied_slots(running, 4)
    assert schedule([sequence(5, [9])], running, slots, LIMITS).preempted == ()
    plan = schedule([sequence(5, [9], tier="turbo")], running, slots, LIMITS)
    assert plan.preempted == (running[3],)
    assert [placement.slot for placement in plan.placements] == [3]


def test_turbo_does_not_preempt_while_it_waits_for_a_prefix() -> None:
    computing = sequence(0, LONG, computed=60, slot=0)
    running = [computing, *(sequence(number, [number] * 5, computed=4, slot=number) for number in range(1, 4))]
    waiting = sequence(5, [*LONG, 7], tier="turbo")
    plan = schedule([waiting], running, occupied_slots(running, 4), LIMITS)
    assert (plan.preempted, plan.placements) == ((), ())


def test_turbo_never_preempts_turbo() -> None:
    running = [sequence(number, [number] * 5, computed=4, slot=number, tier="turbo") for number in range(4)]
    assert schedule([sequence(5, [9], tier="turbo")], running, occupied_slots(running, 4), LIMITS).preempted == ()


def place_prompt(wanted: list[int], *slots: Slot) -> Placement | None:
    return place(sequence(9, wanted), slots)


LONG = [number % 9 for number in range(300)]


def test_a_long_prefix_of_a_running_sequence_is_copied() -> None:
    running = Slot(0, [*LONG, 1, 2, 3], computed=303, invariant=303, used=5, is_idle=False)
    placement = place_prompt([*LONG, 7, 7], running, Slot(1, [], computed=0, invariant=0, used=0, is_idle=True))
    assert placement
    assert (placement.slot, placement.source, placement.cached) == (1, 0, 300)


def test_a_prefix_that_is_cheaper_to_compute_is_not_copied() -> None:
    short = LONG[: WORTH_COPYING - 1]
    running = Slot(0, short, computed=len(short), invariant=len(short), used=5, is_idle=False)
    placement = place_prompt([*short, 7, 7], running, Slot(1, [], computed=0, invariant=0, used=0, is_idle=True))
    assert placement
    assert (placement.slot, placement.source, placement.cached) == (1, 1, 0)


def test_a_sequence_waits_for_a_long_prefix_that_is_being_computed() -> None:
    begun = Slot(0, LONG, computed=60, invariant=60, used=5, is_idle=False, reproducible=True)
    assert place_prompt([*LONG, 7], begun, Slot(1, [], computed=0, invariant=0, used=0, is_idle=True)) is None
    nearly = replace(begun, computed=290, invariant=290)
    placement = place_prompt([*LONG, 7], nearly, Slot(1, [], computed=0, invariant=0, used=0, is_idle=True))
    assert placement
    assert placement.cached == 290


def test_an_older_slot_is_evicted_before_a_shared_one_is_overwritten() -> None:
    branch = Slot(0, [*LONG, *[3] * 100], computed=400, invariant=400, used=5, is_idle=True)
    placement = place_prompt([*LONG, 7, 7], branch, Slot(1, [8] * 50, computed=50, invariant=50, used=2, is_idle=True))
    assert placement
    assert (placement.slot, placement.source, placement.cached) == (1, 0, 300)


def test_a_reproducible_sequence_reuses_only_invariant_cells() -> None:
    free = Slot(0, LONG, computed=300, invariant=100, used=5, is_idle=True)
    strict, lenient = sequence(9, [*LONG, 7]), replace(sequence(9, [*LONG, 7]), reproducible=False)
    found = [
        place(one, [free, Slot(1, [], computed=0, invariant=0, used=0, is_idle=True)]) for one in (strict, lenient)
    ]
    assert [(one.cached, one.invariant) for one in found if one] == [(100, 100), (300, 100)]


def test_a_reproducible_sequence_does_not_wait_for_cells_it_cannot_reuse() -> None:
    free = Slot(0, LONG, computed=60, invariant=0, used=5, is_idle=False, reproducible=False)
    assert place_prompt([*LONG, 7], free, Slot(1, [], computed=0, invariant=0, used=0, is_idle=True)) is not None


def test_models_that_cannot_forget_share_no_prefixes() -> None:
    placement = place(
        sequence(9, LONG), [Slot(0, LONG, computed=300, invariant=300, used=5, is_idle=True)], shares=False
    )
    assert placement
    assert (placement.slot, placement.source, placement.cached) == (0, 0, 0)


@given(st.lists(st.integers(0, 2), max_size=40), st.lists(st.integers(0, 2), max_size=40), st.integers(0, 45))
def test_the_shared_prefix_equals_a_linear_count(one: list[int], other: list[int], limit: int) -> None:
    counted = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        counted += 1
    assert shared_prefix(one, other, limit) == min(counted, limit)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_random_plans_keep_the_invariants(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 6), label="slots")
    limits = StepLimits(parallel=data.draw(st.integers(1, count), label="parallel"))
    busy = data.draw(st.integers(0, limits.parallel), label="running")
    tiers: st.SearchStrategy[Tier] = st.sampled_from(["standard", "turbo"])
    texts = st.tuples(st.integers(0, 3), st.integers(1, 200)).map(lambda drawn: [drawn[0], *LONG[: drawn[1]]])
    running = []
    for number in range(busy):
        tokens = data.draw(texts)
        computed = data.draw(st.integers(0, len(tokens) - 1))
        running.append(sequence(number, tokens, computed=computed, slot=number, tier=data.draw(tiers)))
    slots = occupied_slots(running, count)
    for number in range(busy, count):
        tokens = data.draw(texts)
        slots[number] = Slot(
            number, tokens, computed=len(tokens), invariant=len(tokens), used=data.draw(st.integers(0, 9)), is_idle=True
        )
    waiting = [sequence(10 + number, data.draw(texts), tier=data.draw(tiers)) for number in range(5)]
    waiting.sort(key=lambda one: one.rank)
    plan = schedule(waiting, running, slots, limits)
    after = [one for one in running if one not in plan.preempted] + [p.sequence for p in plan.placements]
    targets = [placement.slot for placement in plan.placements]
    kept = {one.slot for one in running if one not in plan.preempted}
    assert len(after) <= limits.parallel, "more sequences than `parallel`"
    assert len(set(targets)) == len(targets), "two sequences in one slot"
    assert kept.isdisjoint(targets), "a running sequence lost its slot"
    assert after, "no sequence runs"
    assert plan.decoding or plan.chunks, "nothing is computed"
    assert all(chunk.count >= 2 for chunk in plan.chunks)
    assert all(chunk.count <= INVARIANT_CHUNK_TOKENS for chunk in plan.chunks)
    assert all(0 <= placement.cached < placement.sequence.known for placement in plan.placements)
    assert len(plan.preempted) <= 1
    assert all(one.tier == "standard" for one in plan.preempted)
    starts = {one: one.computed for one in after} | {p.sequence: p.cached for p in plan.placements}
    single = {one for one in after if one.known - starts[one] == 1}
    assert {chunk.sequence for chunk in plan.decoding} == single, "a decoding sequence was left out"
    placed_now = {placement.sequence for placement in plan.placements}
    for passed in set(waiting) - placed_now:
        if any(one.rank > passed.rank for one in placed_now):
            shared = max(shared_prefix(one.tokens, passed.tokens, passed.known - 1) for one in after)
            assert shared >= WORTH_COPYING, "a sequence was passed, but doesn't wait for a prefix"
