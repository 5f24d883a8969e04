//! Known sums first, then what holds of every price.

use proptest::prelude::*;

use super::*;

const fn tokens(input: u64, output: u64, cached: u64, reasoning: u64) -> Tokens {
    Tokens { input, output, cached, reasoning }
}

#[test]
fn what_tokens_cost() {
    let price =
        Price { input: 2_500_000, output: 10_000_000, cached: Some(1_250_000), ..Price::default() };
    let check = |input, output, cached, cost| {
        assert_eq!(price.cost(&tokens(input, output, cached, 0)), cost);
    };
    check(0, 0, 0, 0);
    check(1_000_000, 0, 0, 2_500_000);
    check(1_000_000, 100_000, 400_000, 1_500_000 + 500_000 + 1_000_000);
    check(1, 0, 0, 3);
    check(1, 0, 9, 2);
    check(u64::MAX, u64::MAX, 0, u64::MAX);
    let like_input = Price { cached: None, ..price };
    assert_eq!(like_input.cost(&tokens(4, 0, 4, 0)), 10);
}

#[test]
fn a_long_input_makes_the_whole_call_dearer() {
    let tier =
        |above, input| Tier { above, input, output: 2 * input, cached: None, reasoning: None };
    let price = Price {
        input: 1_000_000,
        output: 2_000_000,
        reasoning: Some(3_000_000),
        tiers: vec![tier(100, 5_000_000), tier(10, 4_000_000)],
        ..Price::default()
    };
    let check = |input, reasoning, cost| {
        assert_eq!(price.cost(&tokens(input, 1, 0, reasoning)), cost, "{input}");
    };
    check(10, 0, 10 + 2);
    check(10, 1, 10 + 3);
    check(10, 9, 10 + 3);
    check(11, 0, 44 + 8);
    check(100, 0, 400 + 8);
    check(101, 1, 505 + 10);
    assert_eq!(price.most(10, 1), 13);
    assert_eq!(price.affordable(10, 13), 1);
    assert_eq!(price.affordable(10, 12), 0);
    assert_eq!(Price::default().affordable(1, 0), u64::MAX);
}

fn price() -> impl Strategy<Value = Price> {
    let rate = || prop_oneof![0..20_000_000_u64, Just(u64::MAX)];
    let tier = (0..5000_u64, rate(), rate(), prop::option::of(rate()), prop::option::of(rate()));
    let tier = tier.prop_map(|(above, input, output, cached, reasoning)| Tier {
        above,
        input,
        output,
        cached,
        reasoning,
    });
    let tiers = proptest::collection::vec(tier, 0..3);
    (rate(), rate(), prop::option::of(rate()), prop::option::of(rate()), tiers).prop_map(
        |(input, output, cached, reasoning, tiers)| Price {
            input,
            output,
            cached,
            reasoning,
            tiers,
        },
    )
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0..10_000_u64, 1 => Just(u64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]
    #[test]
    fn more_output_never_costs_less(price in price(), input in count(), output in count(), more in count()) {
        let few = price.cost(&tokens(input, output, 0, 0));
        prop_assert!(few <= price.cost(&tokens(input, output.saturating_add(more), 0, 0)));
    }

    #[test]
    fn what_is_set_aside_covers_every_mixture(
        price in price(), input in count(), output in count(), cached in count(), reasoning in count(),
    ) {
        prop_assert!(price.cost(&tokens(input, output, cached, reasoning)) <= price.most(input, output));
    }

    #[test]
    fn what_is_affordable_is_so_to_the_last_token(price in price(), input in count(), budget in count()) {
        let most = price.affordable(input, budget);
        prop_assert!(most == 0 || price.most(input, most) <= budget);
        // A budget that holds whatever a sum stops at is never too small.
        if let Some(more) = most.checked_add(1).filter(|_| budget < u64::MAX) {
            prop_assert!(price.most(input, more) > budget);
        }
    }

    #[test]
    fn parts_of_a_call_cost_its_sum_and_less_than_a_micro_for_each_rounding(
        input in 0..1_000_000_u64, output in 0..1_000_000_u64, rate in 0..100_000_000_u64,
    ) {
        let price = Price { input: rate, output: rate, ..Price::default() };
        let whole = price.cost(&tokens(input, output, 0, 0));
        let parts = price.cost(&tokens(input, 0, 0, 0)) + price.cost(&tokens(0, output, 0, 0));
        prop_assert!((whole..=whole + 1).contains(&parts));
    }
}
