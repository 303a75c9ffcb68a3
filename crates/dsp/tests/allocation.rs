//! The capture path runs on the audio thread: after its start it never allocates memory.
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use callbox_dsp::{CaptureOptions, CapturePath};

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `dealloc`, which is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn ten_seconds_of_both_ends_allocate_and_free_nothing() {
    for rate_hz in [16_000, 48_000] {
        let options = CaptureOptions { rate_hz, echo: true, noise_suppression: true, gain_control: true };
        let mut path = CapturePath::new(options);
        let size = rate_hz as usize / 100;
        let (mut far, mut microphone) = (vec![0.0_f32; size], vec![0.0_f32; size]);
        let before = ALLOCATIONS.with(Cell::get);
        for frame in 0..1_000 {
            for (index, (far, microphone)) in far.iter_mut().zip(&mut microphone).enumerate() {
                let time = (frame * size + index) as f32 / rate_hz as f32;
                *far = (time * 3_000.0 + (time * 40.0).sin() * 30.0).sin() * 0.2;
                *microphone = *far * 0.5 + (time * 5_000.0).sin() * 0.1;
            }
            path.played(&far);
            path.captured(&mut microphone);
        }
        assert_eq!(ALLOCATIONS.with(Cell::get), before, "at {rate_hz} Hz");
    }
}
