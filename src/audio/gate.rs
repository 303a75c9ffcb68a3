//! A connection that opens and closes within a frame, because a step would be heard as a click.

/// How far the connection is open, from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gate(f32);

impl Gate {
    pub(super) const OPEN: Self = Self(1.0);

    pub(super) fn is_closed(self) -> bool {
        self.0 == 0.0
    }

    /// Adds `part` to `sum` through the gate. At the end of the frame, the gate is open or closed as `open` says.
    pub(super) fn add(&mut self, sum: &mut [f32], part: &[f32], open: bool) {
        let target = if open { 1.0 } else { 0.0 };
        if self.is_closed() && !open {
            return;
        }
        let step = (target - self.0) / sum.len().max(1) as f32;
        for (to, from) in sum.iter_mut().zip(part) {
            self.0 += step;
            *to += from * self.0;
        }
        self.0 = target;
    }
}
