//! Waits between tries: doubling, jittered, bounded; and the small generator that jitters them.

use std::time::Duration;

/// A seeded generator (splitmix64, Steele et al. 2014): jitter needs spread, not secrecy, and a
/// test needs the seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A fraction in `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A wait between `floor` and `ceiling`, both possible.
    pub fn between(&mut self, floor: Duration, ceiling: Duration) -> Duration {
        floor + ceiling.saturating_sub(floor).mul_f64(self.fraction())
    }
}

/// Full jitter over a doubling ceiling: the wait after `failures` failures in a row lies between
/// `min` and `min * 2^failures`, never above `max`.
pub fn backoff(dice: &mut Dice, failures: u32, min: Duration, max: Duration) -> Duration {
    let ceiling =
        min.saturating_mul(1u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX)).min(max);
    dice.between(min.min(max), ceiling.max(min.min(max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_are_splitmix64() {
        let mut dice = Dice::new(0);
        assert_eq!([dice.bits(), dice.bits()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        let fraction = Dice::new(0).fraction();
        assert!((0.8833..0.8834).contains(&fraction), "{fraction}");
    }

    #[test]
    fn a_wait_never_leaves_its_bounds_and_its_ceiling_doubles() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut dice = Dice::new(7);
        for failures in 0..80 {
            let ceiling = Duration::from_secs(1 << failures.min(6)).min(max);
            for _ in 0..50 {
                let wait = backoff(&mut dice, failures, min, max);
                assert!(wait >= min && wait <= ceiling, "{failures} failures waited {wait:?}");
            }
        }
    }
}
