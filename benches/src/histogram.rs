//! Latencies by size: exact below 128 µs, above that within 2 %.

/// Counts of microseconds.
#[derive(Clone, Debug)]
pub struct Histogram(Vec<u64>);

const EXACT: u64 = 128;
const STEPS: u64 = 64;
const OCTAVES: u64 = 40;

impl Histogram {
    /// None yet.
    pub fn new() -> Self {
        Self(vec![0; usize::try_from(EXACT + STEPS * OCTAVES).unwrap_or_default()])
    }

    /// Counts one.
    pub fn record(&mut self, us: u64) {
        if let Some(count) = self.0.get_mut(bucket(us)) {
            *count += 1;
        }
    }

    /// The latency that this share of all is at or below; 0 if there are none.
    pub fn quantile(&self, share: f64) -> u64 {
        let total: u64 = self.0.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted && seen > 0
        };
        self.0.iter().position(reaches).map_or(0, |bucket| floor(bucket as u64))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

fn bucket(us: u64) -> usize {
    let bucket = match us {
        0..EXACT => us,
        _ => {
            let octave = u64::from(us.ilog2()) - 7;
            EXACT + octave * STEPS + ((us >> (octave + 1)) & (STEPS - 1))
        }
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The smallest number in a bucket.
fn floor(bucket: u64) -> u64 {
    match bucket {
        0..EXACT => bucket,
        _ => (STEPS + (bucket - EXACT) % STEPS) << ((bucket - EXACT) / STEPS + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_floor_and_little_more() {
        for us in [0, 1, 127, 128, 129, 255, 256, 1_000, 65_535, 65_536, 10_000_000] {
            let floor = floor(bucket(us) as u64);
            assert!(floor <= us && (us - floor) * 50 <= us, "{us}: {floor}");
            assert_eq!(bucket(floor), bucket(us));
        }
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.99), 0);
        (1..=100).for_each(|us| histogram.record(us));
        assert_eq!([0.5, 0.99, 1.0].map(|share| histogram.quantile(share)), [50, 99, 100]);
    }
}
