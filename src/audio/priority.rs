//! The priority of the audio thread: a frame of 10 ms must not wait for a busy processor.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// Above everything that is not real-time, and below the kernel's own interrupt threads, which have 50.
const PRIORITY: u8 = 20;

/// Gives the calling thread real-time priority (sched(7), `SCHED_FIFO`). Returns whether the system allows it, which
/// needs `LimitRTPRIO=` or `CAP_SYS_NICE`.
pub(super) fn become_realtime() -> bool {
    let Ok(priority) = PRIORITY.try_into() else { return false };
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .is_ok()
}

/// The processor time that the calling thread has used.
pub(super) fn processor_time_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000 + nanoseconds.unwrap_or(0) / 1_000
}
